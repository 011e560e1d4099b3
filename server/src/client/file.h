// Files that the command line names.
#ifndef EMS_CLIENT_FILE_H_
#define EMS_CLIENT_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace ems {

// Returns the content of a file; "-" is standard input. NOT_FOUND "cannot read PATH: REASON", for a folder too.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace ems

#endif  // EMS_CLIENT_FILE_H_
