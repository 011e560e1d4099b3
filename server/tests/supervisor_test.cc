#include "app/supervisor.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/synchronization/notification.h"
#include "temp_folder.h"

namespace ems {
namespace {

// systemd's end of the notification socket.
class NotifySocket {
 public:
  NotifySocket() : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string path = folder_ / "notify";
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;
  ~NotifySocket() {
    unsetenv("NOTIFY_SOCKET");
    close(fd_);
  }

  // Returns the next message; empty where none comes in time.
  std::string Next(int milliseconds) const {
    pollfd ready = {fd_, POLLIN, 0};
    if (poll(&ready, 1, milliseconds) <= 0) return "";
    std::string message(256, '\0');
    message.resize(static_cast<size_t>(recv(fd_, message.data(), message.size(), 0)));
    return message;
  }

 private:
  TempFolder folder_;
  int fd_;
};

constexpr int kSoon = 30000;

TEST(Watchdog, IsNotFedWhileTheServerHangs) {
  const NotifySocket systemd;
  setenv("WATCHDOG_USEC", "20000", 1);
  absl::Notification asked;
  absl::Notification answers;
  bool first = true;
  {
    const Watchdog watchdog([&] {
      if (first) asked.Notify();
      first = false;
      answers.WaitForNotification();
    });
    asked.WaitForNotification();
    EXPECT_EQ(systemd.Next(200), "");
    answers.Notify();
    EXPECT_EQ(systemd.Next(kSoon), "WATCHDOG=1");
    EXPECT_EQ(systemd.Next(kSoon), "WATCHDOG=1");
  }
  unsetenv("WATCHDOG_USEC");
}

TEST(Watchdog, AsksNobodyWhereTheUnitHasNone) {
  const NotifySocket systemd;
  const Watchdog watchdog([] { ADD_FAILURE(); });
  EXPECT_EQ(systemd.Next(50), "");
}

TEST(Notify, SaysStartAndEnd) {
  const NotifySocket systemd;
  NotifyReady("two models");
  EXPECT_EQ(systemd.Next(kSoon), "READY=1\nSTATUS=two models");
  NotifyStopping();
  EXPECT_THAT(systemd.Next(kSoon), ::testing::StartsWith("STOPPING=1"));
}

}  // namespace
}  // namespace ems
