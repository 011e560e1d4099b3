#include "api/api.h"

#include <utility>

namespace ems {

namespace {

namespace tfs = tensorflow::serving;

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
