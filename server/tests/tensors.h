// Small tensors, written out.
#ifndef EMS_TESTS_TENSORS_H_
#define EMS_TESTS_TENSORS_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/tensor.h"

namespace ems {

// Without values: zeros.
inline Tensor Floats(Shape shape, const std::vector<float>& values) {
  Tensor tensor = MakeTensor(DataType::kFloat, std::move(shape));
  EXPECT_TRUE(values.empty() || values.size() * sizeof(float) == tensor.bytes.size());
  std::copy(values.begin(), values.end(), tensor.data<float>());
  return tensor;
}

inline std::vector<float> Values(const Tensor& tensor) {
  return {tensor.data<float>(), tensor.data<float>() + tensor.bytes.size() / sizeof(float)};
}

inline Tensor Strings(Shape shape, std::vector<std::string> values) {
  Tensor tensor = MakeTensor(DataType::kString, std::move(shape));
  tensor.strings = std::move(values);
  EXPECT_TRUE(IsWhole(tensor));
  return tensor;
}

}  // namespace ems

#endif  // EMS_TESTS_TENSORS_H_
