// The gRPC server against real clients over loopback and a Unix socket.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <thread>

#include "certificates.h"
#include "codec/tensor_proto.h"
#include "good_request.h"
#include "grpc/server.h"
#include "serving_fixture.h"
#include "tensorflow_serving/apis/model_service.grpc.pb.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace ems {
namespace {

namespace tfs = tensorflow::serving;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class GrpcTest : public ServingFixture {
 protected:
  static GrpcOptions Loopback() {
    GrpcOptions options;
    options.address = "127.0.0.1";
    options.port = 0;
    return options;
  }
  void Start(const GrpcOptions& options) {
    absl::StatusOr<std::unique_ptr<GrpcServer>> server = GrpcServer::Start(options, api_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    Connect(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials(), {});
  }
  void Connect(const std::string& target, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
               const grpc::ChannelArguments& arguments) {
    channel_ = grpc::CreateCustomChannel(target, credentials, arguments);
    prediction_ = tfs::PredictionService::NewStub(channel_);
    models_ = tfs::ModelService::NewStub(channel_);
  }
  void SetUp() override {
    ServingFixture::SetUp();
    Start(Loopback());
  }
  void TearDown() override {
    model_.gate.Open();
    server_->Stop(absl::Now());
  }

  grpc::Status Predict(const tfs::PredictRequest& request) {
    grpc::ClientContext context;
    return prediction_->Predict(&context, request, &response_);
  }
  void ExpectError(const tfs::PredictRequest& request, grpc::StatusCode code, const std::string& text) {
    const grpc::Status status = Predict(request);
    EXPECT_EQ(status.error_code(), code);
    EXPECT_EQ(status.error_message(), text);
  }
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<tfs::PredictionService::Stub> prediction_;
  std::unique_ptr<tfs::ModelService::Stub> models_;
  tfs::PredictResponse response_;
};

TEST_F(GrpcTest, PredictAnswersWithTypedFields) {
  const grpc::Status status = Predict(GoodRequest());
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.model_spec().name(), "m");
  EXPECT_EQ(response_.model_spec().version().value(), 7);
  EXPECT_EQ(response_.model_spec().signature_name(), "serving_default");
  const tensorflow::TensorProto& y = response_.outputs().at("y");
  EXPECT_EQ(y.dtype(), tensorflow::DT_FLOAT);
  EXPECT_THAT(y.float_val(), testing::ElementsAre(2, 4));
  EXPECT_EQ(response_.outputs_size(), 2);
}

TEST_F(GrpcTest, OutputFilter) {
  tfs::PredictRequest request = GoodRequest();
  request.add_output_filter("n");
  ASSERT_TRUE(Predict(request).ok());
  EXPECT_EQ(response_.outputs_size(), 1);
  EXPECT_EQ(response_.outputs().at("n").int_val(0), 2);
}

TEST_F(GrpcTest, TensorContentOnDemand) {
  server_->Stop(absl::Now());
  GrpcOptions options = Loopback();
  options.as_tensor_content = true;
  Start(options);
  ASSERT_TRUE(Predict(GoodRequest()).ok());
  EXPECT_EQ(response_.outputs().at("y").tensor_content().size(), 8);
  EXPECT_EQ(response_.outputs().at("y").float_val_size(), 0);
}

// 3.3 of the facts.
TEST_F(GrpcTest, StatusesOfPredict) {
  tfs::PredictRequest request;
  ExpectError(request, grpc::StatusCode::INVALID_ARGUMENT, "Missing ModelSpec");
  request.mutable_model_spec();
  ExpectError(request, grpc::StatusCode::INVALID_ARGUMENT, "ModelSpec has no name specified.");
  request.mutable_model_spec()->set_name("x");
  ExpectError(request, grpc::StatusCode::NOT_FOUND, "Servable not found for request: Latest(x)");
  request.mutable_model_spec()->mutable_version()->set_value(9);
  ExpectError(request, grpc::StatusCode::NOT_FOUND, "Servable not found for request: Specific(x, 9)");
  request.mutable_model_spec()->set_name("m");
  request.mutable_model_spec()->set_version_label("new");
  ExpectError(request, grpc::StatusCode::INVALID_ARGUMENT, "Unrecognized servable version label: new");
  request = GoodRequest();
  request.mutable_model_spec()->set_signature_name("s");
  ExpectError(request, grpc::StatusCode::FAILED_PRECONDITION, "Serving signature key \"s\" not found.");
  request = GoodRequest();
  request.clear_inputs();
  ExpectError(request, grpc::StatusCode::INVALID_ARGUMENT,
              "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: "
              "{x}.");
  request = GoodRequest();
  (*request.mutable_inputs())["x"].set_tensor_content("abc");
  ExpectError(request, grpc::StatusCode::INVALID_ARGUMENT, "tensor parsing error: x");
  request = GoodRequest();
  request.add_output_filter("z");
  ExpectError(request, grpc::StatusCode::INVALID_ARGUMENT,
              "output tensor alias not found in signature: z Outputs expected to be in the set {n,y}.");
}

TEST_F(GrpcTest, WrongNamesComeBeforeWrongTensors) {
  tfs::PredictRequest request = GoodRequest();
  request.mutable_inputs()->erase("x");
  (*request.mutable_inputs())["a"].set_dtype(tensorflow::DT_RESOURCE);
  const grpc::Status status = Predict(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("not found in signature: a"));
}

TEST_F(GrpcTest, ABrokenTensorIsCalledAsItWasSent) {
  tfs::PredictRequest request = GoodRequest();
  request.mutable_inputs()->erase("x");
  (*request.mutable_inputs())["x:0"].set_dtype(tensorflow::DT_RESOURCE);
  ExpectError(request, grpc::StatusCode::INVALID_ARGUMENT, "tensor parsing error: x:0");
}

TEST_F(GrpcTest, InputsShareTheLimitOfRepeatedValues) {
  tfs::PredictRequest request;
  request.mutable_model_spec()->set_name("m");
  request.mutable_model_spec()->set_signature_name("pair");
  request.add_output_filter("unknown");  // the answer to tensors that are made
  for (const char* name : {"x", "z"}) {
    tensorflow::TensorProto& tensor = (*request.mutable_inputs())[name];
    tensor.set_dtype(tensorflow::DT_FLOAT);
    tensor.mutable_tensor_shape()->add_dim()->set_size(kMostRepeatedBytes / sizeof(float) / 2 + 1);
  }
  ExpectError(request, grpc::StatusCode::INVALID_ARGUMENT, "tensor parsing error: z");
  (*request.mutable_inputs())["z"].mutable_tensor_shape()->mutable_dim(0)->set_size(2);
  ExpectError(request, grpc::StatusCode::INVALID_ARGUMENT,
              "output tensor alias not found in signature: unknown Outputs expected to be in the set {outputs}.");
}

// prediction_service_impl.cc and predict_util.cc
TEST_F(GrpcTest, FailuresAreCountedButNotTimed) {
  const std::string count = "request_count{model_name=\"m\",status=\"INTERNAL\"} 1\n";
  const std::string latency = "request_latency_count{model_name=\"m\",API=\"Predict\",entrypoint=\"GRPC\"} ";
  model_.result = absl::InternalError("no");
  ASSERT_FALSE(Predict(GoodRequest()).ok());
  EXPECT_THAT(metrics_.Text(),
              AllOf(HasSubstr(count), Not(HasSubstr(latency)), Not(HasSubstr("runtime_latency_count"))));
  model_.result = absl::OkStatus();
  ASSERT_TRUE(Predict(GoodRequest()).ok());
  EXPECT_THAT(metrics_.Text(), AllOf(HasSubstr(count), HasSubstr(latency + "1\n")));
}

TEST_F(GrpcTest, ErrorsOfARunReachTheClientCutTo1024Characters) {
  model_.result = absl::ResourceExhaustedError("the queue is full");
  ExpectError(GoodRequest(), grpc::StatusCode::RESOURCE_EXHAUSTED, "the queue is full");
  model_.result = absl::InternalError(std::string(2000, 'a'));
  ExpectError(GoodRequest(), grpc::StatusCode::INTERNAL, std::string(1024, 'a') + "...TRUNCATED");
}

TEST_F(GrpcTest, DeadlineOfTheCallBecomesThatOfTheRun) {
  model_.gate.Close();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  const grpc::Status status = prediction_->Predict(&context, GoodRequest(), &response_);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_LT(model_.last.deadline, absl::Now() + absl::Seconds(1));
  model_.gate.Open();
  ASSERT_TRUE(Predict(GoodRequest()).ok());
  EXPECT_EQ(model_.last.deadline, absl::InfiniteFuture());
}

TEST_F(GrpcTest, MessagesAreLarge) {
  tfs::PredictRequest request = GoodRequest();
  tensorflow::TensorProto& x = (*request.mutable_inputs())["x"];
  x.clear_float_val();
  x.mutable_tensor_shape()->mutable_dim(0)->set_size(1 << 20);
  x.mutable_tensor_content()->resize(8U << 20U);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  Connect(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials(), arguments);
  const grpc::Status status = Predict(request);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(GrpcTest, MetadataNeedsAField) {
  tfs::GetModelMetadataRequest request;
  tfs::GetModelMetadataResponse response;
  const auto call = [&] {
    grpc::ClientContext context;
    return prediction_->GetModelMetadata(&context, request, &response);
  };
  EXPECT_EQ(call().error_message(), "Missing ModelSpec");
  request.mutable_model_spec()->set_name("m");
  EXPECT_EQ(call().error_message(), "GetModelMetadataRequest must specify at least one metadata_field");
  request.add_metadata_field("graph");
  EXPECT_EQ(call().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_metadata_field(0, "signature_def");
  ASSERT_TRUE(call().ok());
  EXPECT_EQ(response.metadata().count("signature_def"), 1);
}

TEST_F(GrpcTest, StatusOfAModel) {
  tfs::GetModelStatusRequest request;
  tfs::GetModelStatusResponse response;
  const auto call = [&] {
    grpc::ClientContext context;
    return models_->GetModelStatus(&context, request, &response);
  };
  EXPECT_EQ(call().error_message(), "Missing ModelSpec");
  request.mutable_model_spec()->set_name("x");
  EXPECT_EQ(call().error_message(), "Could not find any versions of model x");
  request.mutable_model_spec()->set_name("m");
  ASSERT_TRUE(call().ok());
  EXPECT_EQ(response.model_version_status(0).state(), tfs::ModelVersionStatus::AVAILABLE);
}

TEST_F(GrpcTest, ReloadSaysItsStatusInTheReplyToo) {
  folder_.File("other/1/model.tflite", "");
  tfs::ReloadConfigRequest request;
  tfs::ReloadConfigResponse response;
  auto& config = *request.mutable_config()->mutable_model_config_list()->add_config();
  config.set_name("other");
  config.set_base_path(folder_ / "other");
  config.set_model_platform("tensorflow");
  grpc::ClientContext context;
  const grpc::Status status = models_->HandleReloadConfigRequest(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.status().error_code(), tensorflow::error::OK);
  tfs::PredictRequest predict = GoodRequest();
  predict.mutable_model_spec()->set_name("other");
  EXPECT_TRUE(Predict(predict).ok());
  grpc::ClientContext again;
  EXPECT_EQ(models_->HandleReloadConfigRequest(&again, {}, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// "Too many pings": with gRPC's own settings of a server this call ends after 4 s.
TEST_F(GrpcTest, ClientsMayPingEachSecond) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 1000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  Connect(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials(), arguments);
  model_.gate.Close();
  std::thread opener([this] {
    absl::SleepFor(absl::Seconds(8));  // the pings themselves take this time
    model_.gate.Open();
  });
  const grpc::Status status = Predict(GoodRequest());
  opener.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(GrpcTest, StopEndsRequestsAfterTheDeadline) {
  model_.gate.Close();
  grpc::Status status;
  std::thread client([&] { status = Predict(GoodRequest()); });
  model_.gate.AwaitWaiting();
  std::thread stopper([this] { server_->Stop(absl::Now() + absl::Milliseconds(100)); });
  client.join();
  EXPECT_FALSE(status.ok());
  model_.gate.Open();
  stopper.join();
}

TEST_F(GrpcTest, StopLetsRequestsEnd) {
  model_.gate.Close();
  grpc::Status status(grpc::StatusCode::UNKNOWN, "");
  std::thread client([&] { status = Predict(GoodRequest()); });
  model_.gate.AwaitWaiting();
  std::thread stopper([this] { server_->Stop(absl::Now() + absl::Minutes(1)); });
  model_.gate.Open();
  client.join();
  stopper.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(GrpcTest, TakenPortIsAnError) {
  GrpcOptions options = Loopback();
  options.port = server_->port();
  const auto second = GrpcServer::Start(options, api_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("Address already in use"));
}

TEST_F(GrpcTest, WrongArgumentsAreAnError) {
  GrpcOptions options = Loopback();
  options.channel_arguments = "grpc.max_concurrent_streams";
  EXPECT_EQ(GrpcServer::Start(options, api_).status().code(), absl::StatusCode::kInvalidArgument);
  options = Loopback();
  options.ssl_config_file = folder_ / "missing";
  EXPECT_EQ(GrpcServer::Start(options, api_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(GrpcTest, UnixSocketAlone) {
  server_->Stop(absl::Now());
  GrpcOptions options;
  options.address = "";
  options.socket_path = folder_ / "socket";
  const mode_t mask = umask(0077);  // as the service has it
  Start(options);
  umask(mask);
  struct stat facts = {};
  ASSERT_EQ(stat(options.socket_path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0666);
  Connect("unix:" + options.socket_path, grpc::InsecureChannelCredentials(), {});
  const grpc::Status status = Predict(GoodRequest());
  EXPECT_TRUE(status.ok()) << status.error_message();
}

class GrpcTlsTest : public GrpcTest {
 protected:
  void StartTls(bool client_verify) {
    server_->Stop(absl::Now());
    GrpcOptions options = Loopback();
    options.ssl_config_file =
        folder_.File("ssl", SslConfigText(authority_.Sign("server"), authority_.certificate(), client_verify));
    Start(options);
  }
  void ConnectTls(const KeyPair& client) {
    grpc::SslCredentialsOptions ssl;
    ssl.pem_root_certs = authority_.certificate();
    ssl.pem_private_key = client.key;
    ssl.pem_cert_chain = client.certificate;
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("server");
    Connect(absl::StrCat("127.0.0.1:", server_->port()), grpc::SslCredentials(ssl), arguments);
  }

  Authority authority_;
};

TEST_F(GrpcTlsTest, ServerProvesItself) {
  StartTls(false);
  EXPECT_EQ(Predict(GoodRequest()).error_code(), grpc::StatusCode::UNAVAILABLE);
  ConnectTls({});
  const grpc::Status status = Predict(GoodRequest());
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(GrpcTlsTest, ClientsProveThemselves) {
  StartTls(true);
  ConnectTls({});
  EXPECT_EQ(Predict(GoodRequest()).error_code(), grpc::StatusCode::UNAVAILABLE);
  ConnectTls(authority_.Sign("client"));
  const grpc::Status status = Predict(GoodRequest());
  EXPECT_TRUE(status.ok()) << status.error_message();
  ConnectTls(Authority().Sign("client"));
  EXPECT_EQ(Predict(GoodRequest()).error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace ems
