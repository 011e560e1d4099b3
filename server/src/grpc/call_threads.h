// The threads that answer gRPC calls, and the completion queue that feeds them.
//
// gRPC's threads for synchronous services cost more of the processor: a Predict takes a third less this way. One thread
// waits for calls and answers them (base/turns.h).
#ifndef EMS_GRPC_CALL_THREADS_H_
#define EMS_GRPC_CALL_THREADS_H_

#include <grpcpp/server_builder.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

#include "base/turns.h"

namespace ems {

// What happens when gRPC has done a part of a call. gRPC knows it by its address.
class Step {
 public:
  Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  virtual ~Step() = default;

  // `ok` is false where gRPC could not do it: the client is gone, or the server stops.
  virtual void Proceed(bool ok) = 0;
};

// A call that computes or waits.
class Task {
 public:
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  virtual ~Task() = default;

  // Answers the call; the task may be gone then. `refused`: too many calls wait already.
  virtual void Answer(bool refused) = 0;
};

// Thread-safe.
class CallThreads {
 public:
  // At least two threads: while all others work, one answers. So many calls may wait for a thread.
  CallThreads(std::unique_ptr<grpc::ServerCompletionQueue> queue, int most_threads, size_t most_waiting);
  CallThreads(const CallThreads&) = delete;
  CallThreads& operator=(const CallThreads&) = delete;
  ~CallThreads() { Stop(); }

  grpc::ServerCompletionQueue* queue() const { return queue_.get(); }

  // Has the task answered by the calling thread or, where all others work, by the first that is free. Calls that waited
  // come first in the order of their arrival.
  void Submit(Task& task);

  void Start();
  // Waits for all calls to end, and ends the threads. The server has been shut down by then.
  void Stop();

  // A call, from the moment it is offered to gRPC.
  class Call {
   public:
    explicit Call(CallThreads& threads) : threads_(threads) { threads_.AddCall(1); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { threads_.AddCall(-1); }

   private:
    CallThreads& threads_;
  };

 private:
  void AddCall(int count);
  bool TakeStep();
  // Answers calls that wait, while threads are free.
  void AnswerWaiting();
  bool Wait(Task& task);
  Task* NextWaiting();

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::mutex mutex_;
  std::condition_variable no_calls_;
  int calls_ = 0;  // guarded by mutex_, as what follows
  bool started_ = false;
  bool stopped_ = false;
  std::deque<Task*> waiting_;
  const size_t most_waiting_;
  std::atomic<size_t> waiting_count_{0};  // of waiting_; read without the mutex
  Turns turns_;
};

}  // namespace ems

#endif  // EMS_GRPC_CALL_THREADS_H_
