// The health service and reflection, and what they do while threads are busy or the server stops.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/grpcpp.h>

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <future>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ems/health.grpc.pb.h"
#include "ems/reflection.grpc.pb.h"
#include "good_request.h"
#include "grpc/health.h"
#include "grpc/server.h"
#include "serving_fixture.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace ems {
namespace {

namespace tfs = tensorflow::serving;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::reflection::v1alpha::ServerReflection;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;
using testing::Contains;

constexpr char kPrediction[] = "tensorflow.serving.PredictionService";

class GrpcHealthTest : public ServingFixture {
 protected:
  void SetUp() override {
    ServingFixture::SetUp();
    Start(0);
  }
  void Start(int threads, bool health = true, size_t queue = 256) {
    GrpcOptions options;
    options.address = "127.0.0.1";
    options.port = 0;
    options.max_threads = threads;
    options.health = health;
    options.queue = queue;
    absl::StatusOr<std::unique_ptr<GrpcServer>> server = GrpcServer::Start(options, api_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials());
    health_ = grpc::health::v1::Health::NewStub(channel_);
  }
  void TearDown() override { model_.gate.Open(); }

  // Returns the status by name, or the code of a call that fails.
  std::string Check(const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    grpc::ClientContext context;
    const grpc::Status status = health_->Check(&context, request, &response);
    return status.ok() ? HealthCheckResponse::ServingStatus_Name(response.status())
                       : absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
  }

  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
};

// A call of Watch.
class Watch {
 public:
  Watch(grpc::health::v1::Health::Stub& stub, const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    reader_ = stub.Watch(&context_, request);
  }
  // Waits for a status; returns its name, or "end".
  std::string Next() {
    HealthCheckResponse response;
    return reader_->Read(&response) ? HealthCheckResponse::ServingStatus_Name(response.status()) : "end";
  }
  grpc::Status Finish() { return reader_->Finish(); }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> reader_;
};

TEST_F(GrpcHealthTest, CheckOfTheServerAndOfEachService) {
  for (const std::string name : {"", kPrediction, "tensorflow.serving.ModelService"}) {
    EXPECT_EQ(Check(name), "SERVING") << name;
  }
  EXPECT_EQ(Check("another"), "NOT_FOUND");
  server_->SetServing(false);
  EXPECT_EQ(Check(""), "NOT_SERVING");
  EXPECT_EQ(Check(kPrediction), "NOT_SERVING");
  EXPECT_EQ(Check("another"), "NOT_FOUND");
}

TEST_F(GrpcHealthTest, WithoutTheFlagThereIsNoService) {
  Start(0, /*health=*/false);
  EXPECT_EQ(Check(""), "UNIMPLEMENTED");
}

TEST_F(GrpcHealthTest, WatchTellsOfEachChange) {
  Watch all(*health_, "");
  Watch prediction(*health_, kPrediction);
  for (Watch* watch : {&all, &prediction}) EXPECT_EQ(watch->Next(), "SERVING");
  server_->SetServing(true);  // no change, so nothing is sent
  server_->SetServing(false);
  for (Watch* watch : {&all, &prediction}) EXPECT_EQ(watch->Next(), "NOT_SERVING");
  server_->SetServing(true);
  for (Watch* watch : {&all, &prediction}) EXPECT_EQ(watch->Next(), "SERVING");
}

// As the description of the protocol asks: the service may come later.
TEST_F(GrpcHealthTest, WatchOfAnUnknownServiceStays) {
  Watch watch(*health_, "another");
  EXPECT_EQ(watch.Next(), "SERVICE_UNKNOWN");
  server_->SetServing(false);
  server_->Stop(absl::InfiniteFuture());
  EXPECT_EQ(watch.Next(), "end");
}

TEST_F(GrpcHealthTest, StopEndsWatchersAtOnceAndTellsThem) {
  Watch watch(*health_, "");
  EXPECT_EQ(watch.Next(), "SERVING");
  server_->SetServing(false);
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
  server_->Stop(absl::InfiniteFuture());
  EXPECT_EQ(watch.Next(), "end");
  EXPECT_EQ(watch.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GrpcHealthTest, WatchersAreLimitedAndThoseWhoGoMakeRoom) {
  std::deque<Watch> watchers;
  for (size_t i = 0; i < Health::kMostWatchers; ++i) {
    EXPECT_EQ(watchers.emplace_back(*health_, "").Next(), "SERVING");
  }
  Watch more(*health_, "");
  EXPECT_EQ(more.Next(), "end");
  EXPECT_EQ(more.Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Check(""), "SERVING");
  watchers.front().Cancel();
  EXPECT_EQ(watchers.front().Finish().error_code(), grpc::StatusCode::CANCELLED);
  // The server learns of it a moment after the client.
  std::string next;
  do {
    next = Watch(*health_, "").Next();
  } while (next == "end");
  EXPECT_EQ(next, "SERVING");
  for (Watch& watch : watchers) watch.Cancel();
}

TEST_F(GrpcHealthTest, CallsWaitForAThreadAndHealthAnswersMeanwhile) {
  Start(2, true, 1);
  model_.gate.Close();
  const auto stub = tfs::PredictionService::NewStub(channel_);
  const auto predict = [&] {
    grpc::ClientContext context;
    tfs::PredictResponse response;
    return stub->Predict(&context, GoodRequest(), &response);
  };
  std::future<grpc::Status> first = std::async(std::launch::async, predict);
  model_.gate.AwaitWaiting();
  EXPECT_EQ(Check(""), "SERVING");
  // A second call waits for the thread, a third is one too many; which of these is which, their connections decide.
  std::array others = {std::async(std::launch::async, predict), std::async(std::launch::async, predict)};
  size_t refused = 0;
  while (others.at(refused).wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) refused = 1 - refused;
  const grpc::Status busy = others.at(refused).get();
  EXPECT_EQ(busy.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(busy.error_message(), "The server is busy: its queue of requests is full. Try again.");
  EXPECT_EQ(Check(""), "SERVING");
  model_.gate.Open();
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(others.at(1 - refused).get().ok());
  EXPECT_TRUE(predict().ok());
}

// More clients at once than threads: none is refused, none is forgotten.
TEST_F(GrpcHealthTest, ManyClientsShareFewThreads) {
  Start(2);
  std::atomic<int> failed{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] {
      const auto stub = tfs::PredictionService::NewStub(
          grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials()));
      for (int call = 0; call < 100; ++call) {
        grpc::ClientContext context;
        tfs::PredictResponse response;
        if (!stub->Predict(&context, GoodRequest(), &response).ok()) ++failed;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failed, 0);
}

class GrpcReflectionTest : public GrpcHealthTest {
 protected:
  void SetUp() override {
    GrpcHealthTest::SetUp();
    stub_ = ServerReflection::NewStub(channel_);
    stream_ = stub_->ServerReflectionInfo(&context_);
  }
  ServerReflectionResponse Ask(const ServerReflectionRequest& request) {
    ServerReflectionResponse response;
    EXPECT_TRUE(stream_->Write(request));
    EXPECT_TRUE(stream_->Read(&response));
    EXPECT_EQ(response.original_request().SerializeAsString(), request.SerializeAsString());
    return response;
  }

  grpc::ClientContext context_;
  std::unique_ptr<ServerReflection::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<ServerReflectionRequest, ServerReflectionResponse>> stream_;
};

TEST_F(GrpcReflectionTest, ListsTheServices) {
  ServerReflectionRequest request;
  request.set_list_services("*");
  std::vector<std::string> names;
  const ServerReflectionResponse response = Ask(request);
  for (const auto& service : response.list_services_response().service()) names.push_back(service.name());
  EXPECT_THAT(names,
              testing::UnorderedElementsAre(kPrediction, "tensorflow.serving.ModelService", "grpc.health.v1.Health",
                                            "grpc.reflection.v1alpha.ServerReflection"));
  stream_->WritesDone();
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(GrpcReflectionTest, FilesComeWithThoseThatTheyImport) {
  ServerReflectionRequest request;
  request.set_file_containing_symbol(kPrediction);
  const auto bytes = Ask(request).file_descriptor_response().file_descriptor_proto();
  std::vector<std::string> names;
  for (const std::string& file : bytes) {
    google::protobuf::FileDescriptorProto proto;
    ASSERT_TRUE(proto.ParseFromString(file));
    names.push_back(proto.name());
  }
  EXPECT_THAT(names, Contains("tensorflow_serving/apis/prediction_service.proto"));
  EXPECT_THAT(names, Contains("tensorflow/core/framework/tensor.proto").Times(1));
  request.set_file_by_filename("tensorflow/core/framework/types.proto");
  EXPECT_EQ(Ask(request).file_descriptor_response().file_descriptor_proto_size(), 1);
}

TEST_F(GrpcReflectionTest, ExtensionsOfAMessage) {
  ServerReflectionRequest request;
  request.set_all_extension_numbers_of_type("tensorflow.serving.PredictRequest");
  EXPECT_EQ(Ask(request).all_extension_numbers_response().base_type_name(), "tensorflow.serving.PredictRequest");
  request.mutable_file_containing_extension()->set_containing_type("tensorflow.serving.PredictRequest");
  request.mutable_file_containing_extension()->set_extension_number(1);
  EXPECT_EQ(Ask(request).error_response().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(GrpcReflectionTest, UnknownNamesAreErrorsInTheAnswer) {
  ServerReflectionRequest request;
  request.set_file_containing_symbol("no.such.Symbol");
  EXPECT_EQ(Ask(request).error_response().error_message(), "Symbol not found.");
  request.set_file_by_filename("no/such.proto");
  EXPECT_EQ(Ask(request).error_response().error_message(), "File not found.");
  request.set_all_extension_numbers_of_type("no.such.Type");
  EXPECT_EQ(Ask(request).error_response().error_message(), "Type not found.");
  EXPECT_EQ(Ask({}).error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GrpcReflectionTest, StopEndsSessionsAtOnce) {
  ServerReflectionRequest request;
  request.set_list_services("*");
  Ask(request);
  server_->Stop(absl::InfiniteFuture());
  ServerReflectionResponse response;
  EXPECT_FALSE(stream_->Read(&response));
}

}  // namespace
}  // namespace ems
