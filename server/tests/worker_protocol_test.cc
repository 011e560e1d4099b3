#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <random>
#include <thread>

#include "worker/channel.h"
#include "worker/protocol.h"

namespace ems {
namespace {

TensorMap SomeTensors() {
  TensorMap tensors;
  tensors["image"] = MakeTensor(DataType::kFloat, {1, 2, 3});
  tensors["image"].data<float>()[5] = 0.5F;
  tensors["names"] = MakeTensor(DataType::kString, {2});
  tensors["names"].strings = {"a", std::string("\0b", 2)};
  tensors["none"] = MakeTensor(DataType::kInt8, {0, 4});
  tensors["scalar"] = MakeTensor(DataType::kInt64, {});
  return tensors;
}

void ExpectSame(const TensorMap& one, const TensorMap& other) {
  ASSERT_EQ(one.size(), other.size());
  for (const auto& [name, tensor] : one) {
    ASSERT_TRUE(other.count(name) == 1) << name;
    const Tensor& same = other.at(name);
    EXPECT_EQ(tensor.dtype, same.dtype);
    EXPECT_EQ(tensor.shape, same.shape);
    EXPECT_EQ(tensor.bytes, same.bytes);
    EXPECT_EQ(tensor.strings, same.strings);
  }
}

WorkerReply SomeReply() { return WorkerReply{absl::InternalError("the device broke"), SomeTensors(), 4096, 2999}; }

TEST(WorkerProtocol, CarriesALoad) {
  const LoadModel sent{7, "/models/m/1/model.tflite", {2, "libedgetpu.so.1", {{"device", "usb:0"}, {"k", ""}}}};
  const absl::StatusOr<WorkerRequest> got = DecodeRequest(Encode(WorkerRequest(sent)));
  ASSERT_TRUE(got.ok()) << got.status();
  const auto& load = std::get<LoadModel>(*got);
  EXPECT_EQ(load.model, sent.model);
  EXPECT_EQ(load.path, sent.path);
  EXPECT_EQ(load.options.threads, 2);
  EXPECT_EQ(load.options.delegate, "libedgetpu.so.1");
  EXPECT_EQ(load.options.delegate_options, sent.options.delegate_options);
}

TEST(WorkerProtocol, CarriesARunAndAnUnload) {
  const absl::StatusOr<WorkerRequest> got = DecodeRequest(Encode(WorkerRequest(RunModel{9, "s", SomeTensors()})));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(std::get<RunModel>(*got).model, 9);
  EXPECT_EQ(std::get<RunModel>(*got).signature, "s");
  ExpectSame(SomeTensors(), std::get<RunModel>(*got).inputs);
  const absl::StatusOr<WorkerRequest> unload = DecodeRequest(Encode(WorkerRequest(UnloadModel{3})));
  ASSERT_TRUE(unload.ok()) << unload.status();
  EXPECT_EQ(std::get<UnloadModel>(*unload).model, 3);
}

TEST(WorkerProtocol, CarriesAReply) {
  const absl::StatusOr<WorkerReply> got = DecodeReply(Encode(SomeReply()));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->status, SomeReply().status);
  EXPECT_EQ(got->arena_bytes, 4096);
  EXPECT_EQ(got->run_micros, 2999);
  ExpectSame(SomeTensors(), got->outputs);
}

// A cut message is never taken for a whole one: each of its parts announces its size.
TEST(WorkerProtocol, RefusesEveryCutAndEveryTail) {
  for (const std::string& whole : {Encode(WorkerRequest(RunModel{9, "s", SomeTensors()})), Encode(SomeReply())}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(DecodeRequest(whole.substr(0, size)).ok()) << size;
      EXPECT_FALSE(DecodeReply(whole.substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(DecodeRequest(whole + '\0').ok());
    EXPECT_FALSE(DecodeReply(whole + '\0').ok());
  }
}

TEST(WorkerProtocol, RefusesATensorThatIsNotWhole) {
  TensorMap tensors = SomeTensors();
  tensors["image"].bytes.pop_back();
  EXPECT_FALSE(DecodeRequest(Encode(WorkerRequest(RunModel{9, "s", tensors}))).ok());
  tensors["image"] = Tensor{};
  EXPECT_FALSE(DecodeRequest(Encode(WorkerRequest(RunModel{9, "s", tensors}))).ok());
}

void ExpectWhole(const TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(IsWhole(tensor)) << name;
}

// Under the address sanitizer this also shows that nobody reads beyond a message.
TEST(WorkerProtocol, SurvivesRandomDamage) {
  std::mt19937 random(12);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same damage in each run
  const std::array<std::string, 3> seeds{Encode(WorkerRequest(LoadModel{1, "/m", {1, "d", {{"k", "v"}}}})),
                                         Encode(WorkerRequest(RunModel{9, "s", SomeTensors()})), Encode(SomeReply())};
  constexpr std::array<uint64_t, 6> kNumbers{0, 1, 0x7fffffffffffffff, 0xffffffffffffffff, 0x10000000, 1ULL << 61};
  for (int i = 0; i < 30000; ++i) {
    std::string message = seeds.at(random() % seeds.size());
    for (uint32_t hits = 1 + random() % 4; hits > 0; --hits) {
      const size_t at = random() % message.size();
      if (random() % 2 == 0 && at + 8 <= message.size()) {
        std::memcpy(message.data() + at, &kNumbers.at(random() % kNumbers.size()), 8);
      } else {
        message[at] = static_cast<char>(random());
      }
    }
    if (random() % 4 == 0) message.resize(random() % message.size());
    const absl::StatusOr<WorkerRequest> request = DecodeRequest(message);
    if (request.ok() && std::holds_alternative<RunModel>(*request)) ExpectWhole(std::get<RunModel>(*request).inputs);
    const absl::StatusOr<WorkerReply> reply = DecodeReply(message);
    if (reply.ok()) ExpectWhole(reply->outputs);
  }
}

class Channel : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds_.data()), 0); }
  void TearDown() override {
    CloseFirst();
    close(fds_[1]);
  }
  void CloseFirst() {
    if (fds_[0] >= 0) close(fds_[0]);
    fds_[0] = -1;
  }
  void SendRaw(std::string_view bytes) const {
    ASSERT_EQ(send(fds_[0], bytes.data(), bytes.size(), MSG_NOSIGNAL), bytes.size());
  }
  std::array<int, 2> fds_{-1, -1};
};

