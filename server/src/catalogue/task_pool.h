// Threads for loading, unloading and polling: tasks that run at once or later.
#ifndef EMS_CATALOGUE_TASK_POOL_H_
#define EMS_CATALOGUE_TASK_POOL_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <thread>

namespace ems {

// Runs tasks in at most `threads` threads. The first thread stays; the others come when it is busy, and end when there
// is nothing to do: a small board should not keep a stack for each core and pool.
//
// Uses the standard library's mutexes and not Abseil's, which the thread sanitizer cannot see into: Debian's library
// is not built for it.
class TaskPool {
 public:
  // A monotonic clock: a board without a battery jumps by decades when it learns the time.
  using Clock = std::chrono::steady_clock;
  using Task = std::function<void()>;

  explicit TaskPool(int threads);  // 0: one for each core
  ~TaskPool() { Stop(); }
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // Runs a task as soon as a thread is free, in the order of the calls.
  void Add(Task task) { AddAt(Clock::time_point::min(), std::move(task)); }

  // Runs a task at `due` or soon after.
  void AddAt(Clock::time_point due, Task task);

  // Waits for the tasks that run and drops the others. What is added later is dropped too.
  void Stop();

 private:
  bool IsDue() const;
  void StartThreadIfAllAreBusy();
  void Work(bool stays);

  std::mutex mu_;
  std::condition_variable changed_;
  std::multimap<Clock::time_point, Task> tasks_;
  std::list<std::thread> threads_;
  std::list<std::thread> ended_;  // to be joined
  size_t limit_;
  int waiting_ = 0;  // threads
  bool stopping_ = false;
};

}  // namespace ems

#endif  // EMS_CATALOGUE_TASK_POOL_H_
