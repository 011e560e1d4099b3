// V2 infer requests: two bytes, the size of the JSON, then the body.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "check.h"
#include "codec/json_v2.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t json_bytes = data[0] + 256U * data[1];
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  absl::StatusOr<ems::InferRequest> request = ems::ParseInfer(body, json_bytes);
  if (!request.ok()) return 0;
  ems::CheckWhole(request->inputs);
  request->outputs.clear();
  // All that is read is returned, in the form that the request chose.
  const absl::StatusOr<ems::InferReply> reply = ems::ReplyToInfer(*request, "m", 1, request->inputs);
  if (!reply.ok()) return 0;
  ems::Check(reply->json_bytes.has_value() == (request->binary && !request->inputs.empty()));
  return 0;
}
