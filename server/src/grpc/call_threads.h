// The threads that answer gRPC calls, and the completion queue that feeds them.
//
// gRPC's threads for synchronous services cost more of the processor: a Predict takes a third less this way.
#ifndef EMS_GRPC_CALL_THREADS_H_
#define EMS_GRPC_CALL_THREADS_H_

#include <grpcpp/server_builder.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

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

// Thread-safe.
class CallThreads {
 public:
  // At least two threads: while all others compute, one answers.
  CallThreads(std::unique_ptr<grpc::ServerCompletionQueue> queue, int most_threads);
  CallThreads(const CallThreads&) = delete;
  CallThreads& operator=(const CallThreads&) = delete;
  ~CallThreads() { Stop(); }

  grpc::ServerCompletionQueue* queue() const { return queue_.get(); }

  // Starts the first thread; others start when they are needed.
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

  // The time in which a thread computes or waits. Another thread takes the calls that come meanwhile.
  class Work {
   public:
    explicit Work(CallThreads& threads) : threads_(threads), admitted_(threads.BeginWork()) {}
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    ~Work() {
      if (admitted_) threads_.EndWork();
    }
    // Returns false where every other thread works already.
    bool admitted() const { return admitted_; }

   private:
    CallThreads& threads_;
    const bool admitted_;
  };

 private:
  void AddCall(int count);
  bool BeginWork();
  void EndWork();
  void StartThread();  // under mutex_
  void Run();

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  const size_t most_;
  std::mutex mutex_;
  std::condition_variable no_calls_;
  std::vector<std::thread> threads_;  // guarded by mutex_, as what follows
  size_t working_ = 0;
  int calls_ = 0;
  bool stopped_ = false;
};

}  // namespace ems

#endif  // EMS_GRPC_CALL_THREADS_H_