TEST_F(Channel, CarriesMessagesOfAllSizes) {
  std::thread sender([this] {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{3} << 20, size_t{5}}) {
      const std::string message(size, static_cast<char>('a' + size % 7));
      const absl::StatusOr<bool> sent = MessageWriter(message).Write(fds_[0]);
      EXPECT_TRUE(sent.ok() && *sent) << size;
    }
    CloseFirst();
  });
  MessageReader reader;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{3} << 20, size_t{5}}) {
    const absl::StatusOr<MessageReader::State> state = reader.Read(fds_[1]);
    ASSERT_TRUE(state.ok() && *state == MessageReader::State::kMessage) << size;
    EXPECT_EQ(reader.message(), std::string(size, static_cast<char>('a' + size % 7)));
  }
  sender.join();
  EXPECT_EQ(*reader.Read(fds_[1]), MessageReader::State::kEnd);
}

TEST_F(Channel, KeepsNoMemoryOfALargeMessage) {
  std::thread sender([this] {
    for (const size_t size : {size_t{1} << 20, size_t{5} << 20}) {
      EXPECT_TRUE(MessageWriter(std::string(size, 'x')).Write(fds_[0]).ok());
    }
  });
  MessageReader reader;
  ASSERT_TRUE(reader.Read(fds_[1]).ok());
  reader.Drop();
  EXPECT_GE(reader.capacity(), size_t{1} << 20);  // new memory would cost more than the copy
  ASSERT_TRUE(reader.Read(fds_[1]).ok());
  EXPECT_EQ(reader.message().size(), size_t{5} << 20);
  reader.Drop();
  EXPECT_LT(reader.capacity(), 100);
  EXPECT_EQ(reader.message(), "");
  sender.join();
}

TEST_F(Channel, WaitsForNothingWhereTheSocketDoesNotBlock) {
  for (const int fd : fds_) fcntl(fd, F_SETFL, O_NONBLOCK);
  MessageReader reader;
  EXPECT_EQ(*reader.Read(fds_[1]), MessageReader::State::kPartial);
  const std::string message(size_t{4} << 20, 'x');  // more than a socket's buffer
  MessageWriter writer(message);
  EXPECT_FALSE(*writer.Write(fds_[0]));
  while (*reader.Read(fds_[1]) != MessageReader::State::kMessage) ASSERT_TRUE(writer.Write(fds_[0]).ok());
  EXPECT_EQ(reader.message(), message);
}

TEST_F(Channel, TellsACutMessageFromAnEnd) {
  SendRaw(std::string_view("\x05\0\0\0abc", 7));
  CloseFirst();
  MessageReader reader;
  EXPECT_EQ(reader.Read(fds_[1]).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(Channel, TellsThatThePeerIsGone) {
  CloseFirst();
  EXPECT_EQ(MessageWriter("x").Write(fds_[1]).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(Channel, RefusesALengthBeyondTheBound) {
  SendRaw("\xff\xff\xff\xff");
  MessageReader reader;
  EXPECT_EQ(reader.Read(fds_[1]).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace ems
