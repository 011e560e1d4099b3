#include "codec/json_v2.h"

#include <array>
#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "codec/json.h"
#include "codec/json_document.h"
#include "codec/json_tensor.h"

namespace ems {

namespace {

using rapidjson::Document;
using rapidjson::Value;

struct Datatype {
  std::string_view name;
  DataType dtype;
};

constexpr std::array<Datatype, 13> kDatatypes = {{
    {"BOOL", DataType::kBool},
    {"UINT8", DataType::kUint8},
    {"UINT16", DataType::kUint16},
    {"UINT32", DataType::kUint32},
    {"UINT64", DataType::kUint64},
    {"INT8", DataType::kInt8},
    {"INT16", DataType::kInt16},
    {"INT32", DataType::kInt32},
    {"INT64", DataType::kInt64},
    {"FP16", DataType::kHalf},
    {"FP32", DataType::kFloat},
    {"FP64", DataType::kDouble},
    {"BYTES", DataType::kString},
}};

absl::Status Error(const std::string& text) { return absl::InvalidArgumentError(text); }

// Takes bytes off the front of what follows the JSON; nothing where there are fewer.
std::optional<std::string_view> TakeBytes(uint64_t count, std::string_view* bytes) {
  if (count > bytes->size()) return std::nullopt;
  const std::string_view taken = bytes->substr(0, count);
  bytes->remove_prefix(count);
  return taken;
}

// Returns the string member `name` of an object, empty where there is none.
absl::StatusOr<std::string> StringMember(const Value& object, std::string_view name) {
  const Value* value = FindMember(object, name);
  if (value == nullptr) return std::string();
  if (!value->IsString()) return Error(absl::StrCat("'", std::string(name), "' must be a string"));
  return std::string(StringOf(*value));
}

// Returns the parameter `name` of a request, input or output; null where there is none.
absl::StatusOr<const Value*> Parameter(const Value& object, std::string_view name) {
  const Value* parameters = FindMember(object, "parameters");
  if (parameters == nullptr) return nullptr;
  if (!parameters->IsObject()) return Error("'parameters' must be an object");
  return FindMember(*parameters, name);
}

absl::StatusOr<bool> BoolParameter(const Value& object, std::string_view name, bool otherwise) {
  const absl::StatusOr<const Value*> value = Parameter(object, name);
  if (!value.ok()) return value.status();
  if (*value == nullptr) return otherwise;
  if (!(*value)->IsBool()) return Error(absl::StrCat("parameter '", std::string(name), "' must be a bool"));
  return (*value)->GetBool();
}

absl::StatusOr<Shape> ShapeOf(const Value& input) {
  const Value* sizes = FindMember(input, "shape");
  if (sizes == nullptr || !sizes->IsArray()) return Error("'shape' must be a list of whole numbers");
  Shape shape;
  for (const Value& size : sizes->GetArray()) {
    if (!size.IsInt64()) return Error("'shape' must be a list of whole numbers");
    shape.push_back(size.GetInt64());
  }
  if (!NumElements(shape)) return Error("not a shape: " + ToString(shape));
  return shape;
}

absl::Status ReadData(const Value& data, Tensor* tensor) {
  if (!data.IsArray()) return Error("'data' must be a list");
  if (!data.Empty() && data[0].IsArray()) return AppendNested(data, tensor);
  const int64_t count = *NumElements(tensor->shape);
  if (data.Size() != count) {
    return Error(absl::StrCat("'data' has ", data.Size(), " values for the shape ", ToString(tensor->shape)));
  }
  for (const Value& value : data.GetArray()) {
    if (absl::Status status = AppendValue(value, tensor); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// `*room`: how many elements the request may still have.
absl::Status ReadStrings(std::string_view bytes, int64_t* room, Tensor* tensor) {
  const int64_t count = *NumElements(tensor->shape);
  // An element takes four bytes here, but a std::string in memory.
  if (count > *room) return Error(absl::StrCat("more than ", kMostValues, " elements"));
  *room -= count;
  while (!bytes.empty() && static_cast<int64_t>(tensor->strings.size()) <= count) {
    uint32_t size = 0;
    const std::optional<std::string_view> prefix = TakeBytes(sizeof(size), &bytes);
    if (prefix) std::memcpy(&size, prefix->data(), sizeof(size));
    const std::optional<std::string_view> text = prefix ? TakeBytes(size, &bytes) : std::nullopt;
    if (!text) return Error("the binary data ends inside an element");
    tensor->strings.emplace_back(*text);
  }
  if (static_cast<int64_t>(tensor->strings.size()) == count) return absl::OkStatus();
  return Error("the binary data has not as many elements as the shape " + ToString(tensor->shape));
}

absl::Status ReadBinary(std::string_view bytes, int64_t* room, Tensor* tensor) {
  if (tensor->dtype == DataType::kString) return ReadStrings(bytes, room, tensor);
  tensor->bytes.assign(bytes);
  if (!IsWhole(*tensor)) {
    return Error(absl::StrCat("the binary data has ", bytes.size(), " bytes for the shape ", ToString(tensor->shape)));
  }
  if (tensor->dtype == DataType::kBool &&
      tensor->bytes.find_first_not_of(std::string("\0\1", 2)) != std::string::npos) {
    return Error("a byte of a BOOL is neither 0 nor 1");
  }
  return absl::OkStatus();
}

// Reads shape, datatype and data of an input; `*binary` is what follows the JSON and is not read.
absl::StatusOr<Tensor> ReadInput(const Value& input, std::string_view* binary, int64_t* room) {
  const absl::StatusOr<std::string> datatype = StringMember(input, "datatype");
  if (!datatype.ok()) return datatype.status();
  Tensor tensor;
  tensor.dtype = FromV2Name(*datatype);
  if (tensor.dtype == DataType::kInvalid) return Error(absl::StrCat("unknown datatype '", *datatype, "'"));
  absl::StatusOr<Shape> shape = ShapeOf(input);
  if (!shape.ok()) return shape.status();
  tensor.shape = *std::move(shape);
  const absl::StatusOr<const Value*> size = Parameter(input, "binary_data_size");
  if (!size.ok()) return size.status();
  const Value* data = FindMember(input, "data");
  if ((data != nullptr) == (*size != nullptr)) return Error("needs either 'data' or the parameter 'binary_data_size'");
  absl::Status status;
  if (data != nullptr) {
    status = ReadData(*data, &tensor);
  } else {
    if (!(*size)->IsUint64()) return Error("parameter 'binary_data_size' must be a whole number");
    const std::optional<std::string_view> bytes = TakeBytes((*size)->GetUint64(), binary);
    if (!bytes) return Error(absl::StrCat("the body has only ", binary->size(), " bytes of binary data"));
    status = ReadBinary(*bytes, room, &tensor);
  }
  if (!status.ok()) return status;
  return tensor;
}

// Returns the name of an element of "inputs" or "outputs".
absl::StatusOr<std::string> NameOf(const Value& element, const std::string& list) {
  if (!element.IsObject()) return Error(absl::StrCat("'", list, "' must be a list of objects"));
  if (absl::Status status = CheckKeys(element); !status.ok()) return status;
  absl::StatusOr<std::string> name = StringMember(element, "name");
  if (name.ok() && name->empty()) return Error(absl::StrCat("an element of '", list, "' has no 'name'"));
  return name;
}

absl::Status ReadInputs(const Document& body, std::string_view binary, InferRequest* request) {
  const Value* inputs = FindMember(body, "inputs");
  if (inputs == nullptr || !inputs->IsArray()) return Error("'inputs' must be a list of objects");
  int64_t room = kMostValues;
  for (const Value& input : inputs->GetArray()) {
    const absl::StatusOr<std::string> name = NameOf(input, "inputs");
    if (!name.ok()) return name.status();
    absl::StatusOr<Tensor> tensor = ReadInput(input, &binary, &room);
    if (!tensor.ok()) return Error(absl::StrCat("input '", *name, "': ", tensor.status().message()));
    if (!request->inputs.emplace(*name, *std::move(tensor)).second) {
      return Error(absl::StrCat("duplicate input '", *name, "'"));
    }
  }
  if (binary.empty()) return absl::OkStatus();
  return Error(absl::StrCat(binary.size(), " bytes of binary data belong to no input"));
}

absl::Status ReadOutputs(const Document& body, InferRequest* request) {
  const absl::StatusOr<bool> all = BoolParameter(body, "binary_data_output", false);
  if (!all.ok()) return all.status();
  request->binary = *all;
  const Value* outputs = FindMember(body, "outputs");
  if (outputs == nullptr) return absl::OkStatus();
  if (!outputs->IsArray()) return Error("'outputs' must be a list of objects");
  std::set<std::string> names;
  for (const Value& output : outputs->GetArray()) {
    absl::StatusOr<std::string> name = NameOf(output, "outputs");
    if (!name.ok()) return name.status();
    if (!names.insert(*name).second) return Error(absl::StrCat("duplicate output '", *name, "'"));
    const absl::StatusOr<bool> binary = BoolParameter(output, "binary_data", request->binary);
    if (!binary.ok()) return binary.status();
    // The client would take the values for strings of classes.
    const absl::StatusOr<const Value*> classes = Parameter(output, "classification");
    if (!classes.ok()) return classes.status();
    if (*classes != nullptr) return Error("parameter 'classification' is not supported");
    request->outputs.push_back({*std::move(name), *binary});
  }
  return absl::OkStatus();
}

absl::Status ReadSignature(const Document& body, InferRequest* request) {
  const absl::StatusOr<const Value*> name = Parameter(body, "signature_name");
  if (!name.ok()) return name.status();
  if (*name == nullptr) return absl::OkStatus();
  if (!(*name)->IsString()) return Error("parameter 'signature_name' must be a string");
  request->signature_name = StringOf(**name);
  return absl::OkStatus();
}

}  // namespace

std::string_view V2Name(DataType dtype) {
  for (const Datatype& row : kDatatypes) {
    if (row.dtype == dtype) return row.name;
  }
  return "";
}

DataType FromV2Name(std::string_view name) {
  for (const Datatype& row : kDatatypes) {
    if (row.name == name) return row.dtype;
  }
  return DataType::kInvalid;
}

absl::StatusOr<InferRequest> ParseInfer(std::string_view body, std::optional<size_t> json_bytes) {
  std::string_view binary = body;
  const std::optional<std::string_view> json = TakeBytes(json_bytes.value_or(body.size()), &binary);
  if (!json) return Error(absl::StrCat("the body has only ", body.size(), " bytes, fewer than its JSON"));
  const absl::StatusOr<Document> document = ParseObject(*json);
  if (!document.ok()) return document.status();
  InferRequest request;
  absl::StatusOr<std::string> id = StringMember(*document, "id");
  if (!id.ok()) return id.status();
  request.id = *std::move(id);
  if (absl::Status status = ReadSignature(*document, &request); !status.ok()) return status;
  if (absl::Status status = ReadOutputs(*document, &request); !status.ok()) return status;
  if (absl::Status status = ReadInputs(*document, binary, &request); !status.ok()) return status;
  return request;
}

}  // namespace ems
