#include "app/supervisor.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace ems {

namespace {

// Sends a message as sd_notify(3) describes. Its library would cost half a megabyte of memory.
void Notify(std::string_view message) {
  const char* path = getenv("NOTIFY_SOCKET");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string_view name = path == nullptr ? "" : path;
  if (name.empty() || name.size() >= sizeof(address.sun_path)) return;
  name.copy(address.sun_path, name.size());
  if (name.front() == '@') address.sun_path[0] = '\0';  // a name without a file
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  // There is nowhere to report a failure.
  [[maybe_unused]] const ssize_t sent =
      sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
  close(fd);
}

// Returns the period of the unit's watchdog as sd_watchdog_enabled(3) finds it; zero: there is none.
absl::Duration WatchdogPeriod() {
  const char* period = getenv("WATCHDOG_USEC");
  const char* process = getenv("WATCHDOG_PID");
  int64_t microseconds = 0;
  if (period == nullptr || !absl::SimpleAtoi(period, &microseconds) || microseconds <= 0) return absl::ZeroDuration();
  if (process != nullptr && process != absl::StrCat(getpid())) return absl::ZeroDuration();
  return absl::Microseconds(microseconds);
}

}  // namespace

void NotifyReady(const std::string& status) { Notify(absl::StrCat("READY=1\nSTATUS=", status)); }

void NotifyStopping() { Notify("STOPPING=1\nSTATUS=requests that run are ended"); }

void NotifyStatus(const std::string& status) { Notify(absl::StrCat("STATUS=", status)); }

Watchdog::Watchdog(std::function<void()> prove) {
  const absl::Duration half = WatchdogPeriod() / 2;
  if (half == absl::ZeroDuration()) return;
  thread_ = std::thread([this, half, prove = std::move(prove)] {
    while (!stop_.WaitForNotificationWithTimeout(half)) {
      prove();
      Notify("WATCHDOG=1");
    }
  });
}

Watchdog::~Watchdog() {
  stop_.Notify();
  if (thread_.joinable()) thread_.join();
}

}  // namespace ems
