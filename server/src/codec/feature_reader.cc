#include "codec/feature_reader.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "codec/half.h"
#include "codec/json_document.h"

namespace ems {

namespace {

template <typename T>
bool Append(T value, Tensor* tensor) {
  tensor->bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  return true;
}

// Appends a whole number where T holds it.
template <typename T>
bool AppendWhole(int64_t value, Tensor* tensor) {
  if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) return false;
  return Append(static_cast<T>(value), tensor);
}

// Returns whether a floating-point type of `digits` bits holds every whole number up to this.
bool IsExact(int64_t value, int digits) {
  const int64_t limit = int64_t{1} << digits;
  return -limit < value && value < limit;
}

// Returns false where the dtype does not hold the value.
bool AppendInt(int64_t value, Tensor* tensor) {
  constexpr int kHalfDigits = 11;
  switch (tensor->dtype) {
    case DataType::kFloat:
      return IsExact(value, std::numeric_limits<float>::digits) && Append(static_cast<float>(value), tensor);
    case DataType::kDouble:
      return IsExact(value, std::numeric_limits<double>::digits) && Append(static_cast<double>(value), tensor);
    case DataType::kHalf:
      return IsExact(value, kHalfDigits) && Append(FloatToHalf(static_cast<float>(value)), tensor);
    case DataType::kInt8:
      return AppendWhole<int8_t>(value, tensor);
    case DataType::kInt16:
      return AppendWhole<int16_t>(value, tensor);
    case DataType::kInt32:
      return AppendWhole<int32_t>(value, tensor);
    case DataType::kInt64:
      return Append(value, tensor);
    case DataType::kUint8:
      return AppendWhole<uint8_t>(value, tensor);
    case DataType::kUint16:
      return AppendWhole<uint16_t>(value, tensor);
    case DataType::kUint32:
      return AppendWhole<uint32_t>(value, tensor);
    case DataType::kUint64:
      return value >= 0 && Append(static_cast<uint64_t>(value), tensor);
    case DataType::kBool:
      return (value == 0 || value == 1) && Append(value == 1, tensor);
    default:
      return false;
  }
}

bool TakesFloats(DataType dtype) {
  return dtype == DataType::kFloat || dtype == DataType::kDouble || dtype == DataType::kHalf;
}

// Returns false where the dtype, one that takes floats, does not hold the value.
bool AppendFloat(float value, Tensor* tensor) {
  switch (tensor->dtype) {
    case DataType::kFloat:
      return Append(value, tensor);
    case DataType::kDouble:
      return Append(static_cast<double>(value), tensor);
    case DataType::kHalf:
      // As in JSON: an infinity is sent as such.
      return (!std::isfinite(value) || std::fabs(value) < kHalfLimit) && Append(FloatToHalf(value), tensor);
    default:
      return false;
  }
}

}  // namespace

FeatureReader::FeatureReader(std::string name, const TensorSpec& spec) : name_(std::move(name)), shape_(spec.shape) {
  tensor_.dtype = spec.dtype;
}

absl::StatusOr<FeatureReader> FeatureReader::Create(std::string name, const TensorSpec& spec) {
  FeatureReader reader(std::move(name), spec);
  if (spec.shape.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("Input ", reader.name_, " has no dimension for examples."));
  }
  Shape known;
  for (size_t i = 1; i < spec.shape.size(); ++i) {
    if (spec.shape[i] >= 0) {
      known.push_back(spec.shape[i]);
    } else if (!reader.unknown_) {
      reader.unknown_ = i;
    } else {
      return absl::FailedPreconditionError(
          absl::StrCat("Input ", reader.name_, " has more than one unknown size: ", ToString(spec.shape)));
    }
  }
  reader.size_ = NumElements(known).value_or(0);
  return reader;
}

absl::Status FeatureReader::Add(const tensorflow::Feature* feature, int index) {
  if (feature == nullptr) return Error(index, "is required but could not be found.");
  switch (feature->kind_case()) {
    case tensorflow::Feature::kFloatList:
      return AddFloats(feature->float_list(), index);
    case tensorflow::Feature::kInt64List:
      return AddInts(feature->int64_list(), index);
    case tensorflow::Feature::kBytesList:
      return AddBytes(feature->bytes_list(), index);
    case tensorflow::Feature::KIND_NOT_SET:
      break;
  }
  return CheckSize(0, index);
}

absl::Status FeatureReader::AddFloats(const tensorflow::FloatList& list, int index) {
  for (const float value : list.value()) {
    if (!TakesFloats(tensor_.dtype)) return Error(index, "is a list of floats.");
    if (!AppendFloat(value, &tensor_)) return Error(index, absl::StrCat("cannot hold ", value, "."));
  }
  return CheckSize(list.value_size(), index);
}

absl::Status FeatureReader::AddInts(const tensorflow::Int64List& list, int index) {
  if (tensor_.dtype == DataType::kString) return Error(index, "is a list of whole numbers.");
  for (const int64_t value : list.value()) {
    if (!AppendInt(value, &tensor_)) return Error(index, absl::StrCat("cannot hold ", value, "."));
  }
  return CheckSize(list.value_size(), index);
}

absl::Status FeatureReader::AddBytes(const tensorflow::BytesList& list, int index) {
  if (tensor_.dtype != DataType::kString) return Error(index, "is a list of bytes.");
  for (const std::string& value : list.value()) {
    tensor_.strings.push_back(value);
    bytes_ += static_cast<int64_t>(value.size());
  }
  return CheckSize(list.value_size(), index);
}

absl::Status FeatureReader::CheckSize(int64_t size, int index) {
  if (unknown_) {
    if (size_ == 0 || size % size_ != 0) {
      return Error(index, absl::StrCat("has ", size, " values, expected a multiple of ", size_, "."));
    }
    shape_[*unknown_] = size / size_;
    size_ = size;
    unknown_.reset();
  }
  if (size != size_) return Error(index, absl::StrCat("has ", size, " values, expected ", size_, "."));
  bytes_ += size *
            static_cast<int64_t>(tensor_.dtype == DataType::kString ? sizeof(std::string) : ElementSize(tensor_.dtype));
  return absl::OkStatus();
}

absl::Status FeatureReader::Error(int index, std::string_view reason) const {
  return absl::InvalidArgumentError(absl::StrCat("Example: ", index, ", Feature: ", name_,
                                                 " (data type: ", DtypeText(tensor_.dtype), ") ", std::string(reason)));
}

Tensor FeatureReader::Take(int64_t examples) && {
  shape_[0] = examples;
  tensor_.shape = std::move(shape_);
  return std::move(tensor_);
}

}  // namespace ems
