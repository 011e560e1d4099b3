// The layout of TensorFlow Serving's JSON: 4 spaces, arrays on one line where asked for, decimals as it prints them.
#ifndef EMS_CODEC_JSON_WRITER_H_
#define EMS_CODEC_JSON_WRITER_H_

#include <rapidjson/document.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/tensor.h"

namespace ems {

// Returns a finite number as %.6g, or with 9 or 17 digits where 6 are not exact, and always with ".0" or an exponent;
// else NaN, Infinity or -Infinity.
std::string DecimalText(float value);
std::string DecimalText(double value);

// Returns whether bytes are UTF-8, which JSON has to be.
bool IsUtf8(std::string_view bytes);

class JsonWriter {
 public:
  JsonWriter() : writer_(buffer_) {}

  void StartObject() { writer_.StartObject(); }
  void EndObject() { writer_.EndObject(); }
  void StartArray() { writer_.StartArray(); }
  void EndArray() { writer_.EndArray(); }
  void Key(std::string_view name) { writer_.Key(name.data(), static_cast<rapidjson::SizeType>(name.size())); }
  void Bool(bool value) { writer_.Bool(value); }
  void Int64(int64_t value) { writer_.Int64(value); }
  void Uint64(uint64_t value) { writer_.Uint64(value); }
  void String(std::string_view text) { writer_.String(text.data(), static_cast<rapidjson::SizeType>(text.size())); }
  void Base64(std::string_view bytes);
  void Decimal(float value) { Raw(DecimalText(value)); }
  void Decimal(double value) { Raw(DecimalText(value)); }
  // Writes a parsed value; a decimal that is not in an array or object with the digits of a float where it is in range.
  void Value(const rapidjson::Value& value);
  // Whether the elements of an array follow each other on a line, from the next element or end of an array on.
  void OneLine(bool on) {
    writer_.SetFormatOptions(on ? rapidjson::kFormatSingleLineArray : rapidjson::kFormatDefault);
  }
  std::string Take() const { return {buffer_.GetString(), buffer_.GetSize()}; }

 private:
  // Writes NaN and infinities inside of a parsed value too. rapidjson 1.1's own flag for them does not compile.
  class Writer : public rapidjson::PrettyWriter<rapidjson::StringBuffer> {
   public:
    using PrettyWriter::PrettyWriter;
    bool Double(double value);
  };

  void Raw(const std::string& number) { writer_.RawValue(number.data(), number.size(), rapidjson::kNumberType); }

  rapidjson::StringBuffer buffer_;
  Writer writer_;
};

// Writes the elements from `*element` on that make an array of the dimensions from `dim` on, or a single element where
// there are none; `*element` goes to the next. Strings are {"b64": ...} where `as_base64`.
// INVALID_ARGUMENT "Failed to write JSON value for tensor type: complex64".
absl::Status WriteElements(const Tensor& tensor, size_t dim, bool as_base64, size_t* element, JsonWriter* writer);

// Writes all elements as a flat list; the dtype is not complex.
void WriteFlat(const Tensor& tensor, JsonWriter* writer);

}  // namespace ems

#endif  // EMS_CODEC_JSON_WRITER_H_
