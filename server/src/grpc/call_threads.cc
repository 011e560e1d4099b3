#include "grpc/call_threads.h"

#include <sched.h>

#include <utility>

namespace ems {

namespace {

int Processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

CallThreads::CallThreads(std::unique_ptr<grpc::ServerCompletionQueue> queue, int most_threads, size_t most_waiting)
    : queue_(std::move(queue)),
      most_waiting_(most_waiting),
      turns_(most_threads, Processors() - 1, [this] { return TakeStep(); }) {}

void CallThreads::Start() {
  {
    const std::lock_guard lock(mutex_);
    started_ = true;
  }
  turns_.Start();
}

void CallThreads::Stop() {
  {
    std::unique_lock lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    // A call offered to gRPC comes back as refused, one that runs comes to its end; only then may the queue end.
    no_calls_.wait(lock, [this] { return calls_ == 0; });
  }
  queue_->Shutdown();
  while (!started_ && TakeStep()) {
  }
  turns_.Join();
}

void CallThreads::AddCall(int count) {
  const std::lock_guard lock(mutex_);
  calls_ += count;
  if (calls_ == 0) no_calls_.notify_all();
}

void CallThreads::Submit(Task& task) {
  bool admitted = false;
  if (waiting_count_ == 0) {
    const Turns::Work work(turns_);
    admitted = work.admitted();
    if (admitted) task.Answer(false);
  }
  if (!admitted && !Wait(task)) task.Answer(true);
  AnswerWaiting();
}

// Who has answered a call looks for one that waits, and so does who has made one wait: either it finds a thread free,
// or a thread that works will look.
void CallThreads::AnswerWaiting() {
  while (waiting_count_ > 0) {
    const Turns::Work work(turns_);
    if (!work.admitted()) return;
    if (Task* task = NextWaiting(); task != nullptr) task->Answer(false);
  }
}

bool CallThreads::Wait(Task& task) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= most_waiting_) return false;
  waiting_.push_back(&task);
  ++waiting_count_;
  return true;
}

Task* CallThreads::NextWaiting() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) return nullptr;
  Task* task = waiting_.front();
  waiting_.pop_front();
  --waiting_count_;
  return task;
}

bool CallThreads::TakeStep() {
  void* step = nullptr;
  bool ok = false;
  if (!queue_->Next(&step, &ok)) return false;
  static_cast<Step*>(step)->Proceed(ok);
  return true;
}

}  // namespace ems
