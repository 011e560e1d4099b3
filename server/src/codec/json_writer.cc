#include "codec/json_writer.h"

#include <rapidjson/encodings.h>
#include <rapidjson/memorystream.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "codec/half.h"
#include "codec/json_document.h"

namespace ems {

namespace {

template <typename T>
std::string Decimal(T value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  constexpr int kFewDigits = 6;
  // A sign, the digits, a point, an exponent such as e-308.
  std::array<char, std::numeric_limits<T>::max_digits10 + 16> buffer;
  char* const begin = buffer.data();
  char* const limit = begin + buffer.size();
  char* end = std::to_chars(begin, limit, value, std::chars_format::general, kFewDigits).ptr;
  T read = 0;
  std::from_chars(begin, end, read);
  if (read != value) {
    constexpr int kAllDigits = std::numeric_limits<T>::max_digits10;
    end = std::to_chars(begin, limit, value, std::chars_format::general, kAllDigits).ptr;
  }
  std::string text(begin, end);
  // Clients choose the type by the text: a list is not to hold both 1 and 1.5.
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

void WriteElement(const Tensor& tensor, bool as_base64, size_t i, JsonWriter* writer) {
  switch (tensor.dtype) {
    case DataType::kFloat:
      writer->Decimal(tensor.data<float>()[i]);
      break;
    case DataType::kDouble:
      writer->Decimal(tensor.data<double>()[i]);
      break;
    case DataType::kHalf:
      writer->Decimal(HalfToFloat(tensor.data<uint16_t>()[i]));
      break;
    case DataType::kInt32:
      writer->Int64(tensor.data<int32_t>()[i]);
      break;
    case DataType::kInt16:
      writer->Int64(tensor.data<int16_t>()[i]);
      break;
    case DataType::kInt8:
      writer->Int64(tensor.data<int8_t>()[i]);
      break;
    case DataType::kInt64:
      writer->Int64(tensor.data<int64_t>()[i]);
      break;
    case DataType::kUint8:
      writer->Uint64(tensor.data<uint8_t>()[i]);
      break;
    case DataType::kUint16:
      writer->Uint64(tensor.data<uint16_t>()[i]);
      break;
    case DataType::kUint32:
      writer->Uint64(tensor.data<uint32_t>()[i]);
      break;
    case DataType::kUint64:
      writer->Uint64(tensor.data<uint64_t>()[i]);
      break;
    case DataType::kBool:
      writer->Bool(tensor.data<bool>()[i]);
      break;
    default:
      if (as_base64) {
        writer->Base64(tensor.strings[i]);
      } else {
        writer->String(tensor.strings[i]);
      }
  }
}

void WriteFrom(const Tensor& tensor, size_t dim, bool as_base64, size_t* element, JsonWriter* writer) {
  if (dim >= tensor.shape.size()) {
    WriteElement(tensor, as_base64, (*element)++, writer);
    return;
  }
  writer->StartArray();
  for (int64_t i = 0; i < tensor.shape[dim]; ++i) WriteFrom(tensor, dim + 1, as_base64, element, writer);
  writer->EndArray();
}

}  // namespace

std::string DecimalText(float value) { return Decimal(value); }

std::string DecimalText(double value) { return Decimal(value); }

bool IsUtf8(std::string_view bytes) {
  rapidjson::MemoryStream stream(bytes.data(), bytes.size());
  struct {
    void Put(char /*byte*/) {}
  } nowhere;
  while (stream.Tell() < bytes.size()) {
    if (!rapidjson::UTF8<>::Validate(stream, nowhere)) return false;
  }
  return true;
}

void JsonWriter::Base64(std::string_view bytes) {
  StartObject();
  Key("b64");
  String(absl::Base64Escape({bytes.data(), bytes.size()}));
  EndObject();
}

bool JsonWriter::Writer::Double(double value) {
  if (std::isfinite(value)) return PrettyWriter::Double(value);
  const std::string text = DecimalText(value);
  return RawValue(text.data(), text.size(), rapidjson::kNumberType);
}

void JsonWriter::Value(const rapidjson::Value& value) {
  if (value.IsFloat()) {
    Decimal(value.GetFloat());
  } else if (value.IsDouble()) {
    Decimal(value.GetDouble());
  } else {
    value.Accept(writer_);
  }
}

absl::Status WriteElements(const Tensor& tensor, size_t dim, bool as_base64, size_t* element, JsonWriter* writer) {
  if (tensor.dtype == DataType::kComplex64 || tensor.dtype == DataType::kComplex128) {
    return absl::InvalidArgumentError("Failed to write JSON value for tensor type: " + DtypeText(tensor.dtype));
  }
  WriteFrom(tensor, dim, as_base64, element, writer);
  return absl::OkStatus();
}

void WriteFlat(const Tensor& tensor, JsonWriter* writer) {
  const auto count = static_cast<size_t>(NumElements(tensor.shape).value_or(0));
  writer->StartArray();
  for (size_t i = 0; i < count; ++i) WriteElement(tensor, false, i, writer);
  writer->EndArray();
}

}  // namespace ems
