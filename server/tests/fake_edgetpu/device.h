// The devices of the fake Edge TPU. A device is a file in the folder $FAKE_EDGETPU, of a device's name ("usb:0"), with
// one line: how it behaves and how long a run takes.
//
//   ok 3000      runs, in 3000 microseconds; the first run after one of another model takes five times as long, since
//                it loads the parameters
//   fail 3000    every run fails after 3000 microseconds
//   hang 0       every run takes for ever
//   flood 0      every run writes to stderr for ever
//   abort 3000   every run ends the process after 3000 microseconds, as libedgetpu does on USB errors
//
// The file .journal in the folder, where there is one, gets a line at the begin and at the end of each run: "begin
// usb:0 17" and "end usb:0 17", where 17 stands for the parameters; and "load usb:0 17" where these were not there.
//
// A file that is removed is a device that was unplugged: what holds it fails for good, even after another file has
// taken its place. Rewrite a file in place, with one write, to change how a device behaves.
#ifndef EMS_TESTS_FAKE_EDGETPU_DEVICE_H_
#define EMS_TESTS_FAKE_EDGETPU_DEVICE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace fake_edgetpu {

class Device {
 public:
  // Returns the device of this name, which all of this process share. Nothing, and the reason in `error`, where there
  // is none or another process has it.
  static std::shared_ptr<Device> Open(const std::string& name, std::string* error);
  explicit Device(std::string name, int fd);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Runs `compute` as one run of the device: at most one at a time, in the device's time. `model` stands for the
  // parameters that the run needs. Returns whether it went well, else the reason in `error`.
  bool Run(size_t model, const std::function<bool()>& compute, std::string* error);

 private:
  const std::string name_;
  const int fd_;  // of the file, locked
  std::mutex running_;
  size_t loaded_ = 0;  // the model whose parameters the device has
};

// Returns the names of all devices, in order.
std::vector<std::string> DeviceNames();

}  // namespace fake_edgetpu

#endif  // EMS_TESTS_FAKE_EDGETPU_DEVICE_H_
