// What is served: models, their base paths, which of their versions. Read from models.config as TensorFlow Serving
// does.
#ifndef EMS_CATALOGUE_CONFIG_H_
#define EMS_CATALOGUE_CONFIG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tensorflow_serving/config/model_server_config.pb.h"

namespace ems {

// Which of the versions that are on disk are served.
struct VersionPolicy {
  enum class Kind { kLatest, kAll, kSpecific };
  Kind kind = Kind::kLatest;
  int64_t latest = 1;             // for kLatest: how many, the highest ones
  std::vector<int64_t> specific;  // for kSpecific
};

struct ModelConfig {
  std::string name;
  std::string base_path;
  VersionPolicy policy;
  std::map<std::string, int64_t> labels;
};

using ModelConfigs = std::vector<ModelConfig>;

// Converts and checks a list. INVALID_ARGUMENT names the model and what to do: a name twice or empty, no base_path, a
// base_path that is relative or on gs:// or s3://, a platform other than "tensorflow", a logging_config, a specific
// policy without versions, a label of a version that a specific policy does not name.
absl::StatusOr<ModelConfigs> FromProto(const tensorflow::serving::ModelConfigList& list);

// Returns the configuration of the flags --model_name and --model_base_path, checked in the same way.
absl::StatusOr<ModelConfigs> SingleModel(const std::string& name, const std::string& base_path);

// Reads a models.config in text format. INVALID_ARGUMENT with file, line and column for what does not parse;
// NOT_FOUND or PERMISSION_DENIED for the file.
absl::StatusOr<ModelConfigs> ReadModelConfigFile(const std::string& path);

// The two steps of ReadModelConfigFile: the file's text, and its meaning. `path` is for the errors of the second.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);
absl::StatusOr<ModelConfigs> ParseModelConfig(const std::string& text, const std::string& path);

}  // namespace ems

#endif  // EMS_CATALOGUE_CONFIG_H_
