// JSON values to tensors: the nesting of lists gives the shape.
#ifndef EMS_CODEC_JSON_TENSOR_H_
#define EMS_CODEC_JSON_TENSOR_H_

#include <rapidjson/document.h>

#include <cstdint>

#include "absl/status/status.h"
#include "base/tensor.h"

namespace ems {

// A tensor of values of one shape, which become its rows.
class JsonRows {
 public:
  // Values of an image input may be strings instead (TensorSpec::image); the first value decides for all.
  explicit JsonRows(DataType dtype, bool image = false) : image_(image) { tensor_.dtype = dtype; }

  // Appends a value. INVALID_ARGUMENT with TensorFlow Serving's texts: lists of unequal sizes or depth, a value that
  // the dtype does not hold, a shape or a number of elements other than the first value's. UNIMPLEMENTED for complex
  // dtypes.
  absl::Status Add(const rapidjson::Value& value);

  int64_t rows() const { return rows_; }
  // Returns the tensor of shape [rows, shape of a value].
  Tensor Rows() &&;
  // Returns the tensor of the only value.
  Tensor Single() &&;

 private:
  bool image_;
  Tensor tensor_;  // its shape is that of a value
  int64_t rows_ = 0;
  int64_t row_size_ = 0;
};

// Appends the elements of lists that are nested as the shape of `tensor`. Errors as above.
absl::Status AppendNested(const rapidjson::Value& value, Tensor* tensor);

// Appends a number, bool, string or {"b64": ...} to the elements of `tensor`. Errors as above.
absl::Status AppendValue(const rapidjson::Value& value, Tensor* tensor);

}  // namespace ems

#endif  // EMS_CODEC_JSON_TENSOR_H_
