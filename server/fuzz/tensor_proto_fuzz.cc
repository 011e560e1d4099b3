// Serialized TensorProtos.
#include <cstddef>
#include <cstdint>

#include "check.h"
#include "codec/tensor_proto.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tensorflow::TensorProto proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) return 0;
  const absl::StatusOr<ems::Tensor> tensor = ems::FromProto(proto);
  if (!tensor.ok()) return 0;
  ems::Check(ems::IsWhole(*tensor));
  // Repeated values can make a large tensor of a few bytes; writing it again shows nothing more.
  if (tensor->bytes.size() + tensor->strings.size() > (1U << 16)) return 0;
  for (const bool as_content : {false, true}) {
    tensorflow::TensorProto written;
    ems::ToProto(*tensor, as_content, &written);
    const absl::StatusOr<ems::Tensor> again = ems::FromProto(written);
    ems::Check(again.ok() && again->dtype == tensor->dtype && again->shape == tensor->shape &&
               again->bytes == tensor->bytes && again->strings == tensor->strings);
  }
  return 0;
}
