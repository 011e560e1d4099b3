// The worker process: it holds a device, loads models on it and runs them, as the server asks.
#ifndef EMS_WORKER_WORKER_H_
#define EMS_WORKER_WORKER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/servable.h"
#include "tflite/runner.h"
#include "worker/channel.h"
#include "worker/protocol.h"

namespace ems {

// A model as a worker holds it.
struct OpenModel {
  SignatureMap signatures;
  std::unique_ptr<TfliteRunner> runner;
};
using ModelOpener = std::function<absl::StatusOr<OpenModel>(const LoadModel&)>;

// Opens a model file with TensorFlow Lite.
absl::StatusOr<OpenModel> OpenTfliteModel(const LoadModel& load);

// Answers requests. Not thread-safe.
class Worker {
 public:
  explicit Worker(ModelOpener open) : open_(std::move(open)) {}

  // Does what the request asks. LoadModel ends with a run of each signature of fixed shapes, since a delegate that
  // loads proves nothing; with a delegate a failure of that run is one of the load. Errors are those of the opener and
  // the runner; NOT_FOUND for a model that is not loaded.
  WorkerReply Answer(const WorkerRequest& request);

  // Answers requests from the socket `fd`, which blocks, until the server closes its end. A reply of more than
  // `most_bytes` becomes RESOURCE_EXHAUSTED. An error (a broken message, a server that is gone) is for the log.
  absl::Status Serve(int fd, size_t most_bytes = kMostMessageBytes);

 private:
  WorkerReply Do(const LoadModel& load);
  WorkerReply Do(const UnloadModel& unload);
  WorkerReply Do(const RunModel& run);

  ModelOpener open_;
  std::map<uint64_t, std::unique_ptr<TfliteRunner>> runners_;
};

}  // namespace ems

#endif  // EMS_WORKER_WORKER_H_
