// Threads that run jobs from a bounded queue.
#ifndef EMS_HTTP_POOL_H_
#define EMS_HTTP_POOL_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace ems {

class Pool {
 public:
  using Job = absl::AnyInvocable<void()>;

  Pool(int threads, size_t queue);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { Stop(); }

  // Returns false, and drops the job, where the queue is full or the pool has stopped.
  bool Submit(Job job);
  // Lets the calling thread compute in place of a thread of the pool, until Return. Returns false where all of them
  // compute or jobs wait.
  bool Borrow();
  void Return();
  // Runs all jobs that were taken, then ends the threads.
  void Stop();

 private:
  void Run();

  const size_t most_;
  const int most_running_;
  // Not Abseil's: the thread sanitizer does not see inside Debian's library.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // guarded by mutex_, as stopped_
  bool stopped_ = false;
  int running_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace ems

#endif  // EMS_HTTP_POOL_H_
