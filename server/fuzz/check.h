// What fuzzers demand of the code besides not to crash.
#ifndef EMS_FUZZ_CHECK_H_
#define EMS_FUZZ_CHECK_H_

#include <cstdlib>

#include "base/tensor.h"

namespace ems {

// Ends the process where something does not hold; libFuzzer then keeps the input.
inline void Check(bool holds) {
  if (!holds) std::abort();
}

inline void CheckWhole(const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) Check(IsWhole(tensor));
}

}  // namespace ems

#endif  // EMS_FUZZ_CHECK_H_
