// Flags of tensorflow_model_server that have no effect here.
#ifndef EMS_APP_FOREIGN_FLAGS_H_
#define EMS_APP_FOREIGN_FLAGS_H_

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace ems {

// Takes the flags, and says afterwards which were given.
class ForeignFlags {
 public:
  void AddTo(CLI::App& app);

  // Adds a line to `notes` for each flag that was given and changes nothing. INVALID_ARGUMENT, with the reason and a
  // substitute, for a value that would change what TensorFlow Serving does.
  absl::Status Check(std::vector<std::string>* notes) const;

 private:
  std::map<std::string, std::string> values_;  // of those that were given
};

}  // namespace ems

#endif  // EMS_APP_FOREIGN_FLAGS_H_
