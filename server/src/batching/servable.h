// A servable that joins requests, around the one that computes.
#ifndef EMS_BATCHING_SERVABLE_H_
#define EMS_BATCHING_SERVABLE_H_

#include <memory>

#include "batching/batcher.h"
#include "batching/settings.h"
#include "model/servable.h"

namespace ems {

// Returns a servable that joins the rows of requests which come at the same time. Requests are joined for a signature
// whose tensors all have rows, if any number of rows fits, or a fixed number above 1.
//
// With a fixed number n the signature then takes any number of rows: n rows or a multiple run as without batches, and
// fewer rows are joined and padded up to n. Requests that are not joined go to `inner`: scalars among the inputs, or
// inputs whose numbers of rows differ.
//
// A batch has the latest deadline of its requests. Its error goes to all of them; where the model may refuse the values
// (INVALID_ARGUMENT, INTERNAL) each then runs alone, so that the culprit alone fails. Run's errors besides:
// RESOURCE_EXHAUSTED where too many batches wait, INVALID_ARGUMENT "Task size N is larger than maximum input batch size
// M".
std::unique_ptr<Servable> WithBatching(std::unique_ptr<Servable> inner, const BatchingSettings& settings,
                                       std::shared_ptr<Batcher> batcher);

}  // namespace ems

#endif  // EMS_BATCHING_SERVABLE_H_
