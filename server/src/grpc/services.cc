#include "grpc/services.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "codec/tensor_proto.h"
#include "grpc/unary.h"
#include "model/rows.h"

namespace ems {

namespace {

namespace tfs = tensorflow::serving;

constexpr size_t kMostText = 1024;
// A reload without a deadline of the client's ends by then; loading goes on.
constexpr absl::Duration kMostReload = absl::Minutes(10);

template <typename Request>
absl::Status CheckSpec(const Request& request) {
  return request.has_model_spec() ? absl::OkStatus() : absl::InvalidArgumentError("Missing ModelSpec");
}

// Returns the status of a result; moves its value where there is one.
template <typename Response>
absl::Status MoveTo(absl::StatusOr<Response> result, Response* response) {
  if (result.ok()) *response = *std::move(result);
  return result.status();
}

// Counts a request in metrics when it is done. `model` must be the name of a configured model, or empty: a client's
// word makes no metric.
class Counted {
 public:
  Counted(Metrics& metrics, const char* api) : metrics_(metrics), api_(api), start_(SteadyNow()) {}
  void model(const std::string& name) { model_ = name; }
  grpc::Status Done(const absl::Status& status) {
    if (!model_.empty()) {
      metrics_.CountRequest(model_, status);
      // As in TensorFlow Serving (prediction_service_impl.cc), a failure has no latency.
      if (status.ok()) metrics_.RequestLatency(model_, api_, "GRPC", SteadyNow() - start_);
    }
    return ToGrpc(status);
  }

