#include "base/tensor.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <limits>

namespace ems {
namespace {

TEST(NumElements, MultipliesTheDimensions) {
  EXPECT_EQ(NumElements({}), 1);
  EXPECT_EQ(NumElements({2, 3, 4}), 24);
  EXPECT_EQ(NumElements({5, 0}), 0);
}

TEST(NumElements, RefusesWhatIsNoShape) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(NumElements({-1, 2}), std::nullopt);
  EXPECT_EQ(NumElements({kMost, 2}), std::nullopt);
  EXPECT_EQ(NumElements({65536, 65536}).has_value(), sizeof(size_t) == 8);
  EXPECT_EQ(NumElements({kMost, 0, -1}), std::nullopt);
}

TEST(Shape, IsPrintedAsTensorFlowDoes) {
  EXPECT_EQ(ToString(Shape{}), "[]");
  EXPECT_EQ(ToString(Shape{1, -1, 3}), "[1,?,3]");
}

TEST(Tensor, IsWholeOnlyWithAllItsElements) {
  Tensor tensor = MakeTensor(DataType::kInt16, {2, 3});
  EXPECT_EQ(tensor.bytes.size(), 12);
  EXPECT_TRUE(IsWhole(tensor));
  tensor.bytes.push_back('\0');
  EXPECT_FALSE(IsWhole(tensor));
  Tensor strings = MakeTensor(DataType::kString, {2});
  EXPECT_TRUE(IsWhole(strings));
  strings.strings.pop_back();
  EXPECT_FALSE(IsWhole(strings));
  EXPECT_FALSE(IsWhole(Tensor{}));
}

TEST(DataType, HasTensorFlowsNamesAndSizes) {
  EXPECT_EQ(Name(DataType::kHalf), "DT_HALF");
  EXPECT_EQ(ElementSize(DataType::kComplex128), 16);
  EXPECT_EQ(ElementSize(DataType::kString), 0);
  EXPECT_EQ(Name(static_cast<DataType>(99)), "DT_INVALID");
}

}  // namespace
}  // namespace ems
