// The other end of Type=notify: what the program tells systemd. Without systemd nothing happens.
#ifndef EMS_APP_SUPERVISOR_H_
#define EMS_APP_SUPERVISOR_H_

#include <functional>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"

namespace ems {

// Says that the ports answer, or that they do so no longer; `status` is for `systemctl status`.
void NotifyReady(const std::string& status);
void NotifyStopping();
void NotifyStatus(const std::string& status);

// Feeds the watchdog, where the unit has one (WatchdogSec=), at half its period.
class Watchdog {
 public:
  // `prove` returns once the server's parts answer. While it hangs, the watchdog is not fed and systemd restarts the
  // service.
  explicit Watchdog(std::function<void()> prove);
  ~Watchdog();

 private:
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace ems

#endif  // EMS_APP_SUPERVISOR_H_
