// The versions of a model on disk, and which of them a policy chooses.
#ifndef EMS_CATALOGUE_VERSIONS_H_
#define EMS_CATALOGUE_VERSIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "catalogue/config.h"

namespace ems {

// The versions to serve, with their folders, and a line for each thing that the operator should know.
struct Scan {
  std::map<int64_t, std::string> folders;
  std::vector<std::string> warnings;
};

// Looks at a base path and applies the policy. A version is a folder whose name is an int64: "1", "0001".
// Of two names for a number, the later in the alphabet counts. NOT_FOUND or PERMISSION_DENIED for the base path.
absl::StatusOr<Scan> ScanVersions(const ModelConfig& config);

// Returns a text that changes when a file of the folder does: names, sizes and times. Empty where it cannot be read.
std::string FolderStamp(const std::string& folder);

}  // namespace ems

#endif  // EMS_CATALOGUE_VERSIONS_H_
