#include "tflite/types.h"

namespace ems {

DataType FromTflite(tflite::TensorType type) {
  switch (type) {
    case tflite::TensorType_FLOAT32:
      return DataType::kFloat;
    case tflite::TensorType_FLOAT64:
      return DataType::kDouble;
    case tflite::TensorType_FLOAT16:
      return DataType::kHalf;
    case tflite::TensorType_INT8:
      return DataType::kInt8;
    case tflite::TensorType_INT16:
      return DataType::kInt16;
    case tflite::TensorType_INT32:
      return DataType::kInt32;
    case tflite::TensorType_INT64:
      return DataType::kInt64;
    case tflite::TensorType_UINT8:
      return DataType::kUint8;
    case tflite::TensorType_UINT16:
      return DataType::kUint16;
    case tflite::TensorType_UINT32:
      return DataType::kUint32;
    case tflite::TensorType_UINT64:
      return DataType::kUint64;
    case tflite::TensorType_BOOL:
      return DataType::kBool;
    case tflite::TensorType_STRING:
      return DataType::kString;
    case tflite::TensorType_COMPLEX64:
      return DataType::kComplex64;
    case tflite::TensorType_COMPLEX128:
      return DataType::kComplex128;
    default:
      return DataType::kInvalid;
  }
}

}  // namespace ems
