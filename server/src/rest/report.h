// What the status page says, gathered from the catalogue, the models and the metrics.
#ifndef EMS_REST_REPORT_H_
#define EMS_REST_REPORT_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "api/api.h"
#include "base/clock.h"

namespace ems {

struct VersionPart {
  VersionStatus status;
  std::vector<std::string> labels;
  std::vector<Placement> placements;  // of an available version
};

struct ModelPart {
  std::string name;
  std::string base_path;
  std::vector<VersionPart> versions;  // highest first
  Traffic traffic;
  double requests_per_second = 0;  // lately
};

struct ServerReport {
  std::string version;
  bool ready = false;
  absl::Duration uptime;
  uint64_t resident_bytes = 0;
  std::vector<ModelPart> models;
  std::vector<DeviceSample> devices;
};

// Thread-safe.
class StatusReporter {
 public:
  StatusReporter(Api& api, std::string version) : api_(api), version_(std::move(version)), start_(SteadyNow()) {}

  ServerReport Report();

 private:
  // Requests so far at a time, and the rate up to that time.
  struct Rate {
    absl::Time time;
    uint64_t requests = 0;
    double per_second = 0;
  };

  double RateOf(const std::string& model, uint64_t requests, absl::Time now);

  Api& api_;
  const std::string version_;
  const absl::Time start_;
  std::mutex mutex_;
  std::map<std::string, Rate> rates_;  // guarded by mutex_
};

}  // namespace ems

#endif  // EMS_REST_REPORT_H_
