// Bodies of predict, classify and regress: the first byte chooses the signature, the rest is the body.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "check.h"
#include "codec/json.h"
#include "codec/json_examples.h"
#include "codec/json_writer.h"

namespace {

using ems::Check;

constexpr std::array<ems::DataType, 9> kDtypes = {
    ems::DataType::kFloat,  ems::DataType::kDouble, ems::DataType::kHalf,   ems::DataType::kInt8, ems::DataType::kUint8,
    ems::DataType::kUint64, ems::DataType::kInt64,  ems::DataType::kString, ems::DataType::kBool,
};

ems::Signature SignatureOf(uint8_t choice) {
  ems::Signature signature;
  signature.inputs["x"].dtype = kDtypes[choice % kDtypes.size()];
  if (choice >= 128) signature.inputs["y_bytes"].dtype = ems::DataType::kString;
  return signature;
}

void CheckError(const absl::Status& status) {
  const std::string reply = ems::ErrorReply(std::string(status.message()));
  Check(ems::IsUtf8(reply));
}

absl::StatusOr<ems::TensorMap> Read(std::string_view text, const ems::Signature& signature, ems::JsonForm* form) {
  absl::StatusOr<ems::PredictBody> body = ems::PredictBody::Parse(text);
  if (!body.ok()) return body.status();
  *form = body->form();
  return body->Inputs(signature);
}

// A reply's values are read as they are written.
void CheckReply(const ems::TensorMap& tensors, ems::JsonForm form, const ems::Signature& signature) {
  // A double is read with an error of its last digit.
  if (signature.inputs.at("x").dtype == ems::DataType::kDouble) return;
  const absl::StatusOr<std::string> reply = ems::PredictReply(tensors, form);
  if (!reply.ok()) {
    CheckError(reply.status());
    return;
  }
  std::string body = *reply;
  const std::string key = form == ems::JsonForm::kRow ? "predictions" : "outputs";
  body.replace(body.find(key), key.size(), form == ems::JsonForm::kRow ? "instances" : "inputs");
  const absl::StatusOr<ems::TensorMap> again = Read(body, signature, &form);
  // Rows without elements, and more levels than a request may have, do not come back.
  if (!again.ok()) return;
  Check(*ems::PredictReply(*again, form) == *reply);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ems::Signature signature = SignatureOf(data[0]);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  ems::JsonForm form = ems::JsonForm::kRow;
  const absl::StatusOr<ems::TensorMap> inputs = Read(text, signature, &form);
  if (inputs.ok()) {
    ems::CheckWhole(*inputs);
    CheckReply(*inputs, form, signature);
  } else {
    CheckError(inputs.status());
  }
  const absl::StatusOr<ems::ExamplesBody> examples = ems::ParseExamples(text);
  if (!examples.ok()) CheckError(examples.status());
  return 0;
}
