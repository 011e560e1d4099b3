// Calls that wait for a thread of the gRPC server.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <array>
#include <cstdint>
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
  // Waits for the next answer, and returns the number of its call.
  uintptr_t AwaitAnswer() {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue_.Next(&tag, &ok) && ok);
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
  std::array<Call, 2 * (kQueue + 1)> calls_;
  uintptr_t sent_ = 0;
};

TEST_F(CallThreadsTest, AnswersInTheOrderOfArrivalAndRefusesWhatIsTooMuch) {
  model_.gate.Close();
  Send();
  model_.gate.AwaitWaiting();
  for (size_t i = 0; i < kQueue + 1; ++i) Send();
  // As many wait as may, so the last is answered at once.
  EXPECT_EQ(AwaitAnswer(), kQueue + 1);
  EXPECT_EQ(StatusOf(kQueue + 1).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(StatusOf(kQueue + 1).error_message(), "The server is busy: its queue of requests is full. Try again.");
  EXPECT_EQ(model_.runs, 1);
  model_.gate.Open();
  for (uintptr_t number = 0; number < kQueue + 1; ++number) {
    EXPECT_EQ(AwaitAnswer(), number);
    EXPECT_TRUE(StatusOf(number).ok()) << StatusOf(number).error_message();
  }
}

TEST_F(CallThreadsTest, HasRoomAgainOnceTheCallsAreAnswered) {
  for (int round = 0; round < 2; ++round) {
    model_.gate.Close();
    Send();
    model_.gate.AwaitWaiting();
    for (size_t i = 0; i < kQueue; ++i) Send();
    model_.gate.Open();
    for (size_t i = 0; i < kQueue + 1; ++i) EXPECT_TRUE(StatusOf(AwaitAnswer()).ok());
  }
}

}  // namespace
}  // namespace ems