 private:
  Metrics& metrics_;
  const char* api_;
  absl::Time start_;
  std::string model_;
};

// Converts all inputs, and gives them the signature's names. Names are checked before any tensor is made: a few bytes
// of a message may stand for a large one.
absl::StatusOr<TensorMap> Inputs(const tfs::PredictRequest& request, const Signature& signature) {
  std::vector<std::string> sent;
  sent.reserve(request.inputs_size());
  for (const auto& [name, proto] : request.inputs()) sent.push_back(name);
  std::sort(sent.begin(), sent.end());  // the message's order is any
  const absl::StatusOr<std::vector<std::string>> names = MatchNames(signature, sent);
  if (!names.ok()) return names.status();
  TensorMap inputs;
  int64_t budget = kMostRepeatedBytes;
  for (size_t i = 0; i < sent.size(); ++i) {
    absl::StatusOr<Tensor> tensor = FromProto(request.inputs().at(sent[i]), &budget);
    // TensorFlow Serving says no more than this (servables/tensorflow/predict_util.cc).
    if (!tensor.ok()) return absl::InvalidArgumentError(absl::StrCat("tensor parsing error: ", sent[i]));
    inputs.emplace((*names)[i], *std::move(tensor));
  }
  return inputs;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string text(status.message());
  if (text.size() > kMostText) {
    text.resize(kMostText);
    text += "...TRUNCATED";
  }
  return {static_cast<grpc::StatusCode>(status.code()), text};
}

absl::Status PredictionService::Predict(const tfs::PredictRequest& request, const Target& target, absl::Time deadline,
                                        tfs::PredictResponse* response) const {
  absl::StatusOr<TensorMap> inputs = Inputs(request, *target.signature);
  if (!inputs.ok()) return inputs.status();
  const std::vector<std::string> filter(request.output_filter().begin(), request.output_filter().end());
  absl::StatusOr<TensorMap> outputs = api_.Predict(target, *std::move(inputs), filter, deadline);
  if (!outputs.ok()) return outputs.status();
  ToProto(target, response->mutable_model_spec());
  for (const auto& [name, tensor] : *outputs) {
    ToProto(tensor, as_tensor_content_, &(*response->mutable_outputs())[name]);
  }
  return absl::OkStatus();
}

grpc::Status PredictionService::Predict(const tfs::PredictRequest& request, absl::Time deadline,
                                        tfs::PredictResponse* response) const {
  Counted counted(api_.metrics(), "Predict");
  if (absl::Status status = CheckSpec(request); !status.ok()) return ToGrpc(status);
  absl::StatusOr<Target> target = api_.Resolve(FromProto(request.model_spec()), request.model_spec().signature_name());
  if (!target.ok()) return ToGrpc(target.status());
  counted.model(target->handle.id.name);
  return counted.Done(Predict(request, *target, deadline, response));
}

grpc::Status PredictionService::MultiInference(const tfs::MultiInferenceRequest& request, absl::Time deadline,
                                               tfs::MultiInferenceResponse* response) const {
  Counted counted(api_.metrics(), "MultiInference");
  if (request.tasks_size() > 0) counted.model(KnownName(request.tasks(0).model_spec()));
  return counted.Done(MoveTo(api_.MultiInference(request, deadline), response));
}

template <typename Request, typename Response>
grpc::Status PredictionService::OnExamples(const Request& request, absl::Time deadline, Response* response,
                                           ExamplesCall<Request, Response> call, const char* name) const {
  Counted counted(api_.metrics(), name);
  if (absl::Status status = CheckSpec(request); !status.ok()) return ToGrpc(status);
  counted.model(KnownName(request.model_spec()));
  return counted.Done(MoveTo((api_.*call)(request, deadline), response));
}

std::string PredictionService::KnownName(const tfs::ModelSpec& spec) const {
  return api_.catalogue().Find(FromProto(spec)).ok() ? spec.name() : "";
}

grpc::Status PredictionService::GetModelMetadata(const tfs::GetModelMetadataRequest& request,
                                                 tfs::GetModelMetadataResponse* response) const {
  if (absl::Status status = CheckSpec(request); !status.ok()) return ToGrpc(status);
  if (request.metadata_field().empty()) {
    return ToGrpc(absl::InvalidArgumentError("GetModelMetadataRequest must specify at least one metadata_field"));
  }
  for (const std::string& field : request.metadata_field()) {
    if (field != "signature_def") {
      return ToGrpc(absl::InvalidArgumentError(absl::StrCat("Metadata field ", field, " is not supported")));
    }
  }
  return ToGrpc(MoveTo(api_.Metadata(FromProto(request.model_spec())), response));
}

void PredictionService::Serve(CallThreads& threads) {
  using Service = tfs::PredictionService::AsyncService;
  ServeUnary(threads, service_, &Service::RequestPredict, Pace::kSlow,
             [this](const auto& request, absl::Time deadline, auto* response) {
               return Predict(request, deadline, response);
             });
  ServeUnary(threads, service_, &Service::RequestClassify, Pace::kSlow,
             [this](const auto& request, absl::Time deadline, auto* response) {
               return OnExamples(request, deadline, response, &Api::Classify, "Classify");
             });
  ServeUnary(threads, service_, &Service::RequestRegress, Pace::kSlow,
             [this](const auto& request, absl::Time deadline, auto* response) {
               return OnExamples(request, deadline, response, &Api::Regress, "Regress");
             });
  ServeUnary(threads, service_, &Service::RequestMultiInference, Pace::kSlow,
             [this](const auto& request, absl::Time deadline, auto* response) {
               return MultiInference(request, deadline, response);
             });
  ServeUnary(threads, service_, &Service::RequestGetModelMetadata, Pace::kQuick,
             [this](const auto& request, absl::Time /*deadline*/, auto* response) {
               return GetModelMetadata(request, response);
             });
}

grpc::Status ModelService::GetModelStatus(const tfs::GetModelStatusRequest& request,
                                          tfs::GetModelStatusResponse* response) const {
  if (absl::Status status = CheckSpec(request); !status.ok()) return ToGrpc(status);
  return ToGrpc(MoveTo(api_.Status(FromProto(request.model_spec())), response));
}

grpc::Status ModelService::HandleReloadConfigRequest(const tfs::ReloadConfigRequest& request, absl::Time deadline,
                                                     tfs::ReloadConfigResponse* response) const {
  const absl::Status status = api_.Reload(request, std::min(deadline, SteadyNow() + kMostReload));
  response->mutable_status()->set_error_code(static_cast<tensorflow::error::Code>(status.code()));
  response->mutable_status()->set_error_message(std::string(status.message()));
  return ToGrpc(status);
}

void ModelService::Serve(CallThreads& threads) {
  using Service = tfs::ModelService::AsyncService;
  ServeUnary(threads, service_, &Service::RequestGetModelStatus, Pace::kQuick,
             [this](const auto& request, absl::Time /*deadline*/, auto* response) {
               return GetModelStatus(request, response);
             });
  ServeUnary(threads, service_, &Service::RequestHandleReloadConfigRequest, Pace::kSlow,
             [this](const auto& request, absl::Time deadline, auto* response) {
               return HandleReloadConfigRequest(request, deadline, response);
             });
}

}  // namespace ems
