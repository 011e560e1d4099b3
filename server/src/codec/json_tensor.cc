#include "codec/json_tensor.h"

#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "codec/half.h"
#include "codec/json_document.h"

namespace ems {

namespace {

using rapidjson::Value;

absl::Status TypeError(const Value& value, DataType dtype) {
  return absl::InvalidArgumentError(absl::StrCat("JSON Value: ", ValueText(value), " Type: ", TypeText(value),
                                                 " is not of expected type: ", DtypeText(dtype)));
}

template <typename T>
void Push(T value, Tensor* tensor) {
  tensor->bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// Appends a whole number that T holds.
template <typename T>
absl::Status AppendInt(const Value& value, Tensor* tensor) {
  if constexpr (std::numeric_limits<T>::is_signed) {
    if (!value.IsInt64() || value.GetInt64() < std::numeric_limits<T>::min() ||
        value.GetInt64() > std::numeric_limits<T>::max()) {
      return TypeError(value, tensor->dtype);
    }
    Push(static_cast<T>(value.GetInt64()), tensor);
  } else {
    if (!value.IsUint64() || value.GetUint64() > std::numeric_limits<T>::max()) return TypeError(value, tensor->dtype);
    Push(static_cast<T>(value.GetUint64()), tensor);
  }
  return absl::OkStatus();
}

absl::Status AppendDecimal(const Value& value, Tensor* tensor) {
  if (!value.IsNumber()) return TypeError(value, tensor->dtype);
  if (tensor->dtype == DataType::kFloat) {
    if (!FitsFloat(value)) return LossyError(value, "float");
    Push(value.GetFloat(), tensor);
  } else if (tensor->dtype == DataType::kDouble) {
    if (!FitsDouble(value)) return LossyError(value, "double");
    Push(value.GetDouble(), tensor);
  } else {
    if (!FitsHalf(value)) return LossyError(value, "half");
    Push(FloatToHalf(value.GetFloat()), tensor);
  }
  return absl::OkStatus();
}

absl::Status AppendString(const Value& value, Tensor* tensor) {
  if (value.IsObject()) {
    absl::StatusOr<std::string> bytes = DecodeBase64(value);
    if (!bytes.ok()) return bytes.status();
    tensor->strings.push_back(*std::move(bytes));
    return absl::OkStatus();
  }
  if (!value.IsString()) return TypeError(value, tensor->dtype);
  tensor->strings.emplace_back(StringOf(value));
  return absl::OkStatus();
}

absl::Status AppendBool(const Value& value, Tensor* tensor) {
  if (!value.IsBool()) return TypeError(value, tensor->dtype);
  Push(value.GetBool(), tensor);
  return absl::OkStatus();
}

const Value& FirstElement(const Value& value) {
  const Value* element = &value;
  while (element->IsArray() && !element->Empty()) element = &(*element)[0];
  return *element;
}

bool IsString(const Value& value) { return value.IsString() || IsBase64(value); }

// The first element of each list gives the sizes; FillFrom checks the others.
Shape ShapeOf(const Value& value) {
  Shape shape;
  for (const Value* list = &value; list->IsArray(); list = &(*list)[0]) {
    shape.push_back(list->Size());
    if (list->Empty()) break;
  }
  return shape;
}

// Appends the elements of a value at depth `level` of a value of this shape, and counts them.
absl::Status FillFrom(const Value& value, size_t level, const Shape& shape, int64_t* count, Tensor* tensor) {
  if (!value.IsArray()) {
    if (level != shape.size()) {
      return absl::InvalidArgumentError(absl::StrCat("JSON Value: ", ValueText(value), " found at incorrect level: ",
                                                     level + 1, " in the JSON DOM. Expected at level: ", shape.size()));
    }
    ++*count;
    return AppendValue(value, tensor);
  }
  if (level >= shape.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Encountered list at unexpected level: ", level, " expected < ", shape.size()));
  }
  if (value.Size() != shape[level]) {
    return absl::InvalidArgumentError(absl::StrCat("Encountered list at unexpected size: ", value.Size(),
                                                   " at level: ", level, " expected size: ", shape[level]));
  }
  for (const Value& element : value.GetArray()) {
    if (absl::Status status = FillFrom(element, level + 1, shape, count, tensor); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AppendValue(const Value& value, Tensor* tensor) {
  switch (tensor->dtype) {
    case DataType::kFloat:
    case DataType::kDouble:
    case DataType::kHalf:
      return AppendDecimal(value, tensor);
    case DataType::kInt8:
      return AppendInt<int8_t>(value, tensor);
    case DataType::kInt16:
      return AppendInt<int16_t>(value, tensor);
    case DataType::kInt32:
      return AppendInt<int32_t>(value, tensor);
    case DataType::kInt64:
      return AppendInt<int64_t>(value, tensor);
    case DataType::kUint8:
      return AppendInt<uint8_t>(value, tensor);
    case DataType::kUint16:
      return AppendInt<uint16_t>(value, tensor);
    case DataType::kUint32:
      return AppendInt<uint32_t>(value, tensor);
    case DataType::kUint64:
      return AppendInt<uint64_t>(value, tensor);
    case DataType::kBool:
      return AppendBool(value, tensor);
    case DataType::kString:
      return AppendString(value, tensor);
    default:
      return absl::UnimplementedError(
          absl::StrCat("Conversion of JSON Value: ", ValueText(value), " to type: ", DtypeText(tensor->dtype)));
  }
}

absl::Status AppendNested(const Value& value, Tensor* tensor) {
  int64_t count = 0;
  return FillFrom(value, 0, tensor->shape, &count, tensor);
}

absl::Status JsonRows::Add(const Value& value) {
  if (image_ && rows_ == 0 && IsString(FirstElement(value))) tensor_.dtype = DataType::kString;
  Shape shape = ShapeOf(value);
  int64_t size = 0;
  if (absl::Status status = FillFrom(value, 0, shape, &size, &tensor_); !status.ok()) return status;
  if (rows_++ == 0) {
    row_size_ = size;
    tensor_.shape = std::move(shape);
  } else if (size != row_size_) {
    return absl::InvalidArgumentError(absl::StrCat("Expecting tensor size: ", row_size_, " but got: ", size));
  } else if (shape != tensor_.shape) {
    return absl::InvalidArgumentError(
        absl::StrCat("Expecting shape ", ToString(tensor_.shape), " but got: ", ToString(shape)));
  }
  return absl::OkStatus();
}

Tensor JsonRows::Rows() && {
  tensor_.shape.insert(tensor_.shape.begin(), rows_);
  return std::move(tensor_);
}

Tensor JsonRows::Single() && { return std::move(tensor_); }

}  // namespace ems
