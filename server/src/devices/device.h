// The thread of a device: it starts the worker, does the scheduler's tasks by it, and ends it.
#ifndef EMS_DEVICES_DEVICE_H_
#define EMS_DEVICES_DEVICE_H_

#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "devices/devices.h"
#include "devices/process.h"
#include "devices/scheduler.h"

namespace ems {

class DeviceThread {
 public:
  // `scheduler` must outlive the thread. It ends after Scheduler::Stop.
  DeviceThread(int index, std::string name, const Devices::Options& options, Scheduler& scheduler);
  ~DeviceThread();
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

 private:
  void Main();
  void Do(Scheduler::Task task);
  // As WorkerProcess::Call; DATA_LOSS where the reply does not fit in memory.
  absl::StatusOr<WorkerReply> Call(std::string_view message, Instant deadline);
  void Idle(Instant until);
  void Start();
  void Load(ScheduledModel& model);
  void Unload(ScheduledModel& model);
  void Try(ScheduledModel& model, absl::Duration limit);
  void Run(Scheduler::Task task);
  // Ends a worker that broke off or took too long. Returns why it is lost.
  std::string Bury(const absl::Status& failure, absl::Duration limit);

  const int index_;
  const std::string name_;
  const Devices::Options& options_;
  Scheduler& scheduler_;
  std::unique_ptr<WorkerProcess> process_;
  std::thread thread_;
};

}  // namespace ems

#endif  // EMS_DEVICES_DEVICE_H_
