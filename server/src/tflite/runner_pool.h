// The interpreters of a model, lent to one request at a time, in the order in which the requests came.
#ifndef EMS_TFLITE_RUNNER_POOL_H_
#define EMS_TFLITE_RUNNER_POOL_H_

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tflite/runner.h"

namespace ems {

// Thread-safe. A free interpreter is the one that was used last, whose memory is still in the caches.
class RunnerPool {
 public:
  // At most `queue` requests wait.
  RunnerPool(std::vector<std::unique_ptr<TfliteRunner>> runners, int queue);

  // Waits for a free interpreter, behind those who wait already. RESOURCE_EXHAUSTED where the queue is full,
  // DEADLINE_EXCEEDED where the deadline passes first. The queue's limit does not count for a request that was admitted
  // before.
  absl::StatusOr<TfliteRunner*> Acquire(absl::Time deadline, bool admitted = false);

  // Returns a free interpreter that nobody waits for, or null.
  TfliteRunner* TryAcquire();

  // Gives an interpreter back, to the first who waits.
  void Release(TfliteRunner* runner);

  // Gives `runner` to the first who waits; returns false where nobody does.
  bool HandOver(TfliteRunner* runner);

  // Gives `runner` to the first who waits, and waits behind the others for another; at once returns `runner` where
  // nobody waits. The queue's limit does not count here either. Null where the deadline has
  // passed.
  TfliteRunner* Yield(TfliteRunner* runner, absl::Time deadline);

  size_t size() const { return runners_.size(); }
  // Returns how many requests wait.
  size_t waiting() const;

 private:
  struct Waiter {
    std::condition_variable ready;
    TfliteRunner* runner = nullptr;
  };

  TfliteRunner* Wait(std::unique_lock<std::mutex>& lock, absl::Time deadline);
  void ReleaseLocked(TfliteRunner* runner);

  const std::vector<std::unique_ptr<TfliteRunner>> runners_;
  const size_t queue_;
  mutable std::mutex mutex_;
  std::vector<TfliteRunner*> free_;
  std::list<Waiter*> waiters_;
};

}  // namespace ems

#endif  // EMS_TFLITE_RUNNER_POOL_H_
