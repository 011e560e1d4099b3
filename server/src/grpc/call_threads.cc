#include "grpc/call_threads.h"

#include <algorithm>
#include <utility>

namespace ems {

CallThreads::CallThreads(std::unique_ptr<grpc::ServerCompletionQueue> queue, int most_threads)
    : queue_(std::move(queue)), most_(std::max(2, most_threads)) {}

void CallThreads::Start() {
  const std::lock_guard lock(mutex_);
  StartThread();
}

void CallThreads::Stop() {
  {
    std::unique_lock lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    // A call offered to gRPC comes back as refused, one that runs comes to its end; only then may the queue end.
    no_calls_.wait(lock, [this] { return calls_ == 0; });
  }
  queue_->Shutdown();
  for (std::thread& thread : threads_) thread.join();
  if (threads_.empty()) Run();
}

void CallThreads::AddCall(int count) {
  const std::lock_guard lock(mutex_);
  calls_ += count;
  if (calls_ == 0) no_calls_.notify_all();
}

bool CallThreads::BeginWork() {
  const std::lock_guard lock(mutex_);
  if (working_ + 1 >= most_) return false;
  ++working_;
  if (working_ == threads_.size()) StartThread();
  return true;
}

void CallThreads::EndWork() {
  const std::lock_guard lock(mutex_);
  --working_;
}

void CallThreads::StartThread() {
  threads_.emplace_back([this] { Run(); });
}

void CallThreads::Run() {
  void* step = nullptr;
  bool ok = false;
  while (queue_->Next(&step, &ok)) static_cast<Step*>(step)->Proceed(ok);
}

}  // namespace ems
