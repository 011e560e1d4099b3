// The replies of codec/json_v2.h.
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "codec/json_document.h"
#include "codec/json_v2.h"
#include "codec/json_writer.h"

namespace ems {

namespace {

// Appends the bytes of a tensor: elements of BYTES have their size before them.
void AppendBinary(const Tensor& tensor, std::string* body) {
  body->append(tensor.bytes);
  for (const std::string& text : tensor.strings) {
    const auto size = static_cast<uint32_t>(text.size());
    body->append(reinterpret_cast<const char*>(&size), sizeof(size));
    body->append(text);
  }
}

size_t BinarySize(const Tensor& tensor) {
  size_t size = tensor.bytes.size();
  for (const std::string& text : tensor.strings) size += sizeof(uint32_t) + text.size();
  return size;
}

absl::Status CheckOutput(const std::string& name, const Tensor& tensor, bool binary) {
  if (V2Name(tensor.dtype).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("output '", name, "' is ", DtypeText(tensor.dtype), ", which the protocol does not have"));
  }
  if (binary) return absl::OkStatus();
  for (const std::string& text : tensor.strings) {
    if (IsUtf8(text)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("output '", name, "' is not UTF-8; ask for it with the parameter 'binary_data'"));
  }
  return absl::OkStatus();
}

void WriteOutput(const std::string& name, const Tensor& tensor, bool binary, JsonWriter* writer) {
  writer->StartObject();
  writer->Key("name");
  writer->String(name);
  writer->Key("datatype");
  writer->String(V2Name(tensor.dtype));
  writer->OneLine(true);
  writer->Key("shape");
  writer->StartArray();
  for (const int64_t size : tensor.shape) writer->Int64(size);
  writer->EndArray();
  if (binary) {
    writer->Key("parameters");
    writer->StartObject();
    writer->Key("binary_data_size");
    writer->Uint64(BinarySize(tensor));
    writer->EndObject();
  } else {
    writer->Key("data");
    WriteFlat(tensor, writer);
  }
  writer->OneLine(false);
  writer->EndObject();
}

// The outputs in the request's order, or all of them by name.
std::vector<InferOutput> OutputsOf(const InferRequest& request, const TensorMap& tensors) {
  if (!request.outputs.empty()) return request.outputs;
  std::vector<InferOutput> outputs;
  for (const auto& [name, tensor] : tensors) outputs.push_back({name, request.binary});
  return outputs;
}

}  // namespace

absl::StatusOr<InferReply> ReplyToInfer(const InferRequest& request, const std::string& model_name, int64_t version,
                                        const TensorMap& outputs) {
  JsonWriter writer;
  std::string binary;
  bool any_binary = false;
  writer.StartObject();
  writer.Key("model_name");
  writer.String(model_name);
  writer.Key("model_version");
  writer.String(absl::StrCat(version));
  if (!request.id.empty()) {
    writer.Key("id");
    writer.String(request.id);
  }
  writer.Key("outputs");
  writer.StartArray();
  for (const InferOutput& output : OutputsOf(request, outputs)) {
    const auto found = outputs.find(output.name);
    if (found == outputs.end()) return absl::InvalidArgumentError(absl::StrCat("no output '", output.name, "'"));
    if (absl::Status status = CheckOutput(output.name, found->second, output.binary); !status.ok()) return status;
    WriteOutput(output.name, found->second, output.binary, &writer);
    if (output.binary) AppendBinary(found->second, &binary);
    any_binary = any_binary || output.binary;
  }
  writer.EndArray();
  writer.EndObject();
  InferReply reply;
  reply.body = writer.Take();
  if (any_binary) reply.json_bytes = reply.body.size();
  reply.body += binary;
  return reply;
}

}  // namespace ems
