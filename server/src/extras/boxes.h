// The boxes of a detector, those found and with names.
#ifndef EMS_EXTRAS_BOXES_H_
#define EMS_EXTRAS_BOXES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "extras/sidecar.h"
#include "model/servable.h"

namespace ems {

struct BoxesPlan {
  // Outputs in the layout of TFLite_Detection_PostProcess.
  std::string boxes;
  std::string classes;
  std::string scores;
  std::string count;
  float minimum_score = 0;
  std::vector<std::string> labels;
};

// Plans what the sidecar asks of a signature, and adds its outputs to the signature; nothing where the sidecar asks for
// no detection. INVALID_ARGUMENT where an output is not there or of another layout.
absl::StatusOr<std::optional<BoxesPlan>> PlanBoxes(const Sidecar& sidecar, Signature& signature);

// Adds the outputs that protos/ems/edge_model.proto lists. INTERNAL where the model gave other shapes than the
// layout's.
absl::Status AddBoxes(const BoxesPlan& plan, TensorMap& outputs);

}  // namespace ems

#endif  // EMS_EXTRAS_BOXES_H_
