#include "codec/tensor_proto.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ems {

namespace {

using google::protobuf::RepeatedField;
using tensorflow::TensorProto;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensor_content is little-endian and is copied as it is");

// A typed field of TensorProto. An element of a Tensor is kParts numbers of type Element, and kParts values of the
// field, whose type can be wider.
template <typename ElementType, typename ValueType, const RepeatedField<ValueType>& (TensorProto::*Get)() const,
          RepeatedField<ValueType>* (TensorProto::*Mutable)(), int kPartsOfElement = 1>
struct Field {
  using Element = ElementType;
  using Value = ValueType;
  static constexpr int kParts = kPartsOfElement;
  static const RepeatedField<Value>& Values(const TensorProto& proto) { return (proto.*Get)(); }
  static RepeatedField<Value>* MutableValues(TensorProto* proto) { return (proto->*Mutable)(); }
};

template <typename Element>
using IntField = Field<Element, int32_t, &TensorProto::int_val, &TensorProto::mutable_int_val>;

// Returns fn(Field) for the field of a numeric dtype.
template <typename Fn>
auto VisitField(DataType dtype, Fn fn) {
  using P = TensorProto;
  switch (dtype) {
    case DataType::kFloat:
      return fn(Field<float, float, &P::float_val, &P::mutable_float_val>{});
    case DataType::kDouble:
      return fn(Field<double, double, &P::double_val, &P::mutable_double_val>{});
    case DataType::kInt32:
      return fn(IntField<int32_t>{});
    case DataType::kUint8:
      return fn(IntField<uint8_t>{});
    case DataType::kInt16:
      return fn(IntField<int16_t>{});
    case DataType::kInt8:
      return fn(IntField<int8_t>{});
    case DataType::kUint16:
      return fn(IntField<uint16_t>{});
    case DataType::kHalf:
      return fn(Field<uint16_t, int32_t, &P::half_val, &P::mutable_half_val>{});
    case DataType::kInt64:
      return fn(Field<int64_t, int64_t, &P::int64_val, &P::mutable_int64_val>{});
    case DataType::kBool:
      return fn(Field<bool, bool, &P::bool_val, &P::mutable_bool_val>{});
    case DataType::kUint32:
      return fn(Field<uint32_t, uint32_t, &P::uint32_val, &P::mutable_uint32_val>{});
    case DataType::kUint64:
      return fn(Field<uint64_t, uint64_t, &P::uint64_val, &P::mutable_uint64_val>{});
    case DataType::kComplex64:
      return fn(Field<float, float, &P::scomplex_val, &P::mutable_scomplex_val, 2>{});
    default:
      return fn(Field<double, double, &P::dcomplex_val, &P::mutable_dcomplex_val, 2>{});
  }
}

int64_t ValuesOfAllFields(const TensorProto& proto) {
  return int64_t{proto.float_val_size()} + proto.double_val_size() + proto.int_val_size() + proto.half_val_size() +
         proto.int64_val_size() + proto.bool_val_size() + proto.uint32_val_size() + proto.uint64_val_size() +
         proto.scomplex_val_size() + proto.dcomplex_val_size() + proto.string_val_size();
}

absl::StatusOr<Shape> ShapeOf(const TensorProto& proto) {
  const auto& dims = proto.tensor_shape();
  if (dims.unknown_rank()) return absl::InvalidArgumentError("the shape has no rank");
  if (dims.dim_size() > kMostDimensions) {
    return absl::InvalidArgumentError(absl::StrCat("the shape has ", dims.dim_size(), " dimensions"));
  }
  Shape shape;
  shape.reserve(dims.dim_size());
  for (const auto& dim : dims.dim()) shape.push_back(dim.size());
  if (!NumElements(shape)) return absl::InvalidArgumentError(absl::StrCat("not a shape: ", ToString(shape)));
  return shape;
}

// Checks the number of values of a typed field against the shape's.
absl::Status CheckCount(const TensorProto& proto, int64_t values, int64_t count, DataType dtype) {
  if (values > count) {
    return absl::InvalidArgumentError(absl::StrCat(values, " values for a shape of ", count));
  }
  if (values == 0 && ValuesOfAllFields(proto) > 0) {
    return absl::InvalidArgumentError(absl::StrCat("the values are not in the field of ", std::string(Name(dtype))));
  }
  return absl::OkStatus();
}

// Takes count * size bytes from the budget of repeated values.
absl::Status Charge(int64_t count, int64_t size, int64_t* budget) {
  if (count > *budget / size) {
    return absl::InvalidArgumentError(
        absl::StrCat("the shape has ", count, " elements, more than the values may be repeated for; send all values"));
  }
  *budget -= count * size;
  return absl::OkStatus();
}

// Grows `bytes` to `total` by repeating its last element; zeros where it is empty.
void RepeatLast(size_t size, size_t total, std::string* bytes) {
  const size_t given = bytes->size();
  bytes->resize(total);
  if (given == 0) return;
  const char* pattern = bytes->data() + given - size;
  // The pattern doubles with each copy.
  for (size_t have = size; given - size + have < total;) {
    const size_t more = std::min(have, total - (given - size + have));
    std::memcpy(bytes->data() + given - size + have, pattern, more);
    have += more;
  }
}

template <typename Element>
absl::Status AppendNarrowed(const RepeatedField<int32_t>& values, DataType dtype, std::string* bytes) {
  bytes->resize(values.size() * sizeof(Element));
  auto* out = reinterpret_cast<Element*>(bytes->data());
  for (const int32_t value : values) {
    if (value < std::numeric_limits<Element>::min() || value > std::numeric_limits<Element>::max()) {
      return absl::InvalidArgumentError(absl::StrCat(std::string(Name(dtype)), " does not hold ", value));
    }
    *out++ = static_cast<Element>(value);
  }
  return absl::OkStatus();
}

template <typename F>
absl::Status ReadField(const TensorProto& proto, int64_t count, int64_t* budget, Tensor* tensor) {
  const auto& values = F::Values(proto);
  if (values.size() % F::kParts != 0) return absl::InvalidArgumentError("an imaginary part is missing");
  const int64_t given = values.size() / F::kParts;
  if (absl::Status status = CheckCount(proto, given, count, tensor->dtype); !status.ok()) return status;
  const size_t size = ElementSize(tensor->dtype);
  if (given < count) {
    if (absl::Status status = Charge(count, static_cast<int64_t>(size), budget); !status.ok()) return status;
  }
  if constexpr (sizeof(typename F::Element) == sizeof(typename F::Value)) {
    if (given > 0) tensor->bytes.assign(reinterpret_cast<const char*>(values.data()), given * size);
  } else {
    absl::Status status = AppendNarrowed<typename F::Element>(values, tensor->dtype, &tensor->bytes);
    if (!status.ok()) return status;
  }
  RepeatLast(size, count * size, &tensor->bytes);
  return absl::OkStatus();
}

absl::Status ReadContent(const std::string& content, int64_t count, Tensor* tensor) {
  const size_t size = ElementSize(tensor->dtype);
  if (content.size() % size != 0 || content.size() / size != static_cast<uint64_t>(count)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor_content has ", content.size(), " bytes for ", count, " elements of ", size));
  }
  const auto holds_bool = [](char byte) { return byte == 0 || byte == 1; };
  if (tensor->dtype == DataType::kBool && !std::all_of(content.begin(), content.end(), holds_bool)) {
    return absl::InvalidArgumentError("a byte of a DT_BOOL is neither 0 nor 1");
  }
  tensor->bytes = content;
  return absl::OkStatus();
}

absl::Status ReadStrings(const TensorProto& proto, int64_t count, int64_t* budget, Tensor* tensor) {
  if (!proto.tensor_content().empty()) {
    return absl::InvalidArgumentError("a DT_STRING has its values in string_val, not in tensor_content");
  }
  const int64_t given = proto.string_val_size();
  if (absl::Status status = CheckCount(proto, given, count, tensor->dtype); !status.ok()) return status;
  const std::string last = given > 0 ? proto.string_val(proto.string_val_size() - 1) : std::string();
  if (given < count) {
    const auto size = static_cast<int64_t>(sizeof(std::string) + last.size());
    if (absl::Status status = Charge(count, size, budget); !status.ok()) return status;
  }
  tensor->strings.reserve(count);
  tensor->strings.assign(proto.string_val().begin(), proto.string_val().end());
  tensor->strings.resize(count, last);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Tensor> FromProto(const TensorProto& proto, int64_t* budget) {
  Tensor tensor;
  tensor.dtype = static_cast<DataType>(proto.dtype());
  if (Name(tensor.dtype) == Name(DataType::kInvalid)) {
    return absl::InvalidArgumentError(absl::StrCat("the dtype ", static_cast<int>(proto.dtype()), " is not served"));
  }
  absl::StatusOr<Shape> shape = ShapeOf(proto);
  if (!shape.ok()) return shape.status();
  tensor.shape = *std::move(shape);
  const int64_t count = *NumElements(tensor.shape);
  absl::Status status;
  if (tensor.dtype == DataType::kString) {
    status = ReadStrings(proto, count, budget, &tensor);
  } else if (!proto.tensor_content().empty()) {
    status = ReadContent(proto.tensor_content(), count, &tensor);
  } else {
    status =
        VisitField(tensor.dtype, [&](auto field) { return ReadField<decltype(field)>(proto, count, budget, &tensor); });
  }
  if (!status.ok()) return status;
  return tensor;
}

absl::StatusOr<Tensor> FromProto(const TensorProto& proto) {
  int64_t budget = kMostRepeatedBytes;
  return FromProto(proto, &budget);
}

absl::StatusOr<TensorMap> FromProtos(const google::protobuf::Map<std::string, TensorProto>& protos) {
  int64_t budget = kMostRepeatedBytes;
  TensorMap tensors;
  for (const auto& [name, proto] : protos) {
    absl::StatusOr<Tensor> tensor = FromProto(proto, &budget);
    if (!tensor.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor parsing error: ", name, " (", tensor.status().message(), ")"));
    }
    tensors.emplace(name, *std::move(tensor));
  }
  return tensors;
}

void ToProto(const Tensor& tensor, bool as_content, TensorProto* proto) {
  proto->Clear();
  proto->set_dtype(static_cast<tensorflow::DataType>(tensor.dtype));
  for (const int64_t size : tensor.shape) proto->mutable_tensor_shape()->add_dim()->set_size(size);
  // A scalar has a shape too, of no dimensions.
  proto->mutable_tensor_shape();
  if (tensor.dtype == DataType::kString) {
    proto->mutable_string_val()->Assign(tensor.strings.begin(), tensor.strings.end());
  } else if (as_content) {
    proto->set_tensor_content(tensor.bytes);
  } else {
    VisitField(tensor.dtype, [&](auto field) {
      using Element = typename decltype(field)::Element;
      const auto* begin = tensor.data<Element>();
      field.MutableValues(proto)->Assign(begin, begin + tensor.bytes.size() / sizeof(Element));
    });
  }
}

}  // namespace ems
