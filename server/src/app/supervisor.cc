#include "app/supervisor.h"

#include <systemd/sd-daemon.h>

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace ems {

void NotifyReady(const std::string& status) { sd_notify(0, absl::StrCat("READY=1\nSTATUS=", status).c_str()); }

void NotifyStopping() { sd_notify(0, "STOPPING=1\nSTATUS=requests that run are ended"); }

void NotifyStatus(const std::string& status) { sd_notify(0, absl::StrCat("STATUS=", status).c_str()); }

Watchdog::Watchdog(std::function<void()> prove) {
  uint64_t period = 0;
  if (sd_watchdog_enabled(0, &period) <= 0) return;
  const absl::Duration half = absl::Microseconds(static_cast<int64_t>(period)) / 2;
  thread_ = std::thread([this, half, prove = std::move(prove)] {
    while (!stop_.WaitForNotificationWithTimeout(half)) {
      prove();
      sd_notify(0, "WATCHDOG=1");
    }
  });
}

Watchdog::~Watchdog() {
  stop_.Notify();
  if (thread_.joinable()) thread_.join();
}

}  // namespace ems
