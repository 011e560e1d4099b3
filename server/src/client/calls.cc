#include "client/calls.h"

#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "client/file.h"
#include "codec/tensor_proto.h"
#include "tensorflow_serving/apis/model_service.grpc.pb.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace ems {

namespace {

namespace tfs = tensorflow::serving;

absl::Status ToStatus(const grpc::Status& status) {
  // Both number their codes alike.
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  if (path.empty()) return "";
  absl::StatusOr<std::string> text = ReadFile(path);
  if (text.ok() && text->empty()) text = absl::NotFoundError(absl::StrCat(path, " is empty"));
  if (text.ok()) return text;
  return absl::InvalidArgumentError(absl::StrCat("--ca, --cert and --key take PEM files: ", text.status().message()));
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(const ServerAddress& address) {
  if (address.ca_file.empty() && address.cert_file.empty() && address.key_file.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  grpc::SslCredentialsOptions options;
  const std::pair<const std::string*, std::string*> files[] = {
      {&address.ca_file, &options.pem_root_certs},
      {&address.key_file, &options.pem_private_key},
      {&address.cert_file, &options.pem_cert_chain},
  };
  for (const auto& [path, text] : files) {
    absl::StatusOr<std::string> content = ReadPem(*path);
    if (!content.ok()) return content.status();
    *text = *std::move(content);
  }
  return grpc::SslCredentials(options);
}

void SetDeadline(double seconds, grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() +
                        std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6)));
}

void Fill(const VersionChoice& choice, tfs::ModelSpec* spec) {
  spec->set_name(choice.model);
  if (choice.version) spec->mutable_version()->set_value(*choice.version);
  if (!choice.label.empty()) spec->set_version_label(choice.label);
}

std::map<std::string, TensorSpec> ToSpecs(const google::protobuf::Map<std::string, tensorflow::TensorInfo>& tensors) {
  std::map<std::string, TensorSpec> specs;
  for (const auto& [name, info] : tensors) {
    TensorSpec& spec = specs[name];
    spec.dtype = static_cast<DataType>(info.dtype());
    spec.tensor_name = info.name();
    for (const auto& dim : info.tensor_shape().dim()) spec.shape.push_back(dim.size());
  }
  return specs;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Connect(const ServerAddress& address) {
  absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials = Credentials(address);
  if (!credentials.ok()) return credentials.status();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(std::numeric_limits<int>::max());
  // Boards are on the local network; http_proxy is for the web.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return std::unique_ptr<Server>(
      new Server(grpc::CreateCustomChannel(address.target, *credentials, arguments), address.timeout_seconds));
}

absl::StatusOr<bool> Server::Health() const {
  // HealthCheckRequest is a string in field 1, its response an enum in field 1: on the wire as these wrappers.
  grpc::TemplatedGenericStub<google::protobuf::StringValue, google::protobuf::Int32Value> stub(channel_);
  grpc::ClientContext context;
  SetDeadline(timeout_seconds_, &context);
  const google::protobuf::StringValue all;
  google::protobuf::Int32Value state;
  grpc::Status status;
  absl::Notification done;
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &all, &state, [&](grpc::Status result) {
    status = std::move(result);
    done.Notify();
  });
  done.WaitForNotification();
  if (!status.ok()) return ToStatus(status);
  constexpr int kServing = 1;
  return state.value() == kServing;
}

absl::StatusOr<std::vector<VersionLine>> Server::Status(const VersionChoice& choice) const {
  tfs::GetModelStatusRequest request;
  Fill(choice, request.mutable_model_spec());
  tfs::GetModelStatusResponse response;
  grpc::ClientContext context;
  SetDeadline(timeout_seconds_, &context);
  const auto stub = tfs::ModelService::NewStub(channel_);
  const grpc::Status status = stub->GetModelStatus(&context, request, &response);
  if (!status.ok()) return ToStatus(status);
  std::vector<VersionLine> lines;
  for (const tfs::ModelVersionStatus& version : response.model_version_status()) {
    lines.push_back(
        {version.version(), tfs::ModelVersionStatus::State_Name(version.state()), version.status().error_message()});
  }
  return lines;
}

absl::StatusOr<SignatureMap> Server::Metadata(const VersionChoice& choice) const {
  constexpr char kField[] = "signature_def";
  tfs::GetModelMetadataRequest request;
  Fill(choice, request.mutable_model_spec());
  request.add_metadata_field(kField);
  tfs::GetModelMetadataResponse response;
  grpc::ClientContext context;
  SetDeadline(timeout_seconds_, &context);
  const auto stub = tfs::PredictionService::NewStub(channel_);
  const grpc::Status status = stub->GetModelMetadata(&context, request, &response);
  if (!status.ok()) return ToStatus(status);
  const auto found = response.metadata().find(kField);
  tfs::SignatureDefMap map;
  if (found == response.metadata().end() || !found->second.UnpackTo(&map)) {
    return absl::InternalError("the server's answer has no signature_def");
  }
  SignatureMap signatures;
  for (const auto& [name, definition] : map.signature_def()) {
    signatures[name] = {definition.method_name(), ToSpecs(definition.inputs()), ToSpecs(definition.outputs())};
  }
  return signatures;
}

absl::StatusOr<TensorMap> Server::Predict(const VersionChoice& choice, const std::string& signature,
                                          const TensorMap& inputs) const {
  tfs::PredictRequest request;
  Fill(choice, request.mutable_model_spec());
  request.mutable_model_spec()->set_signature_name(signature);
  for (const auto& [name, tensor] : inputs) ToProto(tensor, /*as_content=*/true, &(*request.mutable_inputs())[name]);
  tfs::PredictResponse response;
  grpc::ClientContext context;
  SetDeadline(timeout_seconds_, &context);
  const auto stub = tfs::PredictionService::NewStub(channel_);
  const grpc::Status status = stub->Predict(&context, request, &response);
  if (!status.ok()) return ToStatus(status);
  return FromProtos(response.outputs());
}

}  // namespace ems
