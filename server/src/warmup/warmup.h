// Warm-up: recorded requests in a version's folder, which run before the version becomes available.
#ifndef EMS_WARMUP_WARMUP_H_
#define EMS_WARMUP_WARMUP_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "catalogue/catalogue.h"
#include "model/servable.h"

namespace ems {

// TensorFlow Serving's name of the file in a version's folder, a TFRecord file of PredictionLog.
inline constexpr char kWarmupFile[] = "assets.extra/tf_serving_warmup_requests";
inline constexpr int kMostWarmupRecords = 1000;

// Runs the requests of the file `path` on a version, each `iterations` times, by the way that clients' requests go; the
// model's name and version in a request do not count. Returns the number of records.
//
// The first that fails ends it, with its error and "PATH: record N: " before the text. Texts and codes of TensorFlow
// Serving (saved_model_warmup{,_util}.cc): DATA_LOSS for a broken file, INVALID_ARGUMENT for a record that does not
// parse and for more than kMostWarmupRecords, UNIMPLEMENTED for a log of Session.Run.
absl::StatusOr<int> WarmUp(const ServableHandle& version, const std::string& path, int iterations);

// Loads as `loader` does and then warms up, where the folder has the file. A warm-up that fails is a load that fails.
class WarmupLoader : public Loader {
 public:
  struct Options {
    int iterations = 1;
    // Gets the version's folder, the outcome and the time of each warm-up; may be empty.
    std::function<void(const std::string& folder, const absl::Status& status, absl::Duration latency)> report;
    std::function<void(const std::string& line)> log;  // may be empty
  };

  WarmupLoader(std::unique_ptr<Loader> loader, Options options)
      : loader_(std::move(loader)), options_(std::move(options)) {}

  absl::StatusOr<std::unique_ptr<Servable>> Load(const ServableId& id, const std::string& folder) override;

 private:
  const std::unique_ptr<Loader> loader_;
  const Options options_;
};

}  // namespace ems

#endif  // EMS_WARMUP_WARMUP_H_
