// Models in segments, as the Edge TPU compiler's --num_segments makes them.
#ifndef EMS_TESTS_SUPPORT_SPLIT_MODEL_H_
#define EMS_TESTS_SUPPORT_SPLIT_MODEL_H_

#include <string>
#include <vector>

namespace ems::testing {

// Splits a .tflite model of one graph into `count` models of about as many operators each. A segment takes the tensors
// that segments before it make, under the same names; it has no signature of its own. Aborts where there are too few
// operators.
std::vector<std::string> SplitModel(const std::string& model, int count);

}  // namespace ems::testing

#endif  // EMS_TESTS_SUPPORT_SPLIT_MODEL_H_
