// Single elements of tensors as doubles.
#ifndef EMS_CLIENT_NUMBERS_H_
#define EMS_CLIENT_NUMBERS_H_

#include <cstddef>

#include "absl/status/status.h"
#include "base/tensor.h"

namespace ems {

// Returns element `index` of a tensor of numbers that are not complex. 64-bit integers beyond 2^53 lose their last
// digits.
double Number(const Tensor& tensor, size_t index);

// Writes an element; of a complex number, the real part. INVALID_ARGUMENT for a value that the dtype does not hold; a
// fraction is no integer.
absl::Status SetNumber(double value, size_t index, Tensor* tensor);

}  // namespace ems

#endif  // EMS_CLIENT_NUMBERS_H_
