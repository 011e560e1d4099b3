#include "base/thread_pool.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace ems {

namespace {

// The items of a ForEach. A helper that comes late finds none left, and then does not touch `work`, which is gone.
class Items {
 public:
  Items(int64_t count, const std::function<absl::Status(int64_t)>& work) : count_(count), work_(work) {}

  void Work() {
    std::unique_lock lock(mutex_);
    while (next_ < count_ && status_.ok()) {
      const int64_t item = next_++;
      ++running_;
      lock.unlock();
      absl::Status status = Do(item);
      lock.lock();
      --running_;
      if (status_.ok()) status_ = std::move(status);
    }
    if (running_ == 0) done_.notify_all();
  }

  absl::Status Finish() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    return status_;
  }

 private:
  // An exception would leave ForEach while helpers still use `work_`, and end the program in a helper.
  absl::Status Do(int64_t item) const {
    try {
      return work_(item);
    } catch (const std::exception& error) {  // such as bad_alloc
      return absl::ResourceExhaustedError(std::string("the work failed: ") + error.what());
    }
  }

  const int64_t count_;
  const std::function<absl::Status(int64_t)>& work_;
  std::mutex mutex_;
  std::condition_variable done_;
  int64_t next_ = 0;
  int64_t running_ = 0;
  absl::Status status_;
};

}  // namespace

absl::Status ForEach(ThreadPool& pool, int64_t count, const std::function<absl::Status(int64_t)>& work) {
  const auto items = std::make_shared<Items>(count, work);
  const int64_t helpers = std::min<int64_t>(count - 1, pool.threads());
  for (int64_t i = 0; i < helpers; ++i) pool.Submit([items] { items->Work(); });
  items->Work();
  return items->Finish();
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    tasks_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::Submit(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (static_cast<int>(threads_.size()) < most_) StartThread();
  if (threads_.empty()) return;
  tasks_.push_back(std::move(task));
  changed_.notify_one();
}

void ThreadPool::StartThread() {
  try {
    threads_.emplace_back([this] { Loop(); });
  } catch (const std::system_error&) {
    // No more threads on this machine: those that run take the task when they are free.
    return;
  }
}

void ThreadPool::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
    if (stop_) return;
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace ems
