#include "http/pool.h"

#include <utility>

namespace ems {

Pool::Pool(int threads, size_t queue) : most_(queue), most_running_(threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

bool Pool::Submit(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || jobs_.size() >= most_) return false;
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

bool Pool::Borrow() {
  const std::lock_guard lock(mutex_);
  if (stopped_ || !jobs_.empty() || running_ >= most_running_) return false;
  ++running_;
  return true;
}

void Pool::Return() {
  {
    const std::lock_guard lock(mutex_);
    --running_;
    if (jobs_.empty()) return;
  }
  changed_.notify_one();  // a thread may have waited for this one's place
}

void Pool::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Pool::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return jobs_.empty() ? stopped_ : running_ < most_running_; });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    ++running_;
    if (stopped_ && jobs_.empty()) changed_.notify_all();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
    --running_;
  }
}

}  // namespace ems
