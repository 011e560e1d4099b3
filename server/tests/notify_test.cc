// Messages to systemd, at a socket as sd_notify(3) describes it.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "app/supervisor.h"
#include "temp_folder.h"

namespace ems {
namespace {

class NotifyTest : public testing::TestWithParam<bool> {
 protected:
  NotifyTest() : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    std::string name = GetParam() ? absl::StrCat("@ems-supervisor-test-", getpid()) : folder_ / "notify";
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    if (GetParam()) name[0] = '\0';
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(bind(socket_, reinterpret_cast<const sockaddr*>(&address), size), 0);
  }
  ~NotifyTest() override {
    close(socket_);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }
  std::string Receive() const {
    std::string message(256, '\0');
    message.resize(recv(socket_, message.data(), message.size(), 0));
    return message;
  }

  TempFolder folder_;
  int socket_;
};

TEST_P(NotifyTest, StatesAreSent) {
  NotifyStatus("models are loading");
  EXPECT_EQ(Receive(), "STATUS=models are loading");
  NotifyReady("1 of 1 model is available");
  EXPECT_EQ(Receive(), "READY=1\nSTATUS=1 of 1 model is available");
  NotifyStopping();
  EXPECT_EQ(Receive(), "STOPPING=1\nSTATUS=requests that run are ended");
}

TEST_P(NotifyTest, TheWatchdogIsFedAfterEachProof) {
  setenv("WATCHDOG_USEC", "2000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  std::atomic<int> others = 0;
  const Watchdog of_another_process([&others] { ++others; });
  setenv("WATCHDOG_PID", absl::StrCat(getpid()).c_str(), 1);
  std::atomic<int> proofs = 0;
  const Watchdog watchdog([&proofs] { ++proofs; });
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(Receive(), "WATCHDOG=1");
    EXPECT_GE(proofs, i);
  }
  EXPECT_EQ(others, 0);
}

INSTANTIATE_TEST_SUITE_P(FilesAndAbstractNames, NotifyTest, testing::Bool());

}  // namespace
}  // namespace ems
