// What the device threads share: the models, a queue of jobs for each, and the state of each device. It decides which
// device does what next; it starts no process and runs nothing itself. Thread-safe.
#ifndef EMS_DEVICES_SCHEDULER_H_
#define EMS_DEVICES_SCHEDULER_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/fd.h"
#include "base/tensor.h"
#include "devices/clock.h"
#include "devices/devices.h"
#include "devices/run_times.h"
#include "worker/protocol.h"

namespace ems {

// A request: the jobs of its rows.
struct Call {
  std::vector<TensorMap> rows;
  size_t left = 0;  // jobs that are not done
  Instant deadline;
  bool ended = false;  // all are done, one failed for good, or nobody waits any more
  absl::Status status;
  std::condition_variable changed;
};

// One run, of one row.
struct Job {
  std::shared_ptr<Call> call;
  size_t row = 0;
  std::string message;  // for the worker
  Instant since;
  int failed_on = -1;   // the device of the first, failed run
  std::string failure;  // and its reason
};

// A model as the scheduler sees it.
struct ScheduledModel {
  enum class Place : uint8_t { kWaiting, kLoaded, kRefused };
  struct OnDevice {
    Place place = Place::kWaiting;
    absl::Status refusal;
    bool held = false;    // the worker has been asked to load it, and not yet to unload it
    bool sought = false;  // the device was absent when the model came, and is looked for
    int lost_loads = 0;   // workers that were lost while they loaded it, before it was loaded anywhere
    uint64_t arena_bytes = 0;
  };

  uint64_t number = 0;
  std::string title;         // "NAME version N"
  LoadModel load;            // but for the device's own option
  std::string trial;         // the message of a run of zeros; empty: no signature has inputs of a fixed size
  bool segment = false;      // its jobs go to its own devices (IsHome), not to any
  bool removed = false;      // its servable is going
  bool ever_loaded = false;  // on any device
  std::deque<Job> queue;     // oldest first, but for retries, which are in front
  std::vector<OnDevice> on;  // by device
  RunTimes times;
};

class Scheduler {
 public:
  explicit Scheduler(const Devices::Options& options);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // ---- For those who ask

  // Adds a model and waits until each device has loaded it or cannot. UNAVAILABLE where none could, with each device's
  // reason; the model is removed again by then. UNAVAILABLE too where the process could not open the files that the
  // devices need. The bound of what may wait is not for segments.
  absl::StatusOr<std::shared_ptr<ScheduledModel>> Add(const std::string& title, LoadModel load, const RunModel& trial,
                                                      bool segment = false);
  // Waits until each device has loaded all models, or cannot.
  void AwaitLoads();
  // Takes a model away and waits until no worker holds it.
  void Remove(const std::shared_ptr<ScheduledModel>& model);

  // Runs a message for each row; the results are in the order of the messages. Errors as Servable::Run has them.
  // A request that would leave more than the bound waiting is refused, unless nothing waits or it was admitted before.
  absl::StatusOr<std::vector<TensorMap>> Run(const std::shared_ptr<ScheduledModel>& model,
                                             std::vector<std::string> messages, Instant deadline,
                                             bool admitted = false);

  // Adds a device, whose number is that of those before; its thread must start then. False where there is one of this
  // name, where all stops, and where the process may open no more files.
  bool AddDevice(const std::string& name);

  // Returns what the model takes beside its file, on all devices together.
  uint64_t ArenaBytes(const ScheduledModel& model) const;
  std::vector<DeviceReport> Report() const;
  std::vector<Placement> Placements(const ScheduledModel& model) const;
  size_t WaitingRuns(const ScheduledModel& model) const;

  // Ends all waiting, and makes every device's next task kStop.
  void Stop();

  // ---- For the thread of device `d`

  struct Task {
    enum class Kind : uint8_t {
      kIdle,    // wait for wake_fd(d) until `until`
      kStart,   // start a worker
      kGiveUp,  // the worker is of no use: end it and tell Lost with `state` and `reason`
      kLoad,    // load `model`
      kUnload,  // unload it
      kTry,     // run its trial
      kRun,     // run `job` of it
      kStop,
    };
    Kind kind = Kind::kIdle;
    Instant until;
    std::shared_ptr<ScheduledModel> model;
    Job job;
    DeviceState state = DeviceState::kOk;
    std::string reason;
    absl::Duration limit;  // for kTry and kRun: a run that takes longer is a hang
  };

