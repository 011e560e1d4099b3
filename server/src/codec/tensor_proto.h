// TensorProto to Tensor and back. Whatever a client sends is an error or a whole Tensor.
#ifndef EMS_CODEC_TENSOR_PROTO_H_
#define EMS_CODEC_TENSOR_PROTO_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/tensor.h"
#include "google/protobuf/map.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace ems {

// The most dimensions of a TensorProto: TensorFlow's limit.
inline constexpr int kMostDimensions = 254;

// The most memory, in bytes, of a request's tensors whose values are repeated: a few bytes of a message may stand for
// any size. Other tensors need no limit, they are as large as their message.
inline constexpr int64_t kMostRepeatedBytes = int64_t{64} << 20;

// Converts a tensor. INVALID_ARGUMENT for a dtype that is not served, an unknown rank, a negative or overflowing shape,
// more values than the shape, values in another dtype's field, an integer or a bool that the dtype does not hold, a
// tensor_content of the wrong size, and a tensor of repeated values beyond kMostRepeatedBytes. As in TensorFlow,
// tensor_content goes before typed fields, the last value is repeated where the shape has more, and no values at all
// are zeros or empty strings.
absl::StatusOr<Tensor> FromProto(const tensorflow::TensorProto& proto);

// Converts one of several tensors of a request: `*budget` is what is left of kMostRepeatedBytes for it and the next.
absl::StatusOr<Tensor> FromProto(const tensorflow::TensorProto& proto, int64_t* budget);

// Converts the inputs of a request; kMostRepeatedBytes holds for all of them together.
// INVALID_ARGUMENT "tensor parsing error: NAME", then the reason in parentheses.
absl::StatusOr<TensorMap> FromProtos(const google::protobuf::Map<std::string, tensorflow::TensorProto>& protos);

// Writes typed fields, or tensor_content where `as_content` (--enable_serialization_as_tensor_content); strings are
// always in string_val.
void ToProto(const Tensor& tensor, bool as_content, tensorflow::TensorProto* proto);

}  // namespace ems

#endif  // EMS_CODEC_TENSOR_PROTO_H_
