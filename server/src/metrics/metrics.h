// Counters and histograms under TensorFlow Serving's names (3.6 of the facts), kept by prometheus-cpp.
#ifndef EMS_METRICS_METRICS_H_
#define EMS_METRICS_METRICS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace ems {

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // `model` must be the name of a configured model: a client's word must not make a metric.
  // `api` is "predict", "classify", ...; `entrypoint` is "REST" or "GRPC".
  void CountRequest(const std::string& model, const absl::Status& status);
  void RequestLatency(const std::string& model, const std::string& api, const std::string& entrypoint,
                      absl::Duration latency);
  void RuntimeLatency(const std::string& model, const std::string& api, absl::Duration latency);

  // Returns all in Prometheus' text format.
  std::string Text() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ems

#endif  // EMS_METRICS_METRICS_H_
