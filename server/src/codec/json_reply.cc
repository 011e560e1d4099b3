// The replies of codec/json.h.
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "codec/json.h"
#include "codec/json_writer.h"

namespace ems {

namespace {

// The size of the first dimension of all outputs.
absl::StatusOr<int64_t> BatchSize(const TensorMap& outputs) {
  int64_t batch = -1;
  for (const auto& [name, tensor] : outputs) {
    if (tensor.shape.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("Tensor name: ", name, " has no shape information "));
    }
    if (batch >= 0 && tensor.shape[0] != batch) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Tensor name: ", name, " has inconsistent batch size: ", tensor.shape[0], " expecting: ", batch));
    }
    batch = tensor.shape[0];
  }
  return batch;
}

// The model's strings are text, or bytes where the output's name says so.
bool IsBytes(const std::string& name) { return absl::EndsWith(name, "_bytes"); }

absl::StatusOr<std::string> RowReply(const TensorMap& outputs) {
  const absl::StatusOr<int64_t> batch = BatchSize(outputs);
  if (!batch.ok()) return batch.status();
  const bool objects = outputs.size() > 1;
  std::map<std::string, size_t> next;  // the first element of each output that is not written
  JsonWriter writer;
  writer.StartObject();
  writer.Key("predictions");
  writer.StartArray();
  for (int64_t row = 0; row < *batch; ++row) {
    if (objects) writer.StartObject();
    // Only around the values, so that the list of rows ends on a line of its own, as TensorFlow Serving's does.
    writer.OneLine(true);
    for (const auto& [name, tensor] : outputs) {
      if (objects) writer.Key(name);
      absl::Status status = WriteElements(tensor, 1, IsBytes(name), &next[name], &writer);
      if (!status.ok()) return status;
    }
    writer.OneLine(false);
    if (objects) writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
  return writer.Take();
}

absl::StatusOr<std::string> ColumnReply(const TensorMap& outputs) {
  const bool object = outputs.size() > 1;
  JsonWriter writer;
  writer.StartObject();
  writer.Key("outputs");
  if (object) writer.StartObject();
  for (const auto& [name, tensor] : outputs) {
    if (object) writer.Key(name);
    size_t next = 0;
    if (absl::Status status = WriteElements(tensor, 0, IsBytes(name), &next, &writer); !status.ok()) return status;
  }
  if (object) writer.EndObject();
  writer.EndObject();
  return writer.Take();
}

}  // namespace

absl::StatusOr<std::string> PredictReply(const TensorMap& outputs, JsonForm form) {
  if (outputs.empty()) return absl::InvalidArgumentError("Cannot convert empty tensor map to JSON");
  return form == JsonForm::kRow ? RowReply(outputs) : ColumnReply(outputs);
}

std::string ErrorReply(std::string_view text) {
  JsonWriter writer;
  writer.StartObject();
  writer.Key("error");
  // The text can quote what a client sent.
  writer.String(IsUtf8(text) ? std::string(text) : absl::CHexEscape({text.data(), text.size()}));
  writer.EndObject();
  return writer.Take();
}

}  // namespace ems
