// KServe's V2 (Open Inference Protocol) infer requests and replies, with the binary tensor data extension.
// Facts: kserve/open-inference-protocol specification/protocol/inference_rest.md@011728e1,
// triton-inference-server/server docs/protocol/extension_binary_data.md@02c5c956.
#ifndef EMS_CODEC_JSON_V2_H_
#define EMS_CODEC_JSON_V2_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/tensor.h"

namespace ems {

// Returns the name of a dtype in the protocol, such as "FP32"; empty for complex dtypes, which it does not have.
std::string_view V2Name(DataType dtype);

// Returns the dtype of a name; kInvalid for others.
DataType FromV2Name(std::string_view name);

struct InferOutput {
  std::string name;
  bool binary = false;  // as bytes behind the JSON
};

struct InferRequest {
  std::string id;
  std::string signature_name;        // our parameter "signature_name"; empty where there is none
  TensorMap inputs;                  // with the dtypes that the client names: check them against the signature
  std::vector<InferOutput> outputs;  // those asked for; empty: all
  bool binary = false;               // the form of all outputs, where `outputs` is empty
};

// Parses a body; its first `json_bytes` are the JSON (header Inference-Header-Content-Length), all of it where that
// header is absent. Data of an input is a flat list, or lists nested as the shape, or bytes behind the JSON.
// INVALID_ARGUMENT: not JSON or beyond the limits of codec/json.h, a member that is missing or of another type, data
// that does not fit shape and datatype, a duplicate name, bytes behind the JSON that belong to no input.
absl::StatusOr<InferRequest> ParseInfer(std::string_view body, std::optional<size_t> json_bytes);

struct InferReply {
  std::string body;
  std::optional<size_t> json_bytes;  // where bytes follow the JSON
};

// Makes the reply to a request. `outputs` has those that the request asks for.
// INVALID_ARGUMENT for a complex output, and for a string that is not UTF-8 in JSON.
absl::StatusOr<InferReply> ReplyToInfer(const InferRequest& request, const std::string& model_name, int64_t version,
                                        const TensorMap& outputs);

}  // namespace ems

#endif  // EMS_CODEC_JSON_V2_H_
