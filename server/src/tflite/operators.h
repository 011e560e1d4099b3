// The operators that the server computes on the CPU.
#ifndef EMS_TFLITE_OPERATORS_H_
#define EMS_TFLITE_OPERATORS_H_

#include "tensorflow/lite/mutable_op_resolver.h"

namespace ems {

// Returns TensorFlow Lite's builtin operators and the custom ones that it has kernels for. Integer division is guarded:
// without that a client's zero would end the process.
const tflite::MutableOpResolver& Operators();

}  // namespace ems

#endif  // EMS_TFLITE_OPERATORS_H_
