// devices_bench: prints what devices cost, as "NAME VALUE" lines. Figures, not a test: wall times need a quiet machine.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>

#include "devices_fixture.h"
#include "loader/loader.h"
#include "support/split_model.h"

namespace ems {
namespace {

// Opens protected members to a program that is no test.
class Bench : public DevicesTest {
 public:
  void TestBody() override {}

  // Two devices of 3 ms could do 667 runs a second; a busy machine wakes threads late, which two that only sleep show.
  static void Limit() {
    const auto start = std::chrono::steady_clock::now();
    const auto sleeper = [] {
      for (int i = 0; i < 500; ++i) {
        std::this_thread::sleep_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(3));
      }
    };
    std::thread other(sleeper);
    sleeper();
    other.join();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::cout << "sleepers_runs_per_s " << 1000 / seconds << '\n';
  }

  void Saturate() {
    board_.Set("usb:0", "ok 3000");
    board_.Set("usb:1", "ok 3000");
    const std::unique_ptr<Servable> servable = Loaded();
    const int count = 16;
    Clients clients(*servable, count);
    clients.AwaitAnswers(50);
    const uint64_t before = Report(0).runs + Report(1).runs;
    const auto start = std::chrono::steady_clock::now();
    clients.AwaitAnswers(1500);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::cout << "saturated_runs_per_s " << static_cast<double>(Report(0).runs + Report(1).runs - before) / seconds
              << '\n';
    clients.Stop();
    std::cout << "wrong_or_failed " << clients.wrong() + clients.failed() << '\n';
  }

  // Two segments of 3 ms on two devices: 167 requests a second one after the other, 333 where the devices overlap.
  void Pipeline() {
    board_.Set("usb:0", "ok 3000");
    board_.Set("usb:1", "ok 3000");
    const testing::TemporaryFolder version;
    const std::vector<std::string> segments = testing::SplitModel(testing::FixedBatchModel(), 2);
    for (size_t i = 0; i < 2; ++i) {
      version.Write("m_segment_" + std::to_string(i) + "_of_2_edgetpu.tflite", fake_edgetpu::WrapModel(segments[i]));
    }
    version.Write("model.tflite", testing::FixedBatchModel());  // gives the signature
    LoaderOptions options;
    options.devices = [this](const ServableId& id, const std::string& part, std::shared_ptr<const TfliteModel> model) {
      return devices().LoadSegment(id, part, std::move(model));
    };
    const std::unique_ptr<Servable> servable = *TfliteLoader(options).Load({"m", 1}, version.path());
    const double alone = RunsPerSecond({servable.get()}, 1, 300, 1) / 2;
    const double together = RunsPerSecond({servable.get()}, 8, 1000, 1) / 2;
    const double rows = RunsPerSecond({servable.get()}, 1, 200, 10) / 2;
    std::cout << "pipeline_one_client_rows_per_s " << alone << '\n';
    std::cout << "pipeline_eight_clients_rows_per_s " << together << '\n';
    std::cout << "pipeline_one_client_many_rows_per_s " << rows << '\n';
    std::cout << "pipeline_ratio " << together / alone << std::endl;
  }

