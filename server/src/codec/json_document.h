// What the JSON codecs share: parsing within limits, TensorFlow Serving's error texts, base64 objects.
#ifndef EMS_CODEC_JSON_DOCUMENT_H_
#define EMS_CODEC_JSON_DOCUMENT_H_

#include <rapidjson/document.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/tensor.h"

namespace ems {

// Returns the object that a body is. INVALID_ARGUMENT "JSON Parse error: ..." where it is not JSON or beyond the limits
// of codec/json.h, "JSON Value: ... Is not object" where it is another value, and where a key of it is duplicate.
absl::StatusOr<rapidjson::Document> ParseObject(std::string_view body);

// INVALID_ARGUMENT where two members of an object have the same name.
absl::Status CheckKeys(const rapidjson::Value& object);

// Returns the member "signature_name", empty where there is none. INVALID_ARGUMENT where it is not a string.
absl::StatusOr<std::string> SignatureNameOf(const rapidjson::Value& object);

// Returns the member `name` of an object, or null.
const rapidjson::Value* FindMember(const rapidjson::Value& object, std::string_view name);

// Returns the bytes of a JSON string.
std::string_view StringOf(const rapidjson::Value& value);

// Returns a value as error texts print it; cut after a kilobyte.
std::string ValueText(const rapidjson::Value& value);

// Returns the type of a value in error texts: "Null", "False", "Number" ...
std::string TypeText(const rapidjson::Value& value);

// Returns the name of a dtype in error texts: "float", "int8" ...
std::string DtypeText(DataType dtype);

// INVALID_ARGUMENT "JSON Value: VALUE REASON".
absl::Status FormatError(const rapidjson::Value& value, std::string_view reason);

// INVALID_ARGUMENT "Cannot convert JSON value: VALUE to TARGET without loss of precision."
absl::Status LossyError(const rapidjson::Value& value, std::string_view target);

// Returns whether a value is {"b64": STRING}, which stands for a string.
bool IsBase64(const rapidjson::Value& value);

// Returns the decoded bytes. INVALID_ARGUMENT where the value is no {"b64": STRING} or does not decode.
absl::StatusOr<std::string> DecodeBase64(const rapidjson::Value& value);

// Returns whether a number can become a float: whole numbers up to 2^24-1, others within its range. NaN and infinity
// can.
bool FitsFloat(const rapidjson::Value& number);

// The same for double, with 2^53-1, and for half, with 2^11-1.
bool FitsDouble(const rapidjson::Value& number);
bool FitsHalf(const rapidjson::Value& number);

}  // namespace ems

#endif  // EMS_CODEC_JSON_DOCUMENT_H_
