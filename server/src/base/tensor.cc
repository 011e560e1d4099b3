#include "base/tensor.h"

#include <limits>
#include <utility>

namespace ems {

namespace {

struct TypeRow {
  DataType dtype;
  std::string_view name;
  size_t size;
};

constexpr TypeRow kTypes[] = {
    {DataType::kFloat, "DT_FLOAT", 4},   {DataType::kDouble, "DT_DOUBLE", 8},
    {DataType::kInt32, "DT_INT32", 4},   {DataType::kUint8, "DT_UINT8", 1},
    {DataType::kInt16, "DT_INT16", 2},   {DataType::kInt8, "DT_INT8", 1},
    {DataType::kString, "DT_STRING", 0}, {DataType::kComplex64, "DT_COMPLEX64", 8},
    {DataType::kInt64, "DT_INT64", 8},   {DataType::kBool, "DT_BOOL", 1},
    {DataType::kUint16, "DT_UINT16", 2}, {DataType::kComplex128, "DT_COMPLEX128", 16},
    {DataType::kHalf, "DT_HALF", 2},     {DataType::kUint32, "DT_UINT32", 4},
    {DataType::kUint64, "DT_UINT64", 8}, {DataType::kInvalid, "DT_INVALID", 0},
};

const TypeRow& Row(DataType dtype) {
  for (const TypeRow& row : kTypes) {
    if (row.dtype == dtype) return row;
  }
  return kTypes[std::size(kTypes) - 1];
}

}  // namespace

size_t ElementSize(DataType dtype) { return Row(dtype).size; }

std::string_view Name(DataType dtype) { return Row(dtype).name; }

// With addresses of 32 bits, the bytes of more elements could not even be counted.
constexpr int64_t kMostElements = sizeof(size_t) < sizeof(int64_t)
                                      ? static_cast<int64_t>(std::numeric_limits<size_t>::max() / 16)
                                      : std::numeric_limits<int64_t>::max();

std::optional<int64_t> NumElements(const Shape& shape) {
  int64_t product = 1;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) {
      empty = true;
    } else if (product > kMostElements / size) {
      return std::nullopt;
    } else {
      product *= size;
    }
  }
  return empty ? 0 : product;
}

std::string ToString(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ',';
    text += shape[i] < 0 ? "?" : std::to_string(shape[i]);
  }
  return text + "]";
}

Tensor MakeTensor(DataType dtype, Shape shape) {
  Tensor tensor;
  tensor.dtype = dtype;
  const auto count = static_cast<size_t>(NumElements(shape).value_or(0));
  tensor.shape = std::move(shape);
  if (dtype == DataType::kString) {
    tensor.strings.resize(count);
  } else {
    tensor.bytes.resize(count * ElementSize(dtype));
  }
  return tensor;
}

bool IsWhole(const Tensor& tensor) {
  const std::optional<int64_t> count = NumElements(tensor.shape);
  if (!count || tensor.dtype == DataType::kInvalid) return false;
  if (tensor.dtype == DataType::kString) return tensor.strings.size() == static_cast<uint64_t>(*count);
  return tensor.bytes.size() / ElementSize(tensor.dtype) == static_cast<uint64_t>(*count) &&
         tensor.bytes.size() % ElementSize(tensor.dtype) == 0;
}

}  // namespace ems
