#include "rest/v2.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "codec/json_v2.h"
#include "codec/json_writer.h"
#include "rest/status.h"
#include "rest/v1.h"

namespace ems {
namespace {

constexpr char kJsonBytes[] = "inference-header-content-length";

// Returns {"NAME": value} with the code 503 where it is false: probes read the code only.
HttpResponse Flag(const char* name, bool value) {
  HttpResponse response;
  response.code = value ? 200 : 503;
  response.body = absl::StrCat("{\"", name, "\": ", value ? "true" : "false", "}\n");
  return response;
}

HttpResponse Json(std::string body) {
  HttpResponse response;
  response.body = std::move(body);
  return response;
}

void WriteSpecs(const char* key, const std::map<std::string, TensorSpec>& specs, JsonWriter* writer) {
  writer->Key(key);
  writer->StartArray();
  for (const auto& [name, spec] : specs) {
    writer->StartObject();
    writer->Key("name");
    writer->String(name);
    writer->Key("datatype");
    writer->String(V2Name(spec.dtype));
    writer->Key("shape");
    writer->OneLine(true);
    writer->StartArray();
    for (const int64_t size : spec.shape) writer->Int64(size);
    writer->EndArray();
    writer->OneLine(false);
    writer->EndObject();
  }
  writer->EndArray();
}

// Returns the size of the JSON before binary data, where the header tells it.
absl::StatusOr<std::optional<size_t>> JsonBytes(const HttpRequest& request) {
  const auto header = request.headers.find(kJsonBytes);
  if (header == request.headers.end()) return std::nullopt;
  uint64_t bytes = 0;
  if (!absl::SimpleAtoi(header->second, &bytes)) {
    return absl::InvalidArgumentError("the header Inference-Header-Content-Length is no number");
  }
  return bytes;
}

}  // namespace

HttpResponse V2::Handle(const std::string& method, std::string_view path, const HttpRequest& request) const {
  const absl::StatusOr<V2Call> call = ParseV2(method, path);
  if (!call.ok()) return ErrorResponse(call.status());
  absl::StatusOr<HttpResponse> response = Call(*call, request);
  return response.ok() ? *std::move(response) : ErrorResponse(response.status());
}

absl::StatusOr<HttpResponse> V2::Call(const V2Call& call, const HttpRequest& request) const {
  switch (call.kind) {
    case V2Call::Kind::kServer:
      return Json(Server());
    case V2Call::Kind::kLive:
      return Flag("live", true);
    case V2Call::Kind::kReady:
      return Flag("ready", api_.catalogue().Ready());
    case V2Call::Kind::kModelReady:
      return ModelReady(call.spec);
    case V2Call::Kind::kModel: {
      absl::StatusOr<std::string> body = Model(call.spec);
      if (!body.ok()) return body.status();
      return Json(*std::move(body));
    }
    case V2Call::Kind::kInfer:
      break;
  }
  const absl::Time start = SteadyNow();
  std::string model;
  absl::StatusOr<HttpResponse> response = Infer(call.spec, request, start + timeout_, &model);
  Count(api_.metrics(), model, "infer", start, response.status());
  return response;
}

std::string V2::Server() const {
  JsonWriter writer;
  writer.StartObject();
  writer.Key("name");
  writer.String("edge-model-server");
  writer.Key("version");
  writer.String(version_);
  writer.Key("extensions");
  writer.StartArray();
  writer.String("binary_tensor_data");
  writer.EndArray();
  writer.EndObject();
  return writer.Take();
}

absl::StatusOr<std::string> V2::Model(const ModelSpec& spec) const {
  const absl::StatusOr<ServableHandle> handle = api_.catalogue().Find(spec);
  if (!handle.ok()) return handle.status();
  const absl::StatusOr<std::vector<VersionStatus>> versions = api_.catalogue().Statuses({spec.name, {}, ""});
  if (!versions.ok()) return versions.status();
  const SignatureMap& signatures = handle->servable->signatures();
  const auto default_signature = signatures.find(kDefaultSignature);
  // A request that names no signature needs the default; without it, any is better than none.
  const Signature& signature =
      default_signature == signatures.end() ? signatures.begin()->second : default_signature->second;
  JsonWriter writer;
  writer.StartObject();
  writer.Key("name");
  writer.String(handle->id.name);
  writer.Key("versions");
  writer.StartArray();
  for (const VersionStatus& version : *versions) {
    if (version.state == VersionState::kAvailable) writer.String(std::to_string(version.version));
  }
  writer.EndArray();
  writer.Key("platform");
  writer.String("tensorflow_lite");
  WriteSpecs("inputs", signature.inputs, &writer);
  WriteSpecs("outputs", signature.outputs, &writer);
  writer.EndObject();
  return writer.Take();
}

HttpResponse V2::ModelReady(const ModelSpec& spec) const {
  // A model that is not configured is an error; one that is not loaded is not ready.
  if (absl::Status known = api_.catalogue().Statuses(spec).status(); !known.ok()) return ErrorResponse(known);
  return Flag("ready", api_.catalogue().Find(spec).ok());
}

absl::StatusOr<HttpResponse> V2::Infer(const ModelSpec& spec, const HttpRequest& request, absl::Time deadline,
                                       std::string* model) const {
  const absl::StatusOr<std::optional<size_t>> json_bytes = JsonBytes(request);
  if (!json_bytes.ok()) return json_bytes.status();
  absl::StatusOr<InferRequest> infer = ParseInfer(request.body, *json_bytes);
  if (!infer.ok()) return infer.status();
  const absl::StatusOr<Target> target = api_.Resolve(spec, infer->signature_name);
  if (!target.ok()) return target.status();
  *model = target->handle.id.name;
  std::vector<std::string> filter;
  for (const InferOutput& output : infer->outputs) filter.push_back(output.name);
  const absl::StatusOr<TensorMap> outputs = api_.Predict(*target, std::move(infer->inputs), filter, deadline);
  if (!outputs.ok()) return outputs.status();
  absl::StatusOr<InferReply> reply = ReplyToInfer(*infer, target->handle.id.name, target->handle.id.version, *outputs);
  if (!reply.ok()) return reply.status();
  HttpResponse response = Json(std::move(reply->body));
  if (reply->json_bytes) {
    response.content_type = "application/octet-stream";
    response.headers.emplace_back("Inference-Header-Content-Length", std::to_string(*reply->json_bytes));
  }
  return response;
}

}  // namespace ems
