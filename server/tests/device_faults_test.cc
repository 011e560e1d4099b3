// Two devices under load, and every fault that a device can have: no wrong answer ever, and no failed request where
// the other device can take the job.
#include <csignal>

#include "devices_fixture.h"

namespace ems {
namespace {

constexpr int kClients = 4;

class DeviceFaults : public DevicesTest {
 protected:
  void SetUp() override {
    board_.Set("usb:0", "ok 300");
    board_.Set("usb:1", "ok 300");
    options_.least_hang = absl::Milliseconds(500);
    options_.most_load = absl::Seconds(1);
    servable_ = Loaded();
    ASSERT_TRUE(servable_);
    clients_ = std::make_unique<Clients>(*servable_, kClients);
    clients_->AwaitAnswers(10);
  }
  void TearDown() override { clients_.reset(); }

  void ExpectNoHarm() {
    clients_->Stop();
    EXPECT_EQ(clients_->wrong(), 0);
    EXPECT_EQ(clients_->failed(), 0) << clients_->first_failure();
    EXPECT_GT(clients_->right(), 0);
  }
  // Waits until the device has run jobs again.
  void AwaitRuns(size_t device) {
    AwaitState(device, DeviceState::kOk);
    const uint64_t goal = Report(device).runs + 3;
    Await([&] { return Report(device).runs >= goal; });
  }

  std::unique_ptr<Servable> servable_;
  std::unique_ptr<Clients> clients_;
};

TEST_F(DeviceFaults, AHundredKilledWorkers) {
  for (int i = 0; i < 100; ++i) {
    const size_t device = static_cast<size_t>(i) % 2;
    AwaitRuns(1 - device);
    AwaitRuns(device);
    const DeviceReport before = Report(device);
    kill(before.pid, SIGKILL);
    Await([&] { return Report(device).restarts > before.restarts; });
  }
  AwaitRuns(0);
  AwaitRuns(1);
  ExpectNoHarm();
  EXPECT_EQ(Report(0).restarts + Report(1).restarts, 100);
}

TEST_F(DeviceFaults, ADeviceThatFailsAtOnceAttractsNoJobs) {
  board_.Set("usb:1", "fail 0");
  AwaitState(1, DeviceState::kOut);
  clients_->AwaitAnswers(500);
  EXPECT_LE(Report(1).failures, 1);
  board_.Set("usb:1", "ok 300");
  AwaitRuns(1);
  ExpectNoHarm();
}

TEST_F(DeviceFaults, ADeviceThatHangs) {
  board_.Set("usb:1", "hang 0");
  AwaitState(1, DeviceState::kOut);
  clients_->AwaitAnswers(100);
  board_.Set("usb:1", "ok 300");
  AwaitRuns(1);
  ExpectNoHarm();
  EXPECT_THAT(Log(), ::testing::HasSubstr("device usb:1 is out: the worker hung: no answer in "));
}

TEST_F(DeviceFaults, ADeviceThatEndsItsProcess) {
  board_.Set("usb:1", "abort 100");
  AwaitState(1, DeviceState::kOut);
  clients_->AwaitAnswers(100);
  board_.Set("usb:1", "ok 300");
  AwaitRuns(1);
  ExpectNoHarm();
}

TEST_F(DeviceFaults, ADeviceThatIsUnpluggedAndPluggedInAgain) {
  for (int i = 0; i < 5; ++i) {
    board_.Unplug("usb:0");
    AwaitState(0, DeviceState::kAbsent);
    clients_->AwaitAnswers(20);
    board_.Set("usb:0", "ok 300");
    AwaitRuns(0);
  }
  ExpectNoHarm();
}

TEST_F(DeviceFaults, AModelThatComesAndGoesUnderLoad) {
  for (int i = 0; i < 10; ++i) {
    const std::unique_ptr<Servable> other = Loaded();
    EXPECT_TRUE(IsRight(*Ask(*other, i, 4), i, 4));
  }
  ExpectNoHarm();
}

TEST_F(DeviceFaults, BothGoneAndBack) {
  for (const char* const device : {"usb:0", "usb:1"}) board_.Set(device, "abort 0");
  AwaitState(0, DeviceState::kOut);
  AwaitState(1, DeviceState::kOut);
  for (const char* const device : {"usb:0", "usb:1"}) board_.Set(device, "ok 300");
  AwaitRuns(0);
  AwaitRuns(1);
  const int failed = clients_->failed();
  clients_->AwaitAnswers(100);
  clients_->Stop();
  EXPECT_EQ(clients_->wrong(), 0);
  EXPECT_EQ(clients_->failed(), failed) << "failures after both were back: " << clients_->first_failure();
}

}  // namespace
}  // namespace ems
