// TensorProto to Tensor and back. Whatever a client sends is an error or a whole Tensor.
#ifndef EMS_CODEC_TENSOR_PROTO_H_
#define EMS_CODEC_TENSOR_PROTO_H_

#include "absl/status/statusor.h"
#include "base/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace ems {

// INVALID_ARGUMENT for a dtype that is not served, a negative or overflowing shape, more or no values for the shape, a
// tensor_content of the wrong size. Fewer values than the shape: the last is repeated. Halfs are in half_val.
absl::StatusOr<Tensor> FromProto(const tensorflow::TensorProto& proto);

// Writes typed fields, or tensor_content where `as_content` (--enable_serialization_as_tensor_content); strings are
// always in string_val.
void ToProto(const Tensor& tensor, bool as_content, tensorflow::TensorProto* proto);

}  // namespace ems

#endif  // EMS_CODEC_TENSOR_PROTO_H_