  // Two models in turn on one device of 3 ms that takes 15 ms after another model: 333 runs a second without a change,
  // 67 with one at each run.
  double Shared(int most_in_row) {
    options_.names = {"usb:0"};
    options_.most_in_row = most_in_row;
    board_.Set("usb:0", "ok 3000");
    const std::unique_ptr<Servable> first = Loaded();
    path_ = folder_.Write("other.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel() + std::string(8, '\0')));
    const std::unique_ptr<Servable> second = Loaded();
    return RunsPerSecond({first.get(), second.get()}, 8, 400);
  }

  // A device that takes no time: what is left is ours, with TensorFlow Lite's part of a run of one operator.
  void RoundTrip(const std::string& name, const std::string& file, const TensorMap& inputs) {
    options_.names = {"usb:0"};
    board_.Set("usb:0", "ok 0");
    path_ = folder_.Write("model.tflite", file);
    const std::unique_ptr<Servable> servable = Loaded();
    std::vector<double> micros;
    rusage before{};
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 5000; ++i) {
      const auto start = std::chrono::steady_clock::now();
      if (!servable->Run(kDefaultSignature, inputs, {}).ok()) std::abort();
      micros.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
    }
    rusage after{};
    getrusage(RUSAGE_SELF, &after);
    std::sort(micros.begin(), micros.end());
    const auto cpu = [](const rusage& use) {
      return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
             static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
    };
    std::cout << "round_trip_us_" << name << "_p50 " << micros[micros.size() / 2] << '\n';
    std::cout << "round_trip_us_" << name << "_p99 " << micros[micros.size() * 99 / 100] << '\n';
    std::cout << "server_cpu_us_" << name << ' ' << (cpu(after) - cpu(before)) / 5000 << '\n';
    Memory(name);
  }

 private:
  // Returns how many runs a second the devices do for `count` clients of each servable, while `answers` come.
  double RunsPerSecond(const std::vector<Servable*>& servables, int count, int answers, int most_rows = 3) {
    std::vector<std::unique_ptr<Clients>> clients;
    for (Servable* const servable : servables)
      clients.push_back(std::make_unique<Clients>(*servable, count, most_rows));
    const auto runs = [this] {
      uint64_t sum = 0;
      for (const DeviceReport& report : devices().Report()) sum += report.runs;
      return sum;
    };
    clients.front()->AwaitAnswers(20);
    const uint64_t before = runs();
    const auto start = std::chrono::steady_clock::now();
    clients.front()->AwaitAnswers(answers);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto done = static_cast<double>(runs() - before);
    for (const auto& of : clients) {
      of->Stop();
      if (of->wrong() + of->failed() != 0) std::cout << "wrong_or_failed " << of->first_failure() << '\n';
    }
    return done / seconds;
  }

  void Memory(const std::string& name) {
    std::ifstream rollup("/proc/" + std::to_string(Report(0).pid) + "/smaps_rollup");
    for (std::string line; std::getline(rollup, line);) {
      std::istringstream words(line);
      std::string key;
      int64_t kilobytes = 0;
      words >> key >> kilobytes;
      if (key == "Pss:" || key == "Anonymous:" || key == "Rss:") {
        std::cout << "worker_" << name << '_' << key.substr(0, key.size() - 1) << "_kb " << kilobytes << '\n';
      }
    }
  }
};

}  // namespace
}  // namespace ems

int main() {
  ems::Bench::Limit();
  ems::Bench().Saturate();
  ems::Bench::Limit();
  ems::Bench().Pipeline();
  const double grouped = ems::Bench().Shared(ems::Devices::Options().most_in_row);
  const double in_turn = ems::Bench().Shared(1);
  std::cout << "shared_grouped_runs_per_s " << grouped << '\n';
  std::cout << "shared_fifo_runs_per_s " << in_turn << '\n';
  std::cout << "shared_ratio " << grouped / in_turn << '\n';
  const ems::TensorMap large{{"image", ems::MakeTensor(ems::DataType::kUint8, {1, 640, 640, 3})}};
  ems::Bench().RoundTrip("16_bytes", fake_edgetpu::WrapModel(ems::testing::FixedBatchModel()), ems::Question(1));
  ems::testing::ModelMaker maker;
  const int x = maker.Tensor("image", tflite::TensorType_UINT8, {1, 640, 640, 3});
  const int y = maker.Tensor("pixels", tflite::TensorType_UINT8, {1, 640 * 640 * 3});
  maker.Copy(x, y, {1, 640 * 640 * 3});
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature("serving_default", {{"image", x}}, {{"pixels", y}});
  ems::Bench().RoundTrip("1_2_megabytes", fake_edgetpu::WrapModel(maker.File()), large);
  return 0;
}
