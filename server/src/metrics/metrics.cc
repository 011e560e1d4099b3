#include "metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

#include "metrics/process.h"

namespace ems {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;

// The bounds first * growth^n, as TensorFlow's Buckets::Exponential(first, growth, count) has them: `count` bounds, and
// what is over the last.
Histogram::BucketBoundaries Exponential(double first, double growth, int count) {
  Histogram::BucketBoundaries bounds;
  for (double bound = first; count > 0; --count, bound *= growth) bounds.push_back(bound);
  return bounds;
}

constexpr int kCodes = 17;  // of absl::StatusCode

// The metrics of a model. They are found once: to look one up by its labels costs more than to count.
struct ModelMetrics {
  std::array<Counter*, kCodes> requests = {};
  std::map<std::pair<std::string, std::string>, Histogram*> request_latency;  // by api and entrypoint
  std::map<std::string, Histogram*> runtime_latency;                          // by api
};

size_t Index(const absl::Status& status) {
  const auto code = static_cast<size_t>(status.code());
  return code < kCodes ? code : static_cast<size_t>(absl::StatusCode::kUnknown);
}

void Observe(Histogram& histogram, absl::Duration latency) {
  histogram.Observe(absl::ToDoubleMicroseconds(std::max(latency, absl::ZeroDuration())));
}

prometheus::MetricFamily NewFamily(const char* name, const char* help, prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

prometheus::ClientMetric Value(std::vector<prometheus::ClientMetric::Label> labels, double value) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;  // the one that the family's type does not name is not printed
  metric.gauge.value = value;
  return metric;
}

void AddDevices(const std::vector<DeviceSample>& devices, std::vector<prometheus::MetricFamily>* families) {
  using prometheus::MetricType;
  auto state = NewFamily("ems_device_state", "1 for the state that the device is in.", MetricType::Gauge);
  auto runs = NewFamily("ems_device_runs_total", "Runs on the device.", MetricType::Counter);
  auto failures = NewFamily("ems_device_failures_total", "Runs that the device failed.", MetricType::Counter);
  auto restarts = NewFamily("ems_device_restarts_total", "Restarts of the device's worker.", MetricType::Counter);
  for (const DeviceSample& device : devices) {
    for (const char* name : {"ok", "suspect", "out", "absent"}) {
      state.metric.push_back(Value({{"device", device.name}, {"state", name}}, device.state == name ? 1 : 0));
    }
    runs.metric.push_back(Value({{"device", device.name}}, static_cast<double>(device.runs)));
    failures.metric.push_back(Value({{"device", device.name}}, static_cast<double>(device.failures)));
    restarts.metric.push_back(Value({{"device", device.name}}, static_cast<double>(device.restarts)));
  }
  if (devices.empty()) return;
  for (auto* family : {&state, &runs, &failures, &restarts}) families->push_back(std::move(*family));
}

void AddFallbacks(const std::vector<FallbackSample>& fallbacks, std::vector<prometheus::MetricFamily>* families) {
  if (fallbacks.empty()) return;
  auto family = NewFamily("ems_model_cpu_fallback", "1 where the CPU computes the version in place of a device.",
                          prometheus::MetricType::Gauge);
  for (const FallbackSample& sample : fallbacks) {
    family.metric.push_back(
        Value({{"model_name", sample.model}, {"version", std::to_string(sample.version)}}, sample.on_cpu ? 1 : 0));
  }
  families->push_back(std::move(family));
}

// prometheus-cpp sorts labels; people who read TensorFlow Serving's text by regular expressions expect its order.
void PutModelFirst(std::vector<prometheus::MetricFamily>* families) {
  for (prometheus::MetricFamily& family : *families) {
    for (prometheus::ClientMetric& metric : family.metric) {
      std::stable_partition(metric.label.begin(), metric.label.end(),
                            [](const auto& label) { return label.name == "model_name"; });
    }
  }
}

}  // namespace

