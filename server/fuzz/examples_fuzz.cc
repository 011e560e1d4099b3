// Serialized tensorflow.serving.Input messages.
#include <array>
#include <cstddef>
#include <cstdint>

#include "check.h"
#include "codec/examples.h"

namespace {

ems::Signature SignatureOf(ems::DataType dtype, const ems::Shape& shape) {
  ems::Signature signature;
  signature.inputs["x"].dtype = dtype;
  signature.inputs["x"].shape = shape;
  return signature;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::array<ems::Signature, 3> signatures = {
      SignatureOf(ems::DataType::kFloat, {-1, 2}),
      SignatureOf(ems::DataType::kUint8, {-1, -1, 2}),
      SignatureOf(ems::DataType::kString, {-1}),
  };
  tensorflow::serving::Input input;
  if (!input.ParseFromArray(data, static_cast<int>(size))) return 0;
  for (const ems::Signature& signature : signatures) {
    const absl::StatusOr<ems::TensorMap> inputs = ems::InputsOfExamples(input, signature);
    if (!inputs.ok()) continue;
    ems::CheckWhole(*inputs);
    ems::Check(inputs->at("x").shape[0] == ems::CountExamples(input));
  }
  return 0;
}
