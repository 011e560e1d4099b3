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

CallThreads::CallThreads(std::unique_ptr<grpc::ServerCompletionQueue> queue, int most_threads)
    : queue_(std::move(queue)), turns_(most_threads, Processors() - 1, [this] { return TakeStep(); }) {}

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

bool CallThreads::TakeStep() {
  void* step = nullptr;
  bool ok = false;
  if (!queue_->Next(&step, &ok)) return false;
  static_cast<Step*>(step)->Proceed(ok);
  return true;
}

}  // namespace ems
