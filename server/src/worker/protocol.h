// Messages between the server and a worker process, over a socket pair: a kind, and fields in order.
// Both ends are of one build and one machine; the reader still trusts nothing, since a worker may break off anywhere.
// channel.h carries the messages.
#ifndef EMS_WORKER_PROTOCOL_H_
#define EMS_WORKER_PROTOCOL_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/tensor.h"
#include "tflite/runner.h"

namespace ems {

// The descriptor at which a worker finds its end of the socket pair.
inline constexpr int kWorkerSocket = 3;

// Load a model under a number of the server's choice, and run it once.
struct LoadModel {
  uint64_t model = 0;
  std::string path;
  RunnerOptions options;
};
struct UnloadModel {
  uint64_t model = 0;
};
struct RunModel {
  uint64_t model = 0;
  std::string signature;
  TensorMap inputs;
};
using WorkerRequest = std::variant<LoadModel, UnloadModel, RunModel>;

// The answer to each request, in order. `outputs` is empty but for RunModel, `arena_bytes` 0 but for LoadModel.
struct WorkerReply {
  absl::Status status;
  TensorMap outputs;
  uint64_t arena_bytes = 0;
  uint64_t run_micros = 0;  // of the run alone; for LoadModel of the slowest first run
};

std::string Encode(const WorkerRequest& request);
std::string Encode(const WorkerReply& reply);
// As of a RunModel, without a copy of the inputs.
std::string EncodeRun(uint64_t model, const std::string& signature, const TensorMap& inputs);

// Total: whatever the bytes are, the result is an error (DATA_LOSS) or a whole message, whose tensors are whole.
// The memory used is bounded by a small multiple of the message's size.
absl::StatusOr<WorkerRequest> DecodeRequest(std::string_view message);
absl::StatusOr<WorkerReply> DecodeReply(std::string_view message);

}  // namespace ems

#endif  // EMS_WORKER_PROTOCOL_H_
