// The sidecar edge_model.pbtxt of a version folder.
#ifndef EMS_EXTRAS_SIDECAR_H_
#define EMS_EXTRAS_SIDECAR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ems/edge_model.pb.h"

namespace ems {

struct Sidecar {
  EdgeModel settings;
  std::vector<std::string> labels;  // by class
};

// Reads the sidecar and the file of labels that it names; a folder without one gives the defaults. INVALID_ARGUMENT
// with file, line and column for what does not parse, and for values out of range; NOT_FOUND for the labels.
absl::StatusOr<Sidecar> ReadSidecar(const std::string& folder);

}  // namespace ems

#endif  // EMS_EXTRAS_SIDECAR_H_
