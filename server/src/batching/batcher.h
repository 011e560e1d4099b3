// The threads of requests, waiting for their batches.
#ifndef EMS_BATCHING_BATCHER_H_
#define EMS_BATCHING_BATCHER_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/tensor.h"
#include "batching/batches.h"

namespace ems {

// Shared by all models, as TensorFlow Serving's batch threads are. Thread-safe.
class Batcher {
 public:
  // At most `running` batches run at a time. `queued` gets how long each request waited for its run; may be empty.
  explicit Batcher(int running, std::function<void(absl::Duration waited)> queued = nullptr)
      : queued_(std::move(queued)), batches_(running) {}

  // Blocks until the request's batch has run, maybe by this thread, which then calls `run`; it sets the result of each
  // task. DEADLINE_EXCEEDED where the deadline passes before the run begins; RESOURCE_EXHAUSTED as Batches::Add.
  absl::StatusOr<TensorMap> Run(BatchLane& lane, const TensorMap& inputs, int64_t rows, absl::Time deadline,
                                absl::FunctionRef<void(const std::vector<BatchTask*>& tasks)> run);

 private:
  void Report(const std::vector<BatchTask*>& tasks) const;

  const std::function<void(absl::Duration waited)> queued_;
  std::mutex mutex_;
  Batches batches_;  // and the lanes and tasks in it
};

}  // namespace ems

#endif  // EMS_BATCHING_BATCHER_H_
