#include "client/numbers.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "codec/half.h"

namespace ems {

namespace {

// Calls `function` with a value of the dtype's C++ type. C++17 has none for kHalf.
template <typename Function>
auto WithType(DataType dtype, Function function) {
  switch (dtype) {
    case DataType::kDouble:
      return function(double{});
    case DataType::kInt32:
      return function(int32_t{});
    case DataType::kUint8:
      return function(uint8_t{});
    case DataType::kInt16:
      return function(int16_t{});
    case DataType::kInt8:
      return function(int8_t{});
    case DataType::kInt64:
      return function(int64_t{});
    case DataType::kBool:
      return function(bool{});
    case DataType::kUint16:
      return function(uint16_t{});
    case DataType::kUint32:
      return function(uint32_t{});
    case DataType::kUint64:
      return function(uint64_t{});
    default:
      return function(float{});
  }
}

}  // namespace

double Number(const Tensor& tensor, size_t index) {
  if (tensor.dtype == DataType::kHalf) return HalfToFloat(tensor.data<uint16_t>()[index]);
  return WithType(tensor.dtype, [&](auto type) { return static_cast<double>(tensor.data<decltype(type)>()[index]); });
}

absl::Status SetNumber(double value, size_t index, Tensor* tensor) {
  if (tensor->dtype == DataType::kComplex64) {
    tensor->data<float>()[2 * index] = static_cast<float>(value);
    return absl::OkStatus();
  }
  if (tensor->dtype == DataType::kComplex128) {
    tensor->data<double>()[2 * index] = value;
    return absl::OkStatus();
  }
  if (tensor->dtype == DataType::kHalf) {
    tensor->data<uint16_t>()[index] = FloatToHalf(static_cast<float>(value));
    return absl::OkStatus();
  }
  return WithType(tensor->dtype, [&](auto type) {
    using T = decltype(type);
    if constexpr (std::numeric_limits<T>::is_integer) {
      // The greatest 64-bit integers are no doubles: the limit above them is.
      const double limit = std::ldexp(1.0, std::numeric_limits<T>::digits);
      const double least = std::numeric_limits<T>::is_signed ? -limit : 0.0;
      if (value < least || value >= limit || value != std::trunc(value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("the value ", value, " is no ", std::string(Name(tensor->dtype))));
      }
    }
    tensor->data<T>()[index] = static_cast<T>(value);
    return absl::OkStatus();
  });
}

}  // namespace ems
