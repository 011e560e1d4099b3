#include "codec/tensor_proto.h"

#include <gmock/gmock.h>

#include <complex>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "codec/half.h"
#include "google/protobuf/text_format.h"

namespace ems {
namespace {

using tensorflow::TensorProto;
using testing::ElementsAre;
using testing::HasSubstr;

TensorProto Proto(const std::string& text) {
  TensorProto proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  return proto;
}

Tensor Read(const std::string& text) {
  absl::StatusOr<Tensor> tensor = FromProto(Proto(text));
  EXPECT_TRUE(tensor.ok()) << text << tensor.status();
  if (!tensor.ok()) return {};
  EXPECT_TRUE(IsWhole(*tensor)) << text;
  return *std::move(tensor);
}

template <typename T>
std::vector<T> Elements(const Tensor& tensor) {
  EXPECT_EQ(sizeof(T), ElementSize(tensor.dtype));
  return std::vector<T>(tensor.data<T>(), tensor.data<T>() + tensor.bytes.size() / sizeof(T));
}

constexpr absl::string_view kPair = "tensor_shape { dim { size: 2 } } ";

TEST(FromProto, ReadsTheTypedFieldOfEachDtype) {
  EXPECT_THAT(Elements<float>(Read(absl::StrCat("dtype: DT_FLOAT float_val: [1.5, -2]", kPair))), ElementsAre(1.5, -2));
  EXPECT_THAT(Elements<double>(Read(absl::StrCat("dtype: DT_DOUBLE double_val: [1.5, -2]", kPair))),
              ElementsAre(1.5, -2));
  EXPECT_THAT(Elements<int32_t>(Read(absl::StrCat("dtype: DT_INT32 int_val: [7, -2147483648]", kPair))),
              ElementsAre(7, std::numeric_limits<int32_t>::min()));
  EXPECT_THAT(Elements<uint8_t>(Read(absl::StrCat("dtype: DT_UINT8 int_val: [0, 255]", kPair))), ElementsAre(0, 255));
  EXPECT_THAT(Elements<int16_t>(Read(absl::StrCat("dtype: DT_INT16 int_val: [-32768, 32767]", kPair))),
              ElementsAre(-32768, 32767));
  EXPECT_THAT(Elements<int8_t>(Read(absl::StrCat("dtype: DT_INT8 int_val: [-128, 127]", kPair))),
              ElementsAre(-128, 127));
  EXPECT_THAT(Elements<uint16_t>(Read(absl::StrCat("dtype: DT_UINT16 int_val: [0, 65535]", kPair))),
              ElementsAre(0, 65535));
  EXPECT_THAT(Elements<uint16_t>(Read(absl::StrCat("dtype: DT_HALF half_val: [15360, 49152]", kPair))),
              ElementsAre(0x3c00, 0xc000));
  EXPECT_THAT(Elements<int64_t>(Read(absl::StrCat("dtype: DT_INT64 int64_val: [-9007199254740993, 1]", kPair))),
              ElementsAre(-9007199254740993, 1));
  EXPECT_THAT(Elements<bool>(Read(absl::StrCat("dtype: DT_BOOL bool_val: [true, false]", kPair))),
              ElementsAre(true, false));
  EXPECT_THAT(Elements<uint32_t>(Read(absl::StrCat("dtype: DT_UINT32 uint32_val: [4294967295, 0]", kPair))),
              ElementsAre(4294967295U, 0));
  EXPECT_THAT(Elements<uint64_t>(Read(absl::StrCat("dtype: DT_UINT64 uint64_val: [18446744073709551615, 0]", kPair))),
              ElementsAre(18446744073709551615U, 0));
  EXPECT_THAT(Elements<std::complex<float>>(Read("dtype: DT_COMPLEX64 scomplex_val: [1, 2] tensor_shape {}")),
              ElementsAre(std::complex<float>(1, 2)));
  EXPECT_THAT(Elements<std::complex<double>>(Read("dtype: DT_COMPLEX128 dcomplex_val: [1, 2] tensor_shape {}")),
              ElementsAre(std::complex<double>(1, 2)));
  EXPECT_THAT(Read(absl::StrCat("dtype: DT_STRING string_val: ['a\\000b', '']", kPair)).strings,
              ElementsAre(std::string("a\0b", 3), ""));
}

TEST(FromProto, KeepsTheShape) {
  EXPECT_THAT(Read("dtype: DT_FLOAT float_val: 1 tensor_shape {}").shape, ElementsAre());
  EXPECT_THAT(Read("dtype: DT_FLOAT float_val: 1").shape, ElementsAre());
  EXPECT_THAT(Read("dtype: DT_FLOAT tensor_shape { dim { size: 3 } dim { size: 0 } }").shape, ElementsAre(3, 0));
}

// TensorFlow's Tensor::FromProto: the last value stands for the rest, no values for zeros.
TEST(FromProto, RepeatsTheLastValue) {
  const std::string five = "tensor_shape { dim { size: 5 } } ";
  EXPECT_THAT(Elements<float>(Read("dtype: DT_FLOAT float_val: [1, 2] " + five)), ElementsAre(1, 2, 2, 2, 2));
  EXPECT_THAT(Elements<int8_t>(Read("dtype: DT_INT8 int_val: 3 " + five)), ElementsAre(3, 3, 3, 3, 3));
  EXPECT_THAT(Elements<std::complex<float>>(
                  Read(absl::StrCat("dtype: DT_COMPLEX64 scomplex_val: [1, 2] tensor_shape { dim { size: 2 } }"))),
              ElementsAre(std::complex<float>(1, 2), std::complex<float>(1, 2)));
  EXPECT_THAT(Read("dtype: DT_STRING string_val: ['a', 'b'] " + five).strings, ElementsAre("a", "b", "b", "b", "b"));
  EXPECT_THAT(Elements<int64_t>(Read("dtype: DT_INT64 " + five)), ElementsAre(0, 0, 0, 0, 0));
  EXPECT_THAT(Read("dtype: DT_STRING " + five).strings, ElementsAre("", "", "", "", ""));
}

TEST(FromProto, ReadsContent) {
  EXPECT_THAT(Elements<int16_t>(Read(absl::StrCat("dtype: DT_INT16 tensor_content: '\\001\\000\\377\\377'", kPair))),
              ElementsAre(1, -1));
  // Content goes before typed fields, as in TensorFlow.
  EXPECT_THAT(Elements<int8_t>(Read("dtype: DT_INT8 tensor_content: '\\001' int_val: 2 tensor_shape {}")),
              ElementsAre(1));
  EXPECT_THAT(Elements<bool>(Read(absl::StrCat("dtype: DT_BOOL tensor_content: '\\001\\000'", kPair))),
              ElementsAre(true, false));
}

struct Refusal {
  std::string proto;
  std::string text;
};

TEST(FromProto, RefusesWhatIsNoTensor) {
  const std::string million = "dim { size: 1000000 } ";
  const std::vector<Refusal> refusals = {
      {"", "the dtype 0 is not served"},
      {"dtype: DT_BFLOAT16 half_val: 1", "the dtype 14 is not served"},
      {"dtype: DT_RESOURCE", "the dtype 20 is not served"},
      {"dtype: DT_FLOAT tensor_shape { unknown_rank: true }", "the shape has no rank"},
      {"dtype: DT_FLOAT tensor_shape { dim { size: -1 } }", "not a shape: [?]"},
      {"dtype: DT_FLOAT tensor_shape { dim { size: 9223372036854775807 } dim { size: 3 } }",
       "not a shape: [9223372036854775807,3]"},
      {absl::StrCat("dtype: DT_FLOAT float_val: [1, 2, 3]", kPair), "3 values for a shape of 2"},
      {"dtype: DT_FLOAT float_val: 1 tensor_shape { dim {} }", "1 values for a shape of 0"},
      {absl::StrCat("dtype: DT_FLOAT double_val: [1, 2]", kPair), "the values are not in the field of DT_FLOAT"},
      {absl::StrCat("dtype: DT_STRING int_val: [1, 2]", kPair), "the values are not in the field of DT_STRING"},
      {absl::StrCat("dtype: DT_FLOAT tensor_content: 'abcd'", kPair), "tensor_content has 4 bytes for 2 elements of 4"},
      {absl::StrCat("dtype: DT_FLOAT tensor_content: 'abcdabcda'", kPair),
       "tensor_content has 9 bytes for 2 elements of 4"},
      {absl::StrCat("dtype: DT_STRING tensor_content: 'abcd'", kPair),
       "a DT_STRING has its values in string_val, not in tensor_content"},
      {"dtype: DT_BOOL tensor_content: '\\002' tensor_shape {}", "a byte of a DT_BOOL is neither 0 nor 1"},
      {"dtype: DT_UINT8 int_val: 256", "DT_UINT8 does not hold 256"},
      {"dtype: DT_UINT8 int_val: -1", "DT_UINT8 does not hold -1"},
      {"dtype: DT_INT8 int_val: 128", "DT_INT8 does not hold 128"},
      {"dtype: DT_HALF half_val: 65536", "DT_HALF does not hold 65536"},
      {"dtype: DT_COMPLEX64 scomplex_val: 1", "an imaginary part is missing"},
      {"dtype: DT_FLOAT float_val: 1 tensor_shape { " + million + million + "}",
       "the shape has 1000000000000 elements, more than the values may be repeated for; send all values"},
      {"dtype: DT_INT8 tensor_shape { " + million + million + million + "}",
       "the shape has 1000000000000000000 elements, more than the values may be repeated for; send all values"},
      {"dtype: DT_STRING string_val: 'a' tensor_shape { " + million + "dim { size: 3 } }",
       "the shape has 3000000 elements, more than the values may be repeated for; send all values"},
  };
  for (const Refusal& refusal : refusals) {
    const absl::StatusOr<Tensor> tensor = FromProto(Proto(refusal.proto));
    EXPECT_EQ(tensor.status(), absl::InvalidArgumentError(refusal.text)) << refusal.proto;
  }
}

TEST(FromProto, LimitsTheDimensions) {
  TensorProto proto = Proto("dtype: DT_FLOAT float_val: 1");
  for (int i = 0; i < kMostDimensions; ++i) proto.mutable_tensor_shape()->add_dim()->set_size(1);
  EXPECT_TRUE(FromProto(proto).ok());
  proto.mutable_tensor_shape()->add_dim()->set_size(1);
  EXPECT_EQ(FromProto(proto).status(), absl::InvalidArgumentError("the shape has 255 dimensions"));
}

TEST(FromProto, RepeatsUpToTheLimit) {
  const auto proto = [](int64_t count) {
    return Proto(absl::StrCat("dtype: DT_INT8 int_val: 1 tensor_shape { dim { size: ", count, " } }"));
  };
  EXPECT_TRUE(FromProto(proto(kMostRepeatedBytes)).ok());
  EXPECT_FALSE(FromProto(proto(kMostRepeatedBytes + 1)).ok());
}

TEST(FromProtos, NamesTheInput) {
  google::protobuf::Map<std::string, TensorProto> protos;
  protos["a"] = Proto("dtype: DT_FLOAT float_val: 1");
  absl::StatusOr<TensorMap> tensors = FromProtos(protos);
  ASSERT_TRUE(tensors.ok());
  EXPECT_THAT(Elements<float>(tensors->at("a")), ElementsAre(1));
  protos["b"] = Proto("dtype: DT_INT8 int_val: 200");
  // predict_util.cc: "tensor parsing error: NAME".
  EXPECT_EQ(FromProtos(protos).status(),
            absl::InvalidArgumentError("tensor parsing error: b (DT_INT8 does not hold 200)"));
}

TEST(FromProtos, LimitsWhatIsRepeatedInAll) {
  const TensorProto half =
      Proto(absl::StrCat("dtype: DT_INT8 tensor_shape { dim { size: ", kMostRepeatedBytes / 2, " } }"));
  google::protobuf::Map<std::string, TensorProto> protos;
  protos["a"] = half;
  protos["b"] = half;
  EXPECT_TRUE(FromProtos(protos).ok());
  protos["c"] = Proto("dtype: DT_INT8 tensor_shape {}");
  EXPECT_THAT(FromProtos(protos).status().message(), HasSubstr("send all values"));
}

TEST(ToProto, ReturnsWhatFromProtoReads) {
  const std::vector<std::string> protos = {
      "dtype: DT_FLOAT tensor_shape { dim { size: 2 } dim { size: 1 } } float_val: [1.5, nan]",
      "dtype: DT_DOUBLE tensor_shape { dim { size: 1 } } double_val: -inf",
      "dtype: DT_INT32 tensor_shape { dim { size: 2 } } int_val: [1, -1]",
      "dtype: DT_UINT8 tensor_shape { dim { size: 2 } } int_val: [1, 255]",
      "dtype: DT_INT16 tensor_shape { dim { size: 2 } } int_val: [1, -1]",
      "dtype: DT_INT8 tensor_shape { dim { size: 2 } } int_val: [1, -1]",
      "dtype: DT_STRING tensor_shape { dim { size: 2 } } string_val: ['a', '']",
      "dtype: DT_COMPLEX64 tensor_shape {} scomplex_val: [1, -1]",
      "dtype: DT_INT64 tensor_shape {} int64_val: -1",
      "dtype: DT_BOOL tensor_shape { dim { size: 2 } } bool_val: [true, false]",
      "dtype: DT_UINT16 tensor_shape { dim { size: 2 } } int_val: [1, 65535]",
      "dtype: DT_COMPLEX128 tensor_shape {} dcomplex_val: [1, -1]",
      "dtype: DT_HALF tensor_shape { dim { size: 2 } } half_val: [1, 65535]",
      "dtype: DT_UINT32 tensor_shape {} uint32_val: 4294967295",
      "dtype: DT_UINT64 tensor_shape {} uint64_val: 18446744073709551615",
      "dtype: DT_FLOAT tensor_shape { dim {} }",
  };
  for (const std::string& text : protos) {
    const Tensor tensor = Read(text);
    TensorProto typed;
    ToProto(tensor, false, &typed);
    EXPECT_EQ(typed.SerializeAsString(), Proto(text).SerializeAsString()) << typed.DebugString();
    TensorProto content;
    ToProto(tensor, true, &content);
    EXPECT_EQ(content.tensor_content(), tensor.bytes);
    const absl::StatusOr<Tensor> again = FromProto(content);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->bytes, tensor.bytes);
    EXPECT_EQ(again->strings, tensor.strings);
    EXPECT_EQ(again->shape, tensor.shape);
  }
}

TEST(Half, ConvertsAsIeee754Says) {
  const std::vector<std::pair<uint16_t, float>> exact = {
      {0x0000, 0.0F},          {0x3c00, 1.0F},        {0xc000, -2.0F},
      {0x7bff, 65504.0F},      {0x0400, 0x1p-14F},    {0x0001, 0x1p-24F},
      {0x83ff, -0x1.ff8p-15F}, {0x3555, 0x1.554p-2F}, {0x7c00, std::numeric_limits<float>::infinity()},
  };
  for (const auto& [half, value] : exact) {
    EXPECT_EQ(HalfToFloat(half), value) << half;
    EXPECT_EQ(FloatToHalf(value), half) << value;
  }
  for (uint32_t half = 0; half < 0x7c00; ++half) {
    ASSERT_EQ(FloatToHalf(HalfToFloat(static_cast<uint16_t>(half))), half);
  }
  EXPECT_EQ(FloatToHalf(65519.0F), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0F), 0x7c00);
  EXPECT_EQ(FloatToHalf(1e30F), 0x7c00);
  EXPECT_EQ(FloatToHalf(1e-30F), 0);
  EXPECT_EQ(FloatToHalf(2049.0F), 0x6800);  // a tie goes to the even 2048
  EXPECT_EQ(FloatToHalf(2051.0F), 0x6802);  // a tie goes to the even 2052
  EXPECT_EQ(FloatToHalf(-0.0F), 0x8000);
  EXPECT_TRUE(HalfToFloat(FloatToHalf(std::numeric_limits<float>::quiet_NaN())) !=
              HalfToFloat(FloatToHalf(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace ems
