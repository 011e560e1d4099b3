#include "metrics/metrics.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace ems {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// The lines are those of TensorFlow Serving's exporter (3.6 of the facts).
TEST(Metrics, CountsUnderTensorFlowServingsNames) {
  Metrics metrics;
  metrics.CountRequest("m", absl::OkStatus());
  metrics.CountRequest("m", absl::OkStatus());
  metrics.CountRequest("m", absl::InvalidArgumentError("x"));
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("# TYPE :tensorflow:serving:request_count counter\n"));
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:request_count{model_name=\"m\",status=\"OK\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:request_count{model_name=\"m\",status=\"INVALID_ARGUMENT\"} 1\n"));
}

TEST(Metrics, HasLatenciesInMicrosecondsInThirtyThreeBuckets) {
  Metrics metrics;
  metrics.RequestLatency("m", "predict", "REST", absl::Microseconds(15));
  metrics.RuntimeLatency("m", "Predict", absl::Microseconds(5));
  const std::string text = metrics.Text();
  const std::string labels = "{model_name=\"m\",API=\"predict\",entrypoint=\"REST\"";
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:request_latency_sum" + labels + "} 15\n"));
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:request_latency_bucket" + labels + ",le=\"10\"} 0\n"));
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:request_latency_bucket" + labels + ",le=\"18\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:request_latency_bucket" + labels + ",le=\"+Inf\"} 1\n"));
  EXPECT_EQ(CountOf(text, ":tensorflow:serving:request_latency_bucket" + labels), 34) << "33 bounds, and no bound";
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:runtime_latency_count{model_name=\"m\",API=\"Predict\","
                              "runtime=\"TF1\"} 1\n"));
}

TEST(Metrics, CountsExamplesWarmupAndQueuing) {
  Metrics metrics;
  metrics.CountExamples("m", 3);
  metrics.WarmupLatency("/m/1", absl::OkStatus(), absl::Milliseconds(1));
  metrics.QueuingLatency("pool", absl::Microseconds(110));
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:request_example_count_total{model=\"m\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:request_example_counts_bucket{model=\"m\",le=\"16384\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr(":tensorflow:serving:model_warmup_latency_sum{model_path=\"/m/1\",status=\"OK\"} 1000\n"));
  EXPECT_THAT(text, HasSubstr(":tensorflow:serving:batching_session:queuing_latency_bucket{thread_pool_name=\"pool\","
                              "le=\"120\"} 1\n"));
}

TEST(Metrics, ReadsDevicesWhenAsked) {
  Metrics metrics;
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("ems_")));
  metrics.SetSource([] { return Samples{{{"usb:0", "out", "it hung", 7, 2, 1}}, {{"m", 3, true}}}; });
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("ems_device_state{device=\"usb:0\",state=\"out\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("ems_device_state{device=\"usb:0\",state=\"ok\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("ems_device_runs_total{device=\"usb:0\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("ems_device_failures_total{device=\"usb:0\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("ems_device_restarts_total{device=\"usb:0\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("ems_model_cpu_fallback{model_name=\"m\",version=\"3\"} 1\n"));
}

TEST(Metrics, TellsOfTheProcess) {
  const std::string text = Metrics().Text();
  for (const char* name :
       {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name + " ")) << name;
  }
}

TEST(Metrics, EscapesLabels) {
  Metrics metrics;
  metrics.CountRequest("a\"b\n", absl::OkStatus());
  EXPECT_THAT(metrics.Text(), HasSubstr("model_name=\"a\\\"b\\n\""));
}

TEST(Metrics, SumsUpAModel) {
  Metrics metrics;
  EXPECT_EQ(metrics.TrafficOf("m").requests, 0);
  metrics.CountRequest("m", absl::OkStatus());
  metrics.CountRequest("m", absl::InternalError("x"));
  for (int i = 0; i < 9; ++i) metrics.RuntimeLatency("m", "Predict", absl::Microseconds(15));
  metrics.RuntimeLatency("m", "Predict", absl::Microseconds(865));
  const Traffic traffic = metrics.TrafficOf("m");
  EXPECT_EQ(traffic.requests, 2);
  EXPECT_EQ(traffic.errors, 1);
  EXPECT_EQ(traffic.mean_latency, absl::Microseconds(100));
  EXPECT_EQ(traffic.latency_90th, absl::Microseconds(18));
}

TEST(Metrics, CountsFromManyThreads) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 1000; ++n) {
        metrics.CountRequest("m" + std::to_string(n % 10), absl::OkStatus());
        metrics.RequestLatency("m", i % 2 == 0 ? "predict" : "classify", "REST", absl::Microseconds(n));
        if (n % 100 == 0) metrics.Text();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metrics.TrafficOf("m0").requests, 400);
}

}  // namespace
}  // namespace ems
