#include "tflite/runner_pool.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/turns.h"

namespace ems {

RunnerPool::RunnerPool(std::vector<std::unique_ptr<TfliteRunner>> runners, int queue)
    : runners_(std::move(runners)), queue_(static_cast<size_t>(queue < 0 ? 0 : queue)) {
  for (const auto& runner : runners_) free_.push_back(runner.get());
}

absl::StatusOr<TfliteRunner*> RunnerPool::Acquire(absl::Time deadline, bool admitted) {
  std::unique_lock lock(mutex_);
  if (!free_.empty()) {
    TfliteRunner* runner = free_.back();
    free_.pop_back();
    return runner;
  }
  if (!admitted && waiters_.size() >= queue_) {
    return absl::ResourceExhaustedError(absl::StrCat("the model is busy: ", runners_.size(), " interpreters run and ",
                                                     waiters_.size(), " requests wait, which is the limit; try later"));
  }
  TfliteRunner* runner = Wait(lock, deadline);
  if (runner != nullptr) return runner;
  return absl::DeadlineExceededError("the deadline passed while the request waited for an interpreter");
}

TfliteRunner* RunnerPool::TryAcquire() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return nullptr;
  TfliteRunner* runner = free_.back();
  free_.pop_back();
  return runner;
}

void RunnerPool::Release(TfliteRunner* runner) {
  const std::lock_guard lock(mutex_);
  ReleaseLocked(runner);
}

bool RunnerPool::HandOver(TfliteRunner* runner) {
  const std::lock_guard lock(mutex_);
  if (waiters_.empty()) return false;
  ReleaseLocked(runner);
  return true;
}

TfliteRunner* RunnerPool::Yield(TfliteRunner* runner, absl::Time deadline) {
  std::unique_lock lock(mutex_);
  if (waiters_.empty()) return runner;
  ReleaseLocked(runner);
  return Wait(lock, deadline);
}

size_t RunnerPool::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiters_.size();
}

void RunnerPool::ReleaseLocked(TfliteRunner* runner) {
  if (waiters_.empty()) {
    free_.push_back(runner);
    return;
  }
  Waiter* first = waiters_.front();
  waiters_.pop_front();
  first->runner = runner;
  first->ready.notify_one();
}

TfliteRunner* RunnerPool::Wait(std::unique_lock<std::mutex>& lock, absl::Time deadline) {
  Turns::PassOnBeforeWaiting();
  Waiter waiter;
  const auto place = waiters_.insert(waiters_.end(), &waiter);
  const auto served = [&] { return waiter.runner != nullptr; };
  if (deadline == absl::InfiniteFuture()) {
    waiter.ready.wait(lock, served);
    return waiter.runner;
  }
  // On the monotonic clock from here on: a wall clock that is set must not end or stretch the wait.
  const auto patience = absl::ToChronoNanoseconds(deadline - SteadyNow());
  if (waiter.ready.wait_for(lock, patience, served)) return waiter.runner;
  waiters_.erase(place);
  return nullptr;
}

}  // namespace ems
