#include "worker/worker.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "worker/channel.h"

namespace ems {
namespace {

constexpr uint64_t kModel = 5;
constexpr size_t kMost = 1000;  // bytes of a reply

// Returns its inputs; fails for the signature "broken".
class EchoRunner : public TfliteRunner {
 public:
  explicit EchoRunner(std::vector<std::string>* runs) : runs_(runs) {}
  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs) override {
    runs_->push_back(signature);
    if (signature == "broken") return absl::InternalError("a kernel failed");
    return inputs;
  }
  uint64_t arena_bytes() const override { return 123; }

 private:
  std::vector<std::string>* runs_;
};

Signature WithShape(Shape shape) {
  Signature signature;
  signature.inputs["x"] = {DataType::kFloat, std::move(shape), "x"};
  return signature;
}

class WorkerTest : public testing::Test {
 protected:
  Worker MakeWorker() {
    return Worker([this](const LoadModel& load) -> absl::StatusOr<OpenModel> {
      if (load.path == "/missing") return absl::UnavailableError("no such device");
      return OpenModel{signatures_, std::make_unique<EchoRunner>(&runs_)};
    });
  }
  SignatureMap signatures_{{"fixed", WithShape({1, 2})}, {"any", WithShape({-1, 2})}};
  std::vector<std::string> runs_;
};

TEST_F(WorkerTest, RunsSignaturesOfFixedShapesAtLoad) {
  Worker worker = MakeWorker();
  const WorkerReply reply = worker.Answer(LoadModel{kModel, "/m", {}});
  EXPECT_TRUE(reply.status.ok()) << reply.status;
  EXPECT_EQ(reply.arena_bytes, 123);
  EXPECT_THAT(runs_, testing::ElementsAre("fixed"));
}

TEST_F(WorkerTest, DoesNotKeepAModelWhoseFirstRunFails) {
  signatures_["broken"] = WithShape({1});
  Worker worker = MakeWorker();
  const WorkerReply reply = worker.Answer(LoadModel{kModel, "/m", {1, "libedgetpu.so.1", {}}});
  EXPECT_EQ(reply.status, absl::InternalError("the first run failed: a kernel failed"));
  EXPECT_EQ(worker.Answer(RunModel{kModel, "fixed", {}}).status.code(), absl::StatusCode::kNotFound);
}

TEST_F(WorkerTest, OnTheCpuAFirstRunThatFailsProvesNothing) {
  signatures_["broken"] = WithShape({1});
  Worker worker = MakeWorker();
  EXPECT_TRUE(worker.Answer(LoadModel{kModel, "/m", {}}).status.ok());
  EXPECT_TRUE(worker.Answer(RunModel{kModel, "fixed", {}}).status.ok());
}

TEST_F(WorkerTest, RunsUntilUnloaded) {
  Worker worker = MakeWorker();
  ASSERT_TRUE(worker.Answer(LoadModel{kModel, "/m", {}}).status.ok());
  const TensorMap inputs{{"x", MakeTensor(DataType::kFloat, {1, 2})}};
  const WorkerReply reply = worker.Answer(RunModel{kModel, "any", inputs});
  EXPECT_TRUE(reply.status.ok()) << reply.status;
  EXPECT_EQ(reply.outputs.at("x").bytes, inputs.at("x").bytes);
  EXPECT_EQ(worker.Answer(RunModel{kModel + 1, "any", inputs}).status.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(worker.Answer(UnloadModel{kModel}).status.ok());
  EXPECT_EQ(worker.Answer(RunModel{kModel, "any", inputs}).status.code(), absl::StatusCode::kNotFound);
}

TEST_F(WorkerTest, PassesOnWhyAModelDoesNotOpen) {
  EXPECT_EQ(MakeWorker().Answer(LoadModel{kModel, "/missing", {}}).status, absl::UnavailableError("no such device"));
}

// Serves a socket in a thread, as the program does in a process.
class Served : public WorkerTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds_.data()), 0);
    thread_ = std::thread([this] {
      served_ = MakeWorker().Serve(fds_[1], kMost);
      close(fds_[1]);
    });
  }
  absl::Status End() {
    if (fds_[0] >= 0) close(std::exchange(fds_[0], -1));
    if (thread_.joinable()) thread_.join();
    return served_;
  }
  void TearDown() override { End().IgnoreError(); }
  absl::StatusOr<WorkerReply> Call(const WorkerRequest& request) {
    MessageReader reader;
    if (!MessageWriter(Encode(request)).Write(fds_[0]).ok()) return absl::UnavailableError("not sent");
    const absl::StatusOr<MessageReader::State> state = reader.Read(fds_[0]);
    if (!state.ok() || *state != MessageReader::State::kMessage) return absl::UnavailableError("no reply");
    return DecodeReply(reader.message());
  }
  std::array<int, 2> fds_{-1, -1};
  std::thread thread_;
  absl::Status served_;
};

TEST_F(Served, AnswersUntilTheServerClosesItsEnd) {
  EXPECT_TRUE(Call(LoadModel{kModel, "/m", {}})->status.ok());
  EXPECT_TRUE(Call(RunModel{kModel, "any", {}})->status.ok());
  EXPECT_TRUE(End().ok());
}

TEST_F(Served, AnswersThatAReplyIsTooLarge) {
  EXPECT_TRUE(Call(LoadModel{kModel, "/m", {}})->status.ok());
  TensorMap large{{"x", MakeTensor(DataType::kUint8, {int64_t{kMost}})}};
  EXPECT_EQ(Call(RunModel{kModel, "any", std::move(large)})->status.code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(Served, EndsAtABrokenMessage) {
  ASSERT_TRUE(MessageWriter("broken").Write(fds_[0]).ok());
  EXPECT_EQ(End().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace ems