class Metrics::Impl {
 public:
  // Names, texts, labels and buckets: tensorflow_serving/servables/tensorflow/util.cc, saved_model_warmup_util.cc,
  // batching/batching_session.cc. Prometheus' exporter there writes / as a colon.
  Impl()
      : requests_(Counters(":tensorflow:serving:request_count", "The total number of requests.")),
        request_latency_(Histograms(":tensorflow:serving:request_latency",
                                    "Distribution of wall time (in microseconds) for Tensorflow Serving request.")),
        runtime_latency_(Histograms(":tensorflow:serving:runtime_latency",
                                    "Distribution of wall time (in microseconds) for Tensorflow runtime.")),
        examples_(
            Histograms(":tensorflow:serving:request_example_counts", "The number of tensorflow.Examples per request.")),
        example_total_(
            Counters(":tensorflow:serving:request_example_count_total", "The total number of tensorflow.Examples.")),
        warmup_(Histograms(":tensorflow:serving:model_warmup_latency",
                           "Distribution of wall time (in microseconds) for warming up the model.")),
        queuing_(Histograms(":tensorflow:serving:batching_session:queuing_latency",
                            "Distribution of wall time spent (in microseconds) in queuing")) {}

  // Calls `find` on the metrics of a model, at first under the shared lock; a null pointer means that `add` must make
  // the metric under the exclusive one.
  template <typename Metric, typename Find, typename Add>
  Metric& Get(const std::string& model, Find find, Add add) {
    {
      const std::shared_lock lock(mutex_);
      const auto found = models_.find(model);
      if (found != models_.end()) {
        if (Metric* metric = find(found->second)) return *metric;
      }
    }
    const std::lock_guard lock(mutex_);
    return add(models_[model]);
  }

  Counter& Requests(const std::string& model, const absl::Status& status) {
    const size_t code = Index(status);
    return Get<Counter>(
        model, [&](const ModelMetrics& metrics) { return metrics.requests[code]; },
        [&](ModelMetrics& metrics) -> Counter& {
          return *(metrics.requests[code] =
                       &requests_.Add({{"model_name", model},
                                       {"status", absl::StatusCodeToString(static_cast<absl::StatusCode>(code))}}));
        });
  }

  Histogram& RequestLatency(const std::string& model, const std::string& api, const std::string& entrypoint) {
    const std::pair<std::string, std::string> key(api, entrypoint);
    return Get<Histogram>(
        model, [&](const ModelMetrics& metrics) { return Find(metrics.request_latency, key); },
        [&](ModelMetrics& metrics) -> Histogram& {
          return *(metrics.request_latency[key] = &request_latency_.Add(
                       {{"model_name", model}, {"API", api}, {"entrypoint", entrypoint}}, Exponential(10, 1.8, 33)));
        });
  }

  Histogram& RuntimeLatency(const std::string& model, const std::string& api) {
    return Get<Histogram>(
        model, [&](const ModelMetrics& metrics) { return Find(metrics.runtime_latency, api); },
        [&](ModelMetrics& metrics) -> Histogram& {
          // TensorFlow Serving's name for all that its predict_util.cc runs, TFLite's sessions too.
          return *(metrics.runtime_latency[api] = &runtime_latency_.Add(
                       {{"model_name", model}, {"API", api}, {"runtime", "TF1"}}, Exponential(10, 1.8, 33)));
        });
  }

  void CountExamples(const std::string& model, int64_t examples) {
    examples_.Add({{"model", model}}, Exponential(1, 2, 15)).Observe(static_cast<double>(examples));
    example_total_.Add({{"model", model}}).Increment(static_cast<double>(examples));
  }

  void Warmup(const std::string& path, const absl::Status& status, absl::Duration latency) {
    Observe(warmup_.Add({{"model_path", path}, {"status", absl::StatusCodeToString(status.code())}},
                        Exponential(10, 1.8, 33)),
            latency);
  }

  void Queuing(const std::string& pool, absl::Duration latency) {
    Observe(queuing_.Add({{"thread_pool_name", pool}}, Exponential(100, 1.2, 52)), latency);
  }

