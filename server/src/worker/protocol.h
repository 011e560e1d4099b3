// Messages between the server and a worker process, over a socket pair: a length, a kind, and fields in order.
// Both ends are of one build and one machine; the reader still trusts nothing, since a worker may break off anywhere.
#ifndef EMS_WORKER_PROTOCOL_H_
#define EMS_WORKER_PROTOCOL_H_

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/tensor.h"
#include "tflite/runner.h"

namespace ems {

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
};

std::string Encode(const WorkerRequest& request);
std::string Encode(const WorkerReply& reply);
absl::StatusOr<WorkerRequest> DecodeRequest(std::string_view message);
absl::StatusOr<WorkerReply> DecodeReply(std::string_view message);

}  // namespace ems

#endif  // EMS_WORKER_PROTOCOL_H_
