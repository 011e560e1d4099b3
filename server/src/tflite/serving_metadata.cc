#include "tflite/serving_metadata.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "flatbuffers/flexbuffers.h"

namespace ems {
namespace {

// The name of the metadata (tensorflow/lite/tools/signature/signature_def_util.h).
constexpr char kMetadata[] = "signature_defs_metadata";

// Reads the fields of a serialised protocol buffer. Four messages of which a few strings count do not justify
// linking protobuf into the worker, whose memory is for the model.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}

  // Moves to the next field. Returns false at the end and where the bytes are no message.
  bool Next() {
    const std::optional<uint64_t> tag = Varint();
    if (bytes_.empty() || !tag) return false;
    number_ = static_cast<int>(*tag >> 3);
    value_ = {};
    switch (*tag & 7) {
      case 0:
        return Varint().has_value() || Fail();
      case 1:
        return Skip(8);
      case 2: {
        const std::optional<uint64_t> size = Varint();
        if (!size || *size > bytes_.size()) return Fail();
        value_ = bytes_.substr(0, *size);
        return Skip(*size);
      }
      case 5:
        return Skip(4);
      default:
        return Fail();
    }
  }

  int number() const { return number_; }
  // The bytes of a length-delimited field; empty for the other wire types.
  std::string_view value() const { return value_; }
  bool failed() const { return failed_; }

 private:
  bool Fail() {
    failed_ = true;
    bytes_ = {};
    return false;
  }

  bool Skip(uint64_t size) {
    if (size > bytes_.size()) return Fail();
    bytes_.remove_prefix(size);
    return true;
  }

  std::optional<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }

  std::string_view bytes_;
  std::string_view value_;
  int number_ = 0;
  bool failed_ = false;
};

// Returns the string field `wanted` of a message; nothing where it does not parse.
std::optional<std::string> StringField(std::string_view message, int wanted) {
  WireReader reader(message);
  std::string text;
  while (reader.Next()) {
    if (reader.number() == wanted) text = reader.value();
  }
  if (reader.failed()) return std::nullopt;
  return text;
}

// An entry of map<string, TensorInfo>: key = 1, value = 2, TensorInfo.name = 1.
bool AddEntry(std::string_view entry, std::map<std::string, std::string>& tensors) {
  const std::optional<std::string> key = StringField(entry, 1);
  const std::optional<std::string> info = StringField(entry, 2);
  if (!key || !info) return false;
  const std::optional<std::string> name = StringField(*info, 1);
  if (!name) return false;
  tensors[*key] = *name;
  return true;
}

// SignatureDef: inputs = 1, outputs = 2, method_name = 3.
std::optional<ServingSignature> Parse(std::string_view message) {
  ServingSignature signature;
  WireReader reader(message);
  while (reader.Next()) {
    if (reader.number() == 1 && !AddEntry(reader.value(), signature.inputs)) return std::nullopt;
    if (reader.number() == 2 && !AddEntry(reader.value(), signature.outputs)) return std::nullopt;
    if (reader.number() == 3) signature.method_name = reader.value();
  }
  if (reader.failed()) return std::nullopt;
  return signature;
}

const flatbuffers::Vector<uint8_t>* FindMetadata(const tflite::Model& model) {
  if (model.metadata() == nullptr || model.buffers() == nullptr) return nullptr;
  for (const tflite::Metadata* metadata : *model.metadata()) {
    if (metadata->name() == nullptr || metadata->name()->string_view() != kMetadata) continue;
    if (metadata->buffer() >= model.buffers()->size()) return nullptr;
    return model.buffers()->Get(metadata->buffer())->data();
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<std::map<std::string, ServingSignature>> ReadServingMetadata(const tflite::Model& model) {
  std::map<std::string, ServingSignature> signatures;
  const flatbuffers::Vector<uint8_t>* bytes = FindMetadata(model);
  if (bytes == nullptr) return signatures;
  // Nothing but this verifier checks a flexbuffer: its readers trust every offset.
  std::vector<uint8_t> reuse;
  if (!flexbuffers::VerifyBuffer(bytes->data(), bytes->size(), &reuse)) {
    return absl::InvalidArgumentError(absl::StrCat("the metadata ", kMetadata, " is damaged"));
  }
  const flexbuffers::Map map = flexbuffers::GetRoot(bytes->data(), bytes->size()).AsMap();
  const flexbuffers::TypedVector keys = map.Keys();
  for (size_t i = 0; i < map.size(); ++i) {
    const flexbuffers::String text = map.Values()[i].AsString();
    std::optional<ServingSignature> signature = Parse({text.c_str(), text.length()});
    if (!signature) {
      return absl::InvalidArgumentError(
          absl::StrCat("the metadata ", kMetadata, " holds no SignatureDef for ", keys[i].AsKey()));
    }
    signatures[keys[i].AsKey()] = *std::move(signature);
  }
  return signatures;
}

}  // namespace ems
