#include "catalogue/task_pool.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace ems {

TaskPool::TaskPool(int threads)
    : limit_(threads > 0 ? static_cast<size_t>(threads) : std::max(1U, std::thread::hardware_concurrency())) {
  const std::lock_guard lock(mu_);
  threads_.emplace_back([this] { Work(/*stays=*/true); });
}

void TaskPool::AddAt(Clock::time_point due, Task task) {
  const std::lock_guard lock(mu_);
  if (stopping_) return;
  tasks_.emplace(due, std::move(task));
  // Under the lock: the last user of the pool may destroy it as soon as the task has run.
  changed_.notify_one();
  StartThreadIfAllAreBusy();
}

void TaskPool::Stop() {
  std::list<std::thread> threads;
  std::multimap<Clock::time_point, Task> dropped;  // destroyed without the lock, as they may own anything
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
    dropped.swap(tasks_);
    threads.splice(threads.end(), threads_);
    threads.splice(threads.end(), ended_);
    changed_.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
}

bool TaskPool::IsDue() const { return !tasks_.empty() && tasks_.begin()->first <= Clock::now(); }

void TaskPool::StartThreadIfAllAreBusy() {
  if (stopping_ || waiting_ > 0 || threads_.size() >= limit_ || tasks_.empty()) return;
  for (std::thread& thread : ended_) thread.join();
  ended_.clear();
  try {
    threads_.emplace_back([this] { Work(/*stays=*/false); });
  } catch (const std::system_error&) {
    // No more threads on this machine: those that run take the task when they are free.
    return;
  }
}

void TaskPool::Work(bool stays) {
  std::unique_lock lock(mu_);
  while (!stopping_ && (stays || !tasks_.empty())) {
    if (!IsDue()) {
      ++waiting_;
      tasks_.empty() ? changed_.wait(lock) : (void)changed_.wait_until(lock, tasks_.begin()->first);
      --waiting_;
      continue;
    }
    Task task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    StartThreadIfAllAreBusy();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
  if (stopping_) return;  // Stop joins
  const auto self = std::find_if(threads_.begin(), threads_.end(), [](const std::thread& thread) {
    return thread.get_id() == std::this_thread::get_id();
  });
  ended_.splice(ended_.end(), threads_, self);
}

}  // namespace ems
