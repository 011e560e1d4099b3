#include "codec/json_document.h"

#include <rapidjson/encodedstream.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "codec/half.h"
#include "codec/json.h"
#include "codec/json_writer.h"

namespace ems {

namespace {

using rapidjson::Document;
using rapidjson::SizeType;
using rapidjson::Value;

// The most bytes of a value in an error text.
constexpr size_t kMostValueText = 1024;

// Iterative: the parser's own stack is the heap. Not with full precision, as in TensorFlow Serving: rapidjson 1.1 then
// counts the leading zeros of a zero for numbers such as 0e38. The last digit of a double can differ.
constexpr unsigned kParseFlags = rapidjson::kParseNanAndInfFlag | rapidjson::kParseIterativeFlag;

// Hands the parser's events to a document, and stops at the limits.
class Limited {
 public:
  explicit Limited(Document& document) : document_(document) {}

  // The limit at which parsing stopped; empty where it did not.
  const std::string& limit() const { return limit_; }

  bool Null() { return Count() && document_.Null(); }
  bool Bool(bool value) { return Count() && document_.Bool(value); }
  bool Int(int value) { return Count() && document_.Int(value); }
  bool Uint(unsigned value) { return Count() && document_.Uint(value); }
  bool Int64(int64_t value) { return Count() && document_.Int64(value); }
  bool Uint64(uint64_t value) { return Count() && document_.Uint64(value); }
  bool Double(double value) { return Count() && document_.Double(value); }
  bool RawNumber(const char* text, SizeType size, bool copy) { return document_.RawNumber(text, size, copy); }
  bool String(const char* text, SizeType size, bool copy) { return Count() && document_.String(text, size, copy); }
  bool StartObject() { return Enter() && document_.StartObject(); }
  bool Key(const char* text, SizeType size, bool copy) { return Count() && document_.Key(text, size, copy); }
  bool EndObject(SizeType members) { return Leave() && document_.EndObject(members); }
  bool StartArray() { return Enter() && document_.StartArray(); }
  bool EndArray(SizeType elements) { return Leave() && document_.EndArray(elements); }

 private:
  bool Count() {
    if (++values_ <= kMostValues) return true;
    limit_ = absl::StrCat("More than ", kMostValues, " values.");
    return false;
  }
  bool Enter() {
    if (++depth_ <= kMostNesting) return Count();
    limit_ = absl::StrCat("Nested deeper than ", kMostNesting, " levels.");
    return false;
  }
  bool Leave() {
    --depth_;
    return true;
  }

  Document& document_;
  std::string limit_;
  int values_ = 0;
  int depth_ = 0;
};

// What Document::Populate calls.
class Parser {
 public:
  explicit Parser(std::string_view body) : memory_(body.data(), body.size()), stream_(memory_), size_(body.size()) {}

  bool operator()(Document& document) {
    Limited handler(document);
    rapidjson::Reader reader;
    result_ = reader.Parse<kParseFlags>(stream_, handler);
    limit_ = handler.limit();
    return !result_.IsError();
  }

