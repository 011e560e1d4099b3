// Element types of TensorFlow Lite as DataType.
#ifndef EMS_TFLITE_TYPES_H_
#define EMS_TFLITE_TYPES_H_

#include "base/tensor.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace ems {

// Returns kInvalid for the types that no client can send: resources, variants, 4-bit integers.
DataType FromTflite(tflite::TensorType type);

}  // namespace ems

#endif  // EMS_TFLITE_TYPES_H_
