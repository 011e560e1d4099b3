// Requests of n rows to models of fixed batch size: n runs, whose outputs are joined again.
#ifndef EMS_MODEL_ROWS_H_
#define EMS_MODEL_ROWS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "model/servable.h"

namespace ems {

// Checks names, dtypes and shapes of a request against a signature, with TensorFlow Serving's texts (3.3 of the facts).
// Returns the number of runs: 1, or n where every input has n times the fixed first dimension of its spec.
absl::StatusOr<int64_t> CheckInputs(const Signature& signature, const TensorMap& inputs);

// Returns the inputs of run `run` of `runs`.
TensorMap Slice(const TensorMap& inputs, int64_t run, int64_t runs);

// Joins the outputs of runs on their first dimension. INTERNAL where an output has none.
absl::StatusOr<TensorMap> Join(std::vector<TensorMap> outputs);

}  // namespace ems

#endif  // EMS_MODEL_ROWS_H_
