// Which requests are joined, and when a batch runs. It starts no thread and reads no clock: the threads of the requests
// ask what to do, one after another under a lock of the owner's, and say what time it is.
//
// A batch runs in the thread of its first request: a request that nobody joins changes no thread.
#ifndef EMS_BATCHING_BATCHES_H_
#define EMS_BATCHING_BATCHES_H_

#include <condition_variable>
#include <cstdint>
#include <list>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/tensor.h"
#include "devices/clock.h"

namespace ems {

struct Batch;

// A request; it lives in the thread that brought it until it is done or late.
struct BatchTask {
  enum class State : uint8_t { kQueued, kRunning, kDone, kLate };

  const TensorMap* inputs = nullptr;
  int64_t rows = 0;
  absl::Time deadline = absl::InfiniteFuture();
  Instant late;   // the deadline on the monotonic clock
  Instant since;  // when it was added
  absl::StatusOr<TensorMap> result = absl::UnknownError("not run");

  State state = State::kQueued;
  std::list<Batch>::iterator batch;
  std::condition_variable changed;  // notified when Batches::Next has another answer for it
};

// What may be joined: the requests to a signature of a version.
struct BatchLane {
  int64_t most_rows = 1;  // of a batch
  absl::Duration timeout = absl::ZeroDuration();
  int64_t most_batches = 1;  // that wait
  bool pad = false;          // joins requests of unequal shapes too

  int64_t batches = 0;  // that wait; kept by Batches
};

struct Batch {
  BatchLane* lane = nullptr;
  std::list<BatchTask*> tasks;  // oldest first; never empty
  int64_t rows = 0;
  Instant due;
  bool full = false;  // takes no more, and is due
};

class Batches {
 public:
  // At most `running` batches run at a time.
  explicit Batches(int running) : free_(running) {}

  // Adds a request of at most lane.most_rows rows to the lane's open batch, or to a new one. RESOURCE_EXHAUSTED with
  // TensorFlow Serving's text (shared_batch_scheduler.h; its code is UNAVAILABLE) where too many batches wait.
  absl::Status Add(BatchLane& lane, BatchTask& task, Instant now);

  struct Step {
    enum class Kind : uint8_t {
      kRun,   // run `tasks`, set their results, and call Finish
      kWait,  // until BatchTask::changed is notified or `until` has come
      kDone,  // the result is there
      kLate,  // the deadline has passed; the request is in no batch any more
    };
    Kind kind = Kind::kWait;
    Instant until;
    std::vector<BatchTask*> tasks;
  };
  Step Next(BatchTask& task, Instant now);

  // Ends a batch that Next gave to a thread.
  void Finish(const std::vector<BatchTask*>& tasks, Instant now);

 private:
  static bool IsDue(const Batch& batch, Instant now) { return batch.full || now >= batch.due; }
  // Returns the lane's batch that takes the task, or the end.
  std::list<Batch>::iterator FindRoom(BatchLane& lane, const BatchTask& task);
  std::vector<BatchTask*> Take(BatchTask& first, Instant now);
  void Leave(BatchTask& task, Instant now);
  void Erase(std::list<Batch>::iterator batch);
  // Lets the oldest batch that is due run, where a run is free.
  void WakeDue(Instant now);

  int free_;                  // batches that may be started now
  std::list<Batch> batches_;  // that wait, oldest first
};

}  // namespace ems

#endif  // EMS_BATCHING_BATCHES_H_
