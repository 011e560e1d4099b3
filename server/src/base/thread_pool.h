// Threads that run tasks in the order of their submission.
#ifndef EMS_BASE_THREAD_POOL_H_
#define EMS_BASE_THREAD_POOL_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"

namespace ems {

class ThreadPool {
 public:
  // Starts no thread; the first `threads` submissions start one each.
  explicit ThreadPool(int threads) : most_(threads) {}
  ~ThreadPool();  // drops the tasks that have not begun, waits for the others
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Runs `task` on a thread of the pool, later. Drops it where there is none: with 0 threads, and where the machine
  // starts no more; so a task may only help with what goes on without it. Thread-safe.
  void Submit(std::function<void()> task);

  int threads() const { return most_; }

 private:
  void Loop();
  void StartThread();  // under mutex_

  const int most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  bool stop_ = false;
};

// Calls `work` for each of 0 .. count - 1, on this thread and, as they are free, on all of `pool`. Returns the first
// failure, after which no other item is begun, when all that were begun are done. `work` must be thread-safe; an
// exception that it throws is RESOURCE_EXHAUSTED.
absl::Status ForEach(ThreadPool& pool, int64_t count, const std::function<absl::Status(int64_t)>& work);

}  // namespace ems

#endif  // EMS_BASE_THREAD_POOL_H_
