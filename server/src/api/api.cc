#include "api/api.h"

#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "model/rows.h"

namespace ems {

namespace {

namespace tfs = tensorflow::serving;

// Returns the names of a filter that a signature does not have or that stand twice in it, with TensorFlow Serving's
// texts (servables/tensorflow/predict_util.cc).
absl::Status CheckFilter(const Signature& signature, const std::vector<std::string>& filter) {
  std::set<std::string> seen;
  for (const std::string& name : filter) {
    if (signature.outputs.count(name) == 0) {
      const std::string known = absl::StrJoin(
          signature.outputs, ",", [](std::string* out, const auto& output) { absl::StrAppend(out, output.first); });
      return absl::InvalidArgumentError(absl::StrCat("output tensor alias not found in signature: ", name,
                                                     " Outputs expected to be in the set {", known, "}."));
    }
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("duplicate output tensor alias: ", name));
    }
  }
  return absl::OkStatus();
}

// Leaves the outputs that a filter names, all where it is empty.
void KeepOnly(const std::vector<std::string>& filter, TensorMap* outputs) {
  if (filter.empty()) return;
  const std::set<std::string> names(filter.begin(), filter.end());
  for (auto output = outputs->begin(); output != outputs->end();) {
    output = names.count(output->first) == 0 ? outputs->erase(output) : std::next(output);
  }
}

void ToProto(const TensorSpec& spec, tensorflow::TensorInfo* proto) {
  proto->set_name(spec.tensor_name);
  proto->set_dtype(static_cast<tensorflow::DataType>(spec.dtype));
  proto->mutable_tensor_shape();  // present for a scalar too
  for (const int64_t size : spec.shape) proto->mutable_tensor_shape()->add_dim()->set_size(size);
}

tensorflow::SignatureDef ToProto(const Signature& signature) {
  tensorflow::SignatureDef proto;
  proto.set_method_name(signature.method_name);
  for (const auto& [name, spec] : signature.inputs) ToProto(spec, &(*proto.mutable_inputs())[name]);
  for (const auto& [name, spec] : signature.outputs) ToProto(spec, &(*proto.mutable_outputs())[name]);
  return proto;
}

}  // namespace

ModelSpec FromProto(const tfs::ModelSpec& proto) {
  ModelSpec spec;
  spec.name = proto.name();
  if (proto.has_version()) spec.version = proto.version().value();
  spec.label = proto.version_label();
  return spec;
}

void ToProto(const Target& target, tfs::ModelSpec* proto) {
  proto->set_name(target.handle.id.name);
  proto->mutable_version()->set_value(target.handle.id.version);
  proto->set_signature_name(target.signature_name);
}

absl::StatusOr<Target> Api::Resolve(const ModelSpec& spec, const std::string& signature) const {
  absl::StatusOr<ServableHandle> handle = catalogue_.Find(spec);
  if (!handle.ok()) return handle.status();
  Target target;
  target.handle = *std::move(handle);
  target.signature_name = signature.empty() ? kDefaultSignature : signature;
  const SignatureMap& signatures = target.handle.servable->signatures();
  const auto found = signatures.find(target.signature_name);
  if (found == signatures.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat("Serving signature key \"", target.signature_name, "\" not found."));
  }
  target.signature = &found->second;
  return target;
}

absl::StatusOr<TensorMap> Api::Predict(const Target& target, TensorMap inputs, const std::vector<std::string>& filter,
                                       absl::Time deadline) const {
  if (absl::Status status = CheckFilter(*target.signature, filter); !status.ok()) return status;
  RenameInputs(*target.signature, inputs);
  absl::StatusOr<TensorMap> outputs = Run(target, inputs, "Predict", deadline);
  if (outputs.ok()) KeepOnly(filter, &*outputs);
  return outputs;
}

absl::StatusOr<TensorMap> Api::Run(const Target& target, const TensorMap& inputs, const char* api,
                                   absl::Time deadline) const {
  if (absl::StatusOr<int64_t> runs = CheckInputs(*target.signature, inputs); !runs.ok()) return runs.status();
  const absl::Time start = absl::Now();
  if (start >= deadline) return absl::DeadlineExceededError("the deadline passed before the run");
  RunOptions options;
  options.deadline = deadline;
  absl::StatusOr<TensorMap> outputs = target.handle.servable->Run(target.signature_name, inputs, options);
  metrics_.RuntimeLatency(target.handle.id.name, api, absl::Now() - start);
  return outputs;
}

absl::StatusOr<tfs::GetModelStatusResponse> Api::Status(const ModelSpec& spec) const {
  absl::StatusOr<std::vector<VersionStatus>> versions = catalogue_.Statuses(spec);
  if (!versions.ok()) return versions.status();
  tfs::GetModelStatusResponse response;
  for (const VersionStatus& version : *versions) {
    tfs::ModelVersionStatus& proto = *response.add_model_version_status();
    proto.set_version(version.version);
    proto.set_state(static_cast<tfs::ModelVersionStatus::State>(version.state));
    proto.mutable_status()->set_error_code(static_cast<tensorflow::error::Code>(version.error.code()));
    proto.mutable_status()->set_error_message(std::string(version.error.message()));
  }
  return response;
}

absl::StatusOr<tfs::GetModelMetadataResponse> Api::Metadata(const ModelSpec& spec) const {
  absl::StatusOr<ServableHandle> handle = catalogue_.Find(spec);
  if (!handle.ok()) return handle.status();
  tfs::SignatureDefMap signatures;
  for (const auto& [name, signature] : handle->servable->signatures()) {
    (*signatures.mutable_signature_def())[name] = ToProto(signature);
  }
  tfs::GetModelMetadataResponse response;
  response.mutable_model_spec()->set_name(handle->id.name);
  response.mutable_model_spec()->mutable_version()->set_value(handle->id.version);
  (*response.mutable_metadata())["signature_def"].PackFrom(signatures);
  return response;
}

absl::Status Api::Reload(const tfs::ReloadConfigRequest& request, absl::Time deadline) const {
  if (request.config().config_case() != tfs::ModelServerConfig::kModelConfigList) {
    return absl::InvalidArgumentError(
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
        "supported");
  }
  absl::StatusOr<ModelConfigs> configs = FromProto(request.config().model_config_list());
  if (!configs.ok()) return configs.status();
  return catalogue_.SetConfig(*configs, deadline);
}

}  // namespace ems