  absl::Status status() const {
    if (!limit_.empty()) return Error(limit_, result_.Offset());
    if (result_.IsError()) return Error(rapidjson::GetParseError_En(result_.Code()), result_.Offset());
    // A zero byte ends rapidjson's stream, whatever follows.
    if (stream_.Tell() != size_) {
      return Error(rapidjson::GetParseError_En(rapidjson::kParseErrorDocumentRootNotSingular), stream_.Tell());
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Error(const std::string& text, size_t offset) {
    return absl::InvalidArgumentError(absl::StrCat("JSON Parse error: ", text, " at offset: ", offset));
  }

  rapidjson::MemoryStream memory_;
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream_;
  size_t size_;
  rapidjson::ParseResult result_;
  std::string limit_;
};

// Returns whether `number` is a whole number of at most `digits` bits, or a fraction below `limit`.
bool Fits(const Value& number, int digits, double limit) {
  const double value = number.GetDouble();
  if (!std::isfinite(value)) return true;
  const uint64_t most_int = (uint64_t{1} << digits) - 1;
  if (number.IsUint64()) return number.GetUint64() <= most_int;
  if (number.IsInt64()) return -value <= static_cast<double>(most_int);
  return std::fabs(value) < limit;
}

// What rounds to infinity. The largest number of a type, printed with the digits that it needs, can be above itself.
constexpr double kFloatLimit = 0x1.ffffffp127;

}  // namespace

absl::StatusOr<Document> ParseObject(std::string_view body) {
  if (body.empty()) return absl::InvalidArgumentError("JSON Parse error: The document is empty");
  Document document;
  Parser parser(body);
  document.Populate(parser);
  if (absl::Status status = parser.status(); !status.ok()) return status;
  if (!document.IsObject()) return FormatError(document, "Is not object");
  if (absl::Status status = CheckKeys(document); !status.ok()) return status;
  return document;
}

absl::Status CheckKeys(const Value& object) {
  std::set<std::string_view> names;
  for (const auto& member : object.GetObject()) {
    if (!names.insert(StringOf(member.name)).second) {
      return FormatError(object, "has the key '" + std::string(StringOf(member.name)) + "' more than once");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> SignatureNameOf(const Value& object) {
  const Value* name = FindMember(object, "signature_name");
  if (name == nullptr) return std::string();
  if (!name->IsString()) {
    return FormatError(object, "not formatted correctly. 'signature_name' key must be a string value.");
  }
  return std::string(StringOf(*name));
}

const Value* FindMember(const Value& object, std::string_view name) {
  const auto found = object.FindMember(Value(rapidjson::StringRef(name.data(), static_cast<SizeType>(name.size()))));
  return found == object.MemberEnd() ? nullptr : &found->value;
}

std::string_view StringOf(const Value& value) { return {value.GetString(), value.GetStringLength()}; }

std::string ValueText(const Value& value) {
  JsonWriter writer;
  writer.Value(value);
  std::string text = writer.Take();
  if (text.size() <= kMostValueText) return text;
  size_t end = kMostValueText;
  // A character is not cut.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string TypeText(const Value& value) {
  switch (value.GetType()) {
    case rapidjson::kNullType:
      return "Null";
    case rapidjson::kFalseType:
      return "False";
    case rapidjson::kTrueType:
      return "True";
    case rapidjson::kObjectType:
      return "Object";
    case rapidjson::kArrayType:
      return "Array";
    case rapidjson::kStringType:
      return "String";
    case rapidjson::kNumberType:
      break;
  }
  return "Number";
}

std::string DtypeText(DataType dtype) {
  constexpr std::string_view kPrefix = "DT_";
  return absl::AsciiStrToLower(std::string(Name(dtype).substr(kPrefix.size())));
}

absl::Status FormatError(const Value& value, std::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat("JSON Value: ", ValueText(value), " ", std::string(reason)));
}

absl::Status LossyError(const Value& value, std::string_view target) {
  return absl::InvalidArgumentError(absl::StrCat("Cannot convert JSON value: ", ValueText(value), " to ",
                                                 std::string(target), " without loss of precision."));
}

bool IsBase64(const Value& value) {
  if (!value.IsObject() || value.MemberCount() != 1) return false;
  const auto member = value.MemberBegin();
  return StringOf(member->name) == "b64" && member->value.IsString();
}

absl::StatusOr<std::string> DecodeBase64(const Value& value) {
  if (!IsBase64(value)) return FormatError(value, "not formatted correctly for base64 data");
  const Value& text = value.MemberBegin()->value;
  std::string bytes;
  if (!absl::Base64Unescape({text.GetString(), text.GetStringLength()}, &bytes)) {
    return absl::InvalidArgumentError("Unable to base64 decode");
  }
  return bytes;
}

bool FitsFloat(const Value& number) { return Fits(number, std::numeric_limits<float>::digits, kFloatLimit); }

bool FitsDouble(const Value& number) {
  return Fits(number, std::numeric_limits<double>::digits, std::numeric_limits<double>::infinity());
}

bool FitsHalf(const Value& number) { return Fits(number, 11, kHalfLimit); }

}  // namespace ems
