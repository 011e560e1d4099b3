#include "rest/v1.h"

#include <google/protobuf/util/json_util.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/json_examples.h"

namespace ems {
namespace {

namespace tfs = tensorflow::serving;

// Prints as TensorFlow Serving's ToJsonString: strings for int64, all fields, one space of indent.
std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  // Messages of our own making always print.
  static_cast<void>(google::protobuf::util::MessageToJsonString(message, &json, options));
  return json;
}

// The texts of http_rest_api_handler.cc: gRPC has others for the same mistake.
absl::Status UnknownSignature(const std::string& name) {
  return absl::InvalidArgumentError(absl::StrCat("Serving signature name: \"", name.empty() ? kDefaultSignature : name,
                                                 "\" not found in signature def"));
}

tfs::ModelSpec ToProto(const ModelSpec& spec, const std::string& signature) {
  tfs::ModelSpec proto;
  proto.set_name(spec.name);
  if (spec.version) proto.mutable_version()->set_value(*spec.version);
  if (!spec.label.empty()) proto.set_version_label(spec.label);
  proto.set_signature_name(signature);
  return proto;
}

bool IsImage(const HttpRequest& request) {
  const auto type = request.headers.find("content-type");
  return type != request.headers.end() && StartsWith(Lower(type->second), "image/");
}

const char* Name(V1Call::Kind kind) {
  switch (kind) {
    case V1Call::Kind::kClassify:
      return "classify";
    case V1Call::Kind::kRegress:
      return "regress";
    default:
      return "predict";
  }
}

}  // namespace

void Count(Metrics& metrics, const std::string& model, const char* api, absl::Time start, const absl::Status& status) {
  if (model.empty()) return;
  metrics.CountRequest(model, status);
  // As over gRPC and in TensorFlow Serving, a failure has no latency.
  if (status.ok()) metrics.RequestLatency(model, api, "REST", SteadyNow() - start);
}

absl::StatusOr<std::string> V1::Handle(const std::string& method, const HttpRequest& request) const {
  const absl::StatusOr<V1Call> call = ParseV1(method, request.target);
  if (!call.ok()) return call.status();
  if (call->spec.name.empty()) return absl::InvalidArgumentError("Missing model name in request.");
  if (call->kind == V1Call::Kind::kStatus) return Status(call->spec);
  if (call->kind == V1Call::Kind::kMetadata) return Metadata(call->spec);
  const absl::Time start = SteadyNow();
  std::string model;
  absl::StatusOr<std::string> reply = Compute(*call, request, start + timeout_, &model);
  Count(api_.metrics(), model, Name(call->kind), start, reply.status());
  return reply;
}

absl::StatusOr<std::string> V1::Status(const ModelSpec& spec) const {
  const absl::StatusOr<tfs::GetModelStatusResponse> status = api_.Status(spec);
  if (!status.ok()) return status.status();
  return ToJson(*status);
}

absl::StatusOr<std::string> V1::Metadata(const ModelSpec& spec) const {
  const absl::StatusOr<tfs::GetModelMetadataResponse> response = api_.Metadata(spec);
  if (!response.ok()) return response.status();
  tfs::SignatureDefMap signatures;
  response->metadata().at("signature_def").UnpackTo(&signatures);
  // TensorFlow Serving puts the two messages together by hand as well; an Any would print its type.
  return absl::StrCat("{\n\"model_spec\":", ToJson(response->model_spec()),
                      ",\n\"metadata\": {\"signature_def\": ", ToJson(signatures), "}\n}\n");
}

absl::StatusOr<std::string> V1::Predict(const ModelSpec& spec, const std::string& body, absl::Time deadline,
                                        std::string* model) const {
  const absl::StatusOr<PredictBody> request = PredictBody::Parse(body);
  if (!request.ok()) return request.status();
  const absl::StatusOr<Target> target = api_.Resolve(spec, request->signature_name());
  if (absl::IsFailedPrecondition(target.status())) return UnknownSignature(request->signature_name());
  if (!target.ok()) return target.status();
  *model = target->handle.id.name;
  absl::StatusOr<TensorMap> inputs = request->Inputs(*target->signature);
  if (!inputs.ok()) return inputs.status();
  const absl::StatusOr<TensorMap> outputs = api_.Predict(*target, *std::move(inputs), {}, deadline);
  if (!outputs.ok()) return outputs.status();
  return PredictReply(*outputs, request->form());
}

absl::StatusOr<std::string> V1::PredictImage(const ModelSpec& spec, const std::string& file, absl::Time deadline,
                                             std::string* model) const {
  const absl::StatusOr<Target> target = api_.Resolve(spec, "");
  if (absl::IsFailedPrecondition(target.status())) return UnknownSignature("");
  if (!target.ok()) return target.status();
  *model = target->handle.id.name;
  const std::map<std::string, TensorSpec>& inputs = target->signature->inputs;
  if (inputs.size() != 1 || !inputs.begin()->second.image) {
    return absl::InvalidArgumentError(
        absl::StrCat("model ", *model, " takes no image: it needs one input that is an image; send JSON"));
  }
  TensorMap image;
  image[inputs.begin()->first] = {DataType::kString, {1}, "", {file}};
  const absl::StatusOr<TensorMap> outputs = api_.Predict(*target, std::move(image), {}, deadline);
  if (!outputs.ok()) return outputs.status();
  return PredictReply(*outputs, JsonForm::kRow);
}

template <typename Request, typename Call, typename Reply>
absl::StatusOr<std::string> V1::OnExamples(const ModelSpec& spec, const std::string& body, std::string* model,
                                           Call call, Reply reply) const {
  absl::StatusOr<ExamplesBody> examples = ParseExamples(body);
  if (!examples.ok()) return examples.status();
  const absl::StatusOr<ServableHandle> handle = api_.catalogue().Find(spec);
  if (!handle.ok()) return handle.status();
  *model = handle->id.name;
  Request request;
  *request.mutable_model_spec() = ToProto(spec, examples->signature_name);
  *request.mutable_input() = std::move(examples->input);
  const auto response = call(request);
  if (!response.ok()) return response.status();
  return reply(response->result());
}

absl::StatusOr<std::string> V1::Compute(const V1Call& call, const HttpRequest& request, absl::Time deadline,
                                        std::string* model) const {
  const std::string& body = request.body;
  switch (call.kind) {
    case V1Call::Kind::kClassify:
      return OnExamples<tfs::ClassificationRequest>(
          call.spec, body, model, [&](const auto& message) { return api_.Classify(message, deadline); }, ClassifyReply);
    case V1Call::Kind::kRegress:
      return OnExamples<tfs::RegressionRequest>(
          call.spec, body, model, [&](const auto& message) { return api_.Regress(message, deadline); }, RegressReply);
    default:
      return IsImage(request) ? PredictImage(call.spec, body, deadline, model)
                              : Predict(call.spec, body, deadline, model);
  }
}

}  // namespace ems
