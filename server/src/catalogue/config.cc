#include "catalogue/config.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace ems {
namespace {

using Proto = tensorflow::serving::ModelConfig;
using ProtoPolicy = tensorflow::serving::FileSystemStoragePathSourceConfig::ServableVersionPolicy;

constexpr std::string_view kPlatform = "tensorflow";

// Keeps the first error of a parse; those after it are mostly its consequences.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (!text_.empty()) return;
    // The parser counts from 0, and says -1 where it knows no place.
    if (line >= 0) absl::StrAppend(&text_, "line ", line + 1, ", column ", column + 1, ": ");
    absl::StrAppend(&text_, message);
  }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

absl::Status Invalid(const Proto& model, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat("model \"", model.name(), "\": ", text));
}

absl::Status CheckBasePath(const Proto& model) {
  const std::string& path = model.base_path();
  if (path.empty()) return Invalid(model, "base_path is missing; write the folder that holds the numbered versions");
  if (absl::StrContains(path, "://")) {
    return Invalid(model, absl::StrCat("base_path \"", path, "\" is not on this machine; copy the model to a folder"));
  }
  if (path[0] != '/') {
    return Invalid(model, absl::StrCat("expected base_path to be an absolute path, got \"", path,
                                       "\"; write it from the root, beginning with /"));
  }
  return absl::OkStatus();
}

// model_type is the deprecated spelling of model_platform (server_core.cc, GetPlatform); old files have it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
absl::Status CheckPlatform(const Proto& model) {
  const auto type = model.model_type();
  const std::string& platform = model.model_platform();
  if (type != tensorflow::serving::MODEL_TYPE_UNSPECIFIED && !platform.empty()) {
    return Invalid(model, "both model_type (deprecated) and model_platform are set; remove model_type");
  }
  if (type == tensorflow::serving::TENSORFLOW || platform == kPlatform) return absl::OkStatus();
  if (type == tensorflow::serving::MODEL_TYPE_UNSPECIFIED && platform.empty()) {
    return Invalid(model, R"(model_platform is missing; add model_platform: "tensorflow")");
  }
  const std::string given = platform.empty() ? absl::StrCat("model_type ", type) : absl::StrCat("\"", platform, "\"");
  return Invalid(model,
                 absl::StrCat("platform ", given,
                              " is not supported; write model_platform: \"tensorflow\", for .tflite models too"));
}
#pragma GCC diagnostic pop

absl::StatusOr<VersionPolicy> ConvertPolicy(const Proto& model) {
  const ProtoPolicy& from = model.model_version_policy();
  VersionPolicy policy;
  switch (from.policy_choice_case()) {
    case ProtoPolicy::kAll:
      policy.kind = VersionPolicy::Kind::kAll;
      break;
    case ProtoPolicy::kSpecific:
      if (from.specific().versions().empty()) {
        return Invalid(model, "the version policy \"specific\" names no version; add versions: N");
      }
      policy.kind = VersionPolicy::Kind::kSpecific;
      policy.specific.assign(from.specific().versions().begin(), from.specific().versions().end());
      break;
    case ProtoPolicy::kLatest:
      // 0 counts as 1 (file_system_storage_path_source.cc, AspireLatestVersions).
      policy.latest = std::max<int64_t>(1, from.latest().num_versions());
      break;
    case ProtoPolicy::POLICY_CHOICE_NOT_SET:
      break;
  }
  return policy;
}

absl::Status CheckLabels(const Proto& model, const VersionPolicy& policy) {
  for (const auto& [label, version] : model.version_labels()) {
    if (label.empty()) return Invalid(model, "a version label is empty; give it a name or remove it");
    const bool never_served =
        policy.kind == VersionPolicy::Kind::kSpecific &&
        std::find(policy.specific.begin(), policy.specific.end(), version) == policy.specific.end();
    if (never_served) {
      return Invalid(model, absl::StrCat("label \"", label, "\" is for version ", version,
                                         ", which the version policy does not name; add versions: ", version));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelConfig> Convert(const Proto& model) {
  if (absl::Status status = CheckBasePath(model); !status.ok()) return status;
  if (absl::Status status = CheckPlatform(model); !status.ok()) return status;
  if (model.has_logging_config()) {
    return Invalid(model, "logging_config is not supported, requests are never recorded; remove it");
  }
  absl::StatusOr<VersionPolicy> policy = ConvertPolicy(model);
  if (!policy.ok()) return policy.status();
  if (absl::Status status = CheckLabels(model, *policy); !status.ok()) return status;
  return ModelConfig{model.name(),
                     model.base_path(),
                     *std::move(policy),
                     {model.version_labels().begin(), model.version_labels().end()}};
}

absl::Status InFile(const absl::Status& status, const std::string& path) {
  return {status.code(), absl::StrCat(path, ": ", status.message())};
}

}  // namespace

absl::StatusOr<ModelConfigs> FromProto(const tensorflow::serving::ModelConfigList& list) {
  ModelConfigs configs;
  std::set<std::string> names;
  for (const Proto& model : list.config()) {
    if (model.name().empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the model at \"", model.base_path(), "\" has no name; add name: \"...\" to its config"));
    }
    if (!names.insert(model.name()).second) {
      // The first part is TensorFlow Serving's text (server_core.cc, ValidateModelConfigList).
      return absl::InvalidArgumentError(absl::StrCat("Illegal to list model ", model.name(),
                                                     " multiple times in config list; rename or remove all but one"));
    }
    absl::StatusOr<ModelConfig> config = Convert(model);
    if (!config.ok()) return config.status();
    configs.push_back(*std::move(config));
  }
  return configs;
}

absl::StatusOr<ModelConfigs> SingleModel(const std::string& name, const std::string& base_path) {
  tensorflow::serving::ModelConfigList list;
  Proto& model = *list.add_config();
  model.set_name(name);
  model.set_base_path(base_path);
  model.set_model_platform(std::string(kPlatform));
  return FromProto(list);
}

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  // A folder opens and then does not read: libstdc++ sets badbit.
  if (!file.is_open() || file.bad() || text.bad()) {
    return absl::ErrnoToStatus(errno == 0 ? EIO : errno, absl::StrCat("cannot read ", path));
  }
  return text.str();
}

absl::StatusOr<ModelConfigs> ParseModelConfig(const std::string& text, const std::string& path) {
  tensorflow::serving::ModelServerConfig config;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &config)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", error.text()));
  }
  if (config.has_custom_model_config()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": custom_model_config is not supported; write model_config_list { config { ... } }"));
  }
  if (!config.has_model_config_list()) {
    // A file that is being written looks like this; it must not unload everything.
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": model_config_list is missing; write model_config_list { } where no model is to be served"));
  }
  absl::StatusOr<ModelConfigs> configs = FromProto(config.model_config_list());
  if (!configs.ok()) return InFile(configs.status(), path);
  return configs;
}

absl::StatusOr<ModelConfigs> ReadModelConfigFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  return text.ok() ? ParseModelConfig(*text, path) : text.status();
}

}  // namespace ems
