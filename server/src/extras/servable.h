// A servable that takes images and gives names, around the one that computes.
#ifndef EMS_EXTRAS_SERVABLE_H_
#define EMS_EXTRAS_SERVABLE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "extras/sidecar.h"
#include "model/servable.h"
#include "tflite/model.h"

namespace ems {

// Returns `inner` where neither the sidecar nor the model asks for more. Else a servable whose image inputs are marked
// (TensorSpec::image) and take files, decoded on the caller's thread, and whose signatures have the outputs that the
// sidecar asks for. INVALID_ARGUMENT where the sidecar does not fit the model.
absl::StatusOr<std::unique_ptr<Servable>> WithExtras(std::unique_ptr<Servable> inner, const Sidecar& sidecar,
                                                     const QuantisationMap& quantisations);

}  // namespace ems

#endif  // EMS_EXTRAS_SERVABLE_H_
