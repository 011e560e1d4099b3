// Tensors as every module but the interpreter's sees them: a dtype, a shape and one flat buffer.
#ifndef EMS_BASE_TENSOR_H_
#define EMS_BASE_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ems {

// Element types, with the numbers of tensorflow.DataType (tensorflow/core/framework/types.proto).
enum class DataType : int {
  kInvalid = 0,
  kFloat = 1,
  kDouble = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt16 = 5,
  kInt8 = 6,
  kString = 7,
  kComplex64 = 8,
  kInt64 = 9,
  kBool = 10,
  kUint16 = 17,
  kComplex128 = 18,
  kHalf = 19,
  kUint32 = 22,
  kUint64 = 23,
};

// Returns the bytes of one element; 0 for kString and kInvalid.
size_t ElementSize(DataType dtype);

// Returns the name of tensorflow.DataType, such as "DT_FLOAT".
std::string_view Name(DataType dtype);

// Sizes of the dimensions; in a TensorSpec -1 stands for any size.
using Shape = std::vector<int64_t>;

// Returns the number of elements, 1 for a scalar; nothing for a negative dimension or more than memory can hold.
std::optional<int64_t> NumElements(const Shape& shape);

// Returns a shape as TensorFlow prints it: "[1,8,8,1]", "[?,3]", "[]".
std::string ToString(const Shape& shape);

// A tensor. Numbers are in `bytes`, in the machine's byte order and row by row; elements of kString are in `strings`.
// Whoever makes a Tensor keeps the number of elements equal to the shape's.
struct Tensor {
  DataType dtype = DataType::kInvalid;
  Shape shape;
  std::string bytes;
  std::vector<std::string> strings;

  // Returns the elements of type T, whose size must be ElementSize(dtype).
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
  template <typename T>
  T* data() {
    return reinterpret_cast<T*>(bytes.data());
  }
};

using TensorMap = std::map<std::string, Tensor>;

// Returns a zero tensor of this dtype and shape. The shape must have a NumElements.
Tensor MakeTensor(DataType dtype, Shape shape);

// Returns whether the buffer has exactly the elements that dtype and shape ask for.
bool IsWhole(const Tensor& tensor);

}  // namespace ems

#endif  // EMS_BASE_TENSOR_H_
