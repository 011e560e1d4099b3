// Calls that wait for a thread of the gRPC server.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "good_request.h"
#include "grpc/server.h"
#include "serving_fixture.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace ems {
namespace {

namespace tfs = tensorflow::serving;

// A server of two threads: one works, the other sees to the calls that come.
class CallThreadsTest : public ServingFixture {
 protected:
  static constexpr size_t kQueue = 3;
  static constexpr uintptr_t kCalls = kQueue + 2;  // one runs, so many wait, one is refused
  static constexpr uintptr_t kNone = std::numeric_limits<uintptr_t>::max();

  void SetUp() override {
    ServingFixture::SetUp();
    GrpcOptions options;
    options.address = "127.0.0.1";
    options.port = 0;
    options.max_threads = 2;
    options.queue = kQueue;
    absl::StatusOr<std::unique_ptr<GrpcServer>> server = GrpcServer::Start(options, api_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = tfs::PredictionService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials()));
  }
  void TearDown() override {
    model_.gate.Open();
    server_->Stop(absl::Now());
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  // Sends a call; its number is that of the calls before it.
  void Send() {
    Call& call = calls_.at(sent_);
    call.reader = stub_->AsyncPredict(&call.context, GoodRequest(), &queue_);
    call.reader->Finish(&call.response, &call.status, reinterpret_cast<void*>(sent_++));
  }
  // Waits for the next answer, and returns the number of its call; kNone where none comes.
  uintptr_t AwaitAnswer() {
    void* tag = nullptr;
    bool ok = false;
    const auto most = std::chrono::system_clock::now() + std::chrono::seconds(20);
    if (queue_.AsyncNext(&tag, &ok, most) != grpc::CompletionQueue::GOT_EVENT) return kNone;
    return reinterpret_cast<uintptr_t>(tag);
  }
  const grpc::Status& StatusOf(uintptr_t number) const { return calls_.at(number).status; }

  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<tfs::PredictResponse>> reader;
    tfs::PredictResponse response;
    grpc::Status status;
  };
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<tfs::PredictionService::Stub> stub_;
  grpc::CompletionQueue queue_;
  std::array<Call, 2 * kCalls> calls_;
  uintptr_t sent_ = 0;
};

TEST_F(CallThreadsTest, AnswersInTheOrderOfArrivalAndRefusesWhatIsTooMuch) {
  for (uintptr_t first : {uintptr_t{0}, kCalls}) {  // once they are answered, as many may wait again
    model_.gate.Close();
    Send();
    model_.gate.AwaitWaiting();
    for (uintptr_t i = 1; i < kCalls; ++i) Send();
    // As many wait as may, so the last is answered at once.
    const uintptr_t last = first + kCalls - 1;
    ASSERT_EQ(AwaitAnswer(), last);
    EXPECT_EQ(StatusOf(last).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(StatusOf(last).error_message(), "The server is busy: its queue of requests is full. Try again.");
    model_.gate.Open();
    for (uintptr_t number = first; number < last; ++number) {
      ASSERT_EQ(AwaitAnswer(), number);
      EXPECT_TRUE(StatusOf(number).ok()) << StatusOf(number).error_message();
    }
    EXPECT_EQ(model_.runs, last - first / kCalls);
  }
}

}  // namespace
}  // namespace ems