  void SetSource(std::function<Samples()> source) {
    const std::lock_guard lock(mutex_);
    source_ = std::move(source);
  }

  Traffic TrafficOf(const std::string& model) const;

  Samples Read() const {
    std::function<Samples()> source;
    {
      const std::shared_lock lock(mutex_);
      source = source_;
    }
    return source ? source() : Samples();
  }

  std::string Text() const {
    std::vector<prometheus::MetricFamily> families = registry_.Collect();
    const Samples samples = Read();
    AddDevices(samples.devices, &families);
    AddFallbacks(samples.fallbacks, &families);
    for (prometheus::MetricFamily& family : ProcessMetrics()) families.push_back(std::move(family));
    PutModelFirst(&families);
    return prometheus::TextSerializer().Serialize(families);
  }

 private:
  template <typename Map, typename Key>
  static Histogram* Find(const Map& map, const Key& key) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : found->second;
  }

  Family<Counter>& Counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  }
  Family<Histogram>& Histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
  }

  prometheus::Registry registry_;
  Family<Counter>& requests_;
  Family<Histogram>& request_latency_;
  Family<Histogram>& runtime_latency_;
  Family<Histogram>& examples_;
  Family<Counter>& example_total_;
  Family<Histogram>& warmup_;
  Family<Histogram>& queuing_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, ModelMetrics> models_;  // guarded by mutex_, as source_
  std::function<Samples()> source_;
};

Traffic Metrics::Impl::TrafficOf(const std::string& model) const {
  Traffic traffic;
  const std::shared_lock lock(mutex_);
  const auto found = models_.find(model);
  if (found == models_.end()) return traffic;
  for (size_t code = 0; code < kCodes; ++code) {
    if (found->second.requests[code] == nullptr) continue;
    const auto count = static_cast<uint64_t>(found->second.requests[code]->Value());
    traffic.requests += count;
    if (code != 0) traffic.errors += count;
  }
  uint64_t runs = 0;
  double sum = 0;
  std::map<double, uint64_t> buckets;  // cumulative counts by upper bound, of all APIs
  for (const auto& [api, histogram] : found->second.runtime_latency) {
    const prometheus::ClientMetric metric = histogram->Collect();
    runs += metric.histogram.sample_count;
    sum += metric.histogram.sample_sum;
    for (const auto& bucket : metric.histogram.bucket) buckets[bucket.upper_bound] += bucket.cumulative_count;
  }
  if (runs == 0) return traffic;
  traffic.mean_latency = absl::Microseconds(sum / static_cast<double>(runs));
  for (const auto& [bound, count] : buckets) {
    traffic.latency_90th = absl::Microseconds(bound);
    if (static_cast<double>(count) >= 0.9 * static_cast<double>(runs)) break;
  }
  return traffic;
}

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::CountRequest(const std::string& model, const absl::Status& status) {
  impl_->Requests(model, status).Increment();
}

void Metrics::RequestLatency(const std::string& model, const std::string& api, const std::string& entrypoint,
                             absl::Duration latency) {
  Observe(impl_->RequestLatency(model, api, entrypoint), latency);
}

void Metrics::RuntimeLatency(const std::string& model, const std::string& api, absl::Duration latency) {
  Observe(impl_->RuntimeLatency(model, api), latency);
}

void Metrics::CountExamples(const std::string& model, int64_t examples) { impl_->CountExamples(model, examples); }

void Metrics::WarmupLatency(const std::string& model_path, const absl::Status& status, absl::Duration latency) {
  impl_->Warmup(model_path, status, latency);
}

void Metrics::QueuingLatency(const std::string& thread_pool_name, absl::Duration latency) {
  impl_->Queuing(thread_pool_name, latency);
}

void Metrics::SetSource(std::function<Samples()> source) { impl_->SetSource(std::move(source)); }

Samples Metrics::Read() const { return impl_->Read(); }

Traffic Metrics::TrafficOf(const std::string& model) const { return impl_->TrafficOf(model); }

std::string Metrics::Text() const { return impl_->Text(); }

}  // namespace ems