  // Returns what to do next. Jobs of the model that ran last come first, since its parameters are loaded, until its
  // turn ends (Devices::Options::most_in_row); then the model comes whose job waits longest.
  Task Next(int d);
  // Each of these tells what came of a task.
  void Started(int d, int pid);
  void Loaded(int d, ScheduledModel& model, const WorkerReply& reply);
  void Unloaded(int d, ScheduledModel& model);
  void TrialPassed(int d);
  // An error in place of a reply: the worker is lost, as Lost then tells.
  void Ran(int d, ScheduledModel& model, Job job, absl::StatusOr<WorkerReply> reply);
  // The worker is gone, or did not start. The next start comes after the backoff.
  void Lost(int d, DeviceState state, const std::string& reason);

  // Descriptors that are readable when there may be another task, and from Stop on.
  int wake_fd(int d) const {
    const std::lock_guard<std::mutex> lock(mutex_);  // devices may be added
    return At(d).wake.get();
  }
  int stop_fd() const { return stop_.get(); }

 private:
  enum class Phase : uint8_t { kNoWorker, kStarting, kRunning };
  struct Device {
    DeviceReport report;
    Phase phase = Phase::kNoWorker;
    Fd wake;
    bool ever_started = false;
    Instant started;
    int losses = 0;  // of workers, since the last job that went well or the last that lived long
    Instant retry_at;
    uint64_t last_model = 0;
    int in_row = 0;  // jobs of last_model since another's
    Instant turn_began;
    bool idle = false;
  };
  using ModelPtr = std::shared_ptr<ScheduledModel>;
  using Lock = std::unique_lock<std::mutex>;

  Device& At(int d) { return devices_[static_cast<size_t>(d)]; }
  const Device& At(int d) const { return devices_[static_cast<size_t>(d)]; }
  int Count() const { return static_cast<int>(devices_.size()); }

  // All below need the mutex, but for FlushLog.
  void NextStart(int d, Task* task);
  bool NextChange(int d, Task* task);
  bool IsTriedElsewhere(int d, const ScheduledModel& model) const;
  bool Decide(int d, Task* task);
  bool NextTry(int d, Task* task);
  bool NextJob(int d, Task* task);
  ModelPtr PickModel(int d) const;
  std::deque<Job>::const_iterator FirstFor(int d, const ScheduledModel& model) const;
  absl::Duration Limit(const ScheduledModel& model) const;
  bool IsDeviceFailure(const absl::Status& status) const;

  Instant Now() const { return options_.now(); }
  bool IsReady(int d, const ScheduledModel& model) const;
  bool IsHome(int d, const ScheduledModel& model) const;
  bool MayRun(int d, const ScheduledModel& model) const;
  bool IsUndecided(int d, const ScheduledModel& model) const;
  bool IsDecided(const ScheduledModel& model) const;
  bool IsHopeless(const ScheduledModel& model) const;
  absl::Status WhyHopeless(const ScheduledModel& model) const;
  void FailHopeless();

  absl::Status Append(const std::string& name);
  static void Forget(int d, ScheduledModel& model, const std::string& reason);
  void Erase(const ModelPtr& model, Lock& lock);
  static void Settle(ScheduledModel& model, const std::shared_ptr<Call>& call, const absl::Status& status);
  void Fail(int d, ScheduledModel& model, Job job, const absl::Status& failure);
  void SetState(int d, DeviceState state, const std::string& detail);
  absl::Duration Backoff(int losses, DeviceState state) const;
  void Wake(int d);
  void WakeAll();
  void WakeFor(const ScheduledModel& model);
  // Writes the lines that SetState left.
  void FlushLog();

  const Devices::Options options_;
  Fd stop_;
  absl::Status status_;  // why nothing can be run
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // a model's place, or a device's phase
  std::vector<Device> devices_;
  std::vector<ModelPtr> models_;
  uint64_t next_number_ = 1;
  bool stopping_ = false;
  std::vector<std::string> log_;
};

}  // namespace ems

#endif  // EMS_DEVICES_SCHEDULER_H_
