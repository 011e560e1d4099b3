// Counters and histograms under TensorFlow Serving's names (3.6 of the facts), kept by prometheus-cpp; the devices' and
// the process' beside them.
#ifndef EMS_METRICS_METRICS_H_
#define EMS_METRICS_METRICS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace ems {

// A device, as the metrics see it.
struct DeviceSample {
  std::string name;    // "usb:0"
  std::string state;   // "ok", "suspect", "out", "absent"
  std::string detail;  // the last failure
  uint64_t runs = 0;
  uint64_t failures = 0;
  uint64_t restarts = 0;
};

// A version and whether the CPU computes it in place of a device.
struct FallbackSample {
  std::string model;
  int64_t version = 0;
  bool on_cpu = false;
};

// What is read when somebody asks, instead of being counted.
struct Samples {
  std::vector<DeviceSample> devices;
  std::vector<FallbackSample> fallbacks;
};

// What the status page says of a model.
struct Traffic {
  uint64_t requests = 0;
  uint64_t errors = 0;                                 // of the requests
  absl::Duration mean_latency = absl::ZeroDuration();  // of runs that succeeded
  absl::Duration latency_90th = absl::ZeroDuration();  // upper bound of the bucket
};

// Thread-safe.
class Metrics {
 public:
  Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  ~Metrics();

  // `model` must be the name of a configured model: a client's word must not make a metric.
  // `api` is TensorFlow Serving's, "Predict" from gRPC and "predict" from REST; `entrypoint` is "REST" or "GRPC".
  void CountRequest(const std::string& model, const absl::Status& status);
  void RequestLatency(const std::string& model, const std::string& api, const std::string& entrypoint,
                      absl::Duration latency);
  void RuntimeLatency(const std::string& model, const std::string& api, absl::Duration latency);
  // Counts the examples of a request to Classify or Regress.
  void CountExamples(const std::string& model, int64_t examples);
  void WarmupLatency(const std::string& model_path, const absl::Status& status, absl::Duration latency);
  // How long a request waited for others of its batch.
  void QueuingLatency(const std::string& thread_pool_name, absl::Duration latency);

  // Sets where devices and fallbacks are read. `source` must stay callable until it is replaced.
  void SetSource(std::function<Samples()> source);
  Samples Read() const;

  // Returns the requests to a model by all ways, since the start.
  Traffic TrafficOf(const std::string& model) const;

  // Returns all in Prometheus' text format.
  std::string Text() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ems

#endif  // EMS_METRICS_METRICS_H_
