// What computes the models: the CPU, and devices behind a delegate.
#ifndef EMS_APP_BACKENDS_H_
#define EMS_APP_BACKENDS_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "app/options.h"
#include "catalogue/catalogue.h"
#include "devices/devices.h"
#include "loader/loader.h"
#include "metrics/metrics.h"

namespace ems {

// Looks for Edge TPUs that appear while the server runs, and adds them to the devices.
class DeviceWatch {
 public:
  // `find` returns the names of the devices that are there. It is called every `pause`, on a thread of the watch.
  DeviceWatch(Devices& devices, std::function<std::vector<std::string>()> find, absl::Duration pause);
  ~DeviceWatch();
  DeviceWatch(const DeviceWatch&) = delete;
  DeviceWatch& operator=(const DeviceWatch&) = delete;

 private:
  absl::Notification stop_;
  std::thread thread_;
};

struct Backends {
  std::unique_ptr<Devices> devices;    // null: the CPU alone
  std::unique_ptr<Loader> loader;      // uses the devices
  std::unique_ptr<DeviceWatch> watch;  // where "auto" is among the devices
};

// With a delegate, the workers of its devices start here. `metrics` must outlive the result.
Backends MakeBackends(const Options& options, Metrics& metrics,
                      const std::function<void(const std::string& line)>& log);

// Returns the names of the Edge TPUs that are there: "pci:0", "usb:0". `dev` and `usb` are /dev and
// /sys/bus/usb/devices.
std::vector<std::string> FoundDevices(const std::string& dev, const std::string& usb);

// Returns the names of --device as the delegate takes them: without "cpu"; "auto" (or nothing, with a delegate) stands
// for the Edge TPUs that are there, or for "usb:0" where there are none, which then counts as absent until it comes.
// `dev` and `usb` as of FoundDevices.
std::vector<std::string> DeviceNames(const ComputeOptions& options, const std::string& dev, const std::string& usb);

// Returns what metrics and the status page show of devices, and of models that the CPU computes in place of them.
// `devices` may be null.
Samples ReadSamples(const Devices* devices, const Catalogue& catalogue);

}  // namespace ems

#endif  // EMS_APP_BACKENDS_H_
