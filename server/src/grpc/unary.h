// Calls with one request and one reply, on the threads of CallThreads.
#ifndef EMS_GRPC_UNARY_H_
#define EMS_GRPC_UNARY_H_

#include <google/protobuf/arena.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <array>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "grpc/call_threads.h"

namespace ems {

// Returns when the client gives up; the infinite future where it set no deadline.
absl::Time Deadline(const grpc::ServerContext& context);

// Whether a call may take long. A quick one is answered at once, even while all threads work.
enum class Pace { kQuick, kSlow };

// A method of a service: how gRPC is asked for the next call, and the answer to one.
template <typename Request, typename Response>
struct UnaryMethod {
  std::function<void(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*, void* tag)> accept;
  std::function<grpc::Status(const Request&, absl::Time deadline, Response*)> answer;
  Pace pace = Pace::kSlow;
};

// A call. It deletes itself at its end.
template <typename Request, typename Response>
class UnaryCall final : public Step, private Task {
 public:
  using Method = UnaryMethod<Request, Response>;

  // Waits for a call, answers it, and waits for the next meanwhile.
  static void Serve(CallThreads& threads, std::shared_ptr<const Method> method) {
    auto* call = new UnaryCall(threads, std::move(method));
    call->method_->accept(&call->context_, call->request_, &call->writer_, call);
  }

  void Proceed(bool ok) override {
    if (!ok || std::exchange(answered_, true)) {
      delete this;
      return;
    }
    Serve(threads_, method_);
    if (method_->pace == Pace::kQuick) {
      Answer(false);
    } else {
      threads_.Submit(*this);
    }
  }

 private:
  // Holds the messages of a small model: one allocation for a call.
  static constexpr size_t kBlock = 3072;

  UnaryCall(CallThreads& threads, std::shared_ptr<const Method> method)
      : threads_(threads), call_(threads), method_(std::move(method)), arena_(block_.data(), block_.size()) {}

  void Answer(bool refused) override {
    writer_.Finish(*response_,
                   refused ? grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                          "The server is busy: its queue of requests is full. Try again.")
                           : Guarded(),
                   this);
  }

  grpc::Status Guarded() {
    try {
      return method_->answer(*request_, Deadline(context_), response_);
    } catch (const std::exception&) {  // such as bad_alloc: a request must not end the server
      return {grpc::StatusCode::INTERNAL, "The server failed on this request."};
    }
  }

  CallThreads& threads_;
  const CallThreads::Call call_;
  const std::shared_ptr<const Method> method_;
  alignas(8) std::array<char, kBlock> block_;
  google::protobuf::Arena arena_;
  Request* const request_ = google::protobuf::Arena::CreateMessage<Request>(&arena_);
  Response* const response_ = google::protobuf::Arena::CreateMessage<Response>(&arena_);
  grpc::ServerContext context_;
  grpc::ServerAsyncResponseWriter<Response> writer_{&context_};
  bool answered_ = false;
};

// Serves a method: `accept` is the RequestNAME of the generated asynchronous service `service`, which must outlive the
// threads; so must what `answer` holds.
template <typename Service, typename Base, typename Request, typename Response, typename Answer>
void ServeUnary(CallThreads& threads, Service& service,
                void (Base::*accept)(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                                     grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*),
                Pace pace, Answer answer) {
  auto method = std::make_shared<UnaryMethod<Request, Response>>();
  method->accept = [&threads, &service, accept](grpc::ServerContext* context, Request* request,
                                                grpc::ServerAsyncResponseWriter<Response>* writer, void* tag) {
    (service.*accept)(context, request, writer, threads.queue(), threads.queue(), tag);
  };
  method->answer = std::move(answer);
  method->pace = pace;
  UnaryCall<Request, Response>::Serve(threads, std::move(method));
}

}  // namespace ems

#endif  // EMS_GRPC_UNARY_H_
