// Devices behind an external delegate: a worker process for each, so that a delegate that aborts or hangs takes nothing
// else down; a state for each, a restart with backoff, and a retry of the job on another.
#ifndef EMS_DEVICES_DEVICES_H_
#define EMS_DEVICES_DEVICES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "devices/clock.h"
#include "model/servable.h"
#include "tflite/memory_budget.h"
#include "tflite/model.h"

namespace ems {

// ok: runs jobs. suspect: a run failed; a run of zeros decides between ok and out. out: the worker died, hung or loads
// no model; it is started again after a pause that doubles. absent: the delegate finds no device; tried again likewise.
enum class DeviceState : uint8_t { kOk, kSuspect, kOut, kAbsent };

// Returns "ok", "suspect", "out" or "absent".
const char* Name(DeviceState state);

struct DeviceReport {
  std::string name;  // "usb:0"
  DeviceState state = DeviceState::kAbsent;
  std::string detail;  // the last failure
  uint64_t runs = 0;
  uint64_t failures = 0;
  uint64_t restarts = 0;
  int pid = 0;               // of the worker; 0: none runs
  uint64_t arena_bytes = 0;  // that its models take beside their files
};

class Devices {
 public:
  struct Options {
    std::string worker;    // path of edge_model_worker
    std::string delegate;  // path or soname, such as libedgetpu.so.1; empty: the workers compute on the CPU
    std::vector<std::pair<std::string, std::string>> delegate_options;
    std::vector<std::string> names;  // "usb:0", "pci:1": the delegate's option "device"; each gets a worker
    int threads = 1;                 // CPU threads of a worker's interpreters, for the ops that stay on the CPU
    int queue = 100;                 // jobs that may wait for each version
    // A run over this and over 10 times its 99th percentile is a hang; over a minute where inputs may have any size.
    absl::Duration least_hang = absl::Seconds(2);
    absl::Duration most_load = absl::Seconds(60);  // a load with its first run that takes longer is a hang
    absl::Duration least_backoff = absl::Seconds(1);
    absl::Duration most_backoff = absl::Seconds(60);
    // A turn of a model, whose parameters are loaded: so many jobs, or jobs for so long, while another model waits.
    // Loading parameters costs about as much as four runs, so that even two models in turn lose at most a fifth of the
    // time. 1 job: first in, first out.
    int most_in_row = 16;
    absl::Duration most_turn = absl::Milliseconds(200);
    std::shared_ptr<MemoryBudget> memory;       // for the arenas; null: no limit
    std::function<Instant()> now = Clock::now;  // for turns, deadlines of jobs that wait, and pauses between starts
    std::function<void(const std::string& line)> log;
  };

  explicit Devices(Options options);
  ~Devices();  // ends the workers

  // Loads a model on every device that is there, and runs it once on each. UNAVAILABLE where no device could, with
  // each device's reason; RESOURCE_EXHAUSTED where they take more than the memory limit. The servable spreads the rows
  // of a request over the devices that have the model.
  absl::StatusOr<std::unique_ptr<Servable>> Load(const ServableId& id, std::shared_ptr<const TfliteModel> model);

  // The same for a segment of a model. The segments of all models share out the devices that are ok: as long as these
  // are enough, each runs one segment, whose parameters it keeps. Where one is lost, another takes over its segments,
  // at once, since each has loaded all. Whoever runs the segments bounds what waits for them. `part` is for people.
  absl::StatusOr<std::unique_ptr<Servable>> LoadSegment(const ServableId& id, const std::string& part,
                                                        std::shared_ptr<const TfliteModel> model);

  // Adds a device that has appeared; it gets all models. Nothing where there is one of this name.
  void AddDevice(const std::string& name);

  // Blocks until each device has loaded all models, or cannot.
  void AwaitLoads();

  std::vector<DeviceReport> Report() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  // shared with the servables, which may outlive a reload of the options
};

}  // namespace ems

#endif  // EMS_DEVICES_DEVICES_H_
