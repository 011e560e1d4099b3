// Devices with the real worker program on a board of fake Edge TPUs, and clients that check each answer.
#ifndef EMS_TESTS_DEVICES_FIXTURE_H_
#define EMS_TESTS_DEVICES_FIXTURE_H_

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "devices/devices.h"
#include "fake_edgetpu/board.h"
#include "fake_edgetpu/wrap_model.h"
#include "support/model_maker.h"

namespace ems {

// Returns the input number `number` of FixedBatchModel, with `rows` rows, and its answer.
inline TensorMap Question(int number, int rows = 1) {
  TensorMap inputs{{"x", MakeTensor(DataType::kFloat, {rows, 4})}};
  for (int i = 0; i < 4 * rows; ++i) inputs["x"].data<float>()[i] = static_cast<float>(number * 8 + i);
  return inputs;
}
inline TensorMap RightAnswer(int number, int rows = 1) {
  TensorMap outputs{{"y", MakeTensor(DataType::kFloat, {rows, 4})}};
  for (int i = 0; i < 4 * rows; ++i) outputs["y"].data<float>()[i] = static_cast<float>(number * 8 + i) / 2 + 2;
  return outputs;
}
inline bool IsRight(const TensorMap& outputs, int number, int rows = 1) {
  const TensorMap right = RightAnswer(number, rows);
  return outputs.size() == 1 && outputs.count("y") == 1 && outputs.at("y").shape == right.at("y").shape &&
         outputs.at("y").bytes == right.at("y").bytes;
}

// Waits until `condition` holds; the time limit is the test program's.
template <typename Condition>
void Await(Condition condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// Threads that run a model without a pause, until they are told to stop: requests of 1 row to `most_rows`, in turn.
class Clients {
 public:
  Clients(Servable& servable, int count, int most_rows = 3) : most_rows_(most_rows) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, &servable, i] { Ask(servable, i * 1000); });
  }
  ~Clients() { Stop(); }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  void Stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  int right() const { return right_; }
  int wrong() const { return wrong_; }
  int failed() const { return failed_; }
  std::string first_failure() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return first_failure_;
  }
  // Waits until so many more answers have come.
  void AwaitAnswers(int count) const {
    const int goal = right_ + failed_ + count;
    Await([&] { return right_ + failed_ >= goal; });
  }

 private:
  void Ask(Servable& servable, int number) {
    for (; !stop_; ++number) {
      const int rows = 1 + number % most_rows_;
      const absl::StatusOr<TensorMap> outputs =
          servable.Run(kDefaultSignature, Question(number, rows), {absl::Now() + absl::Minutes(1)});
      if (!outputs.ok()) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (failed_++ == 0) first_failure_ = outputs.status().ToString();
      } else {
        ++(IsRight(*outputs, number, rows) ? right_ : wrong_);
      }
    }
  }

  const int most_rows_;
  std::atomic<bool> stop_{false};
  std::atomic<int> right_{0};
  std::atomic<int> wrong_{0};
  std::atomic<int> failed_{0};
  std::mutex mutex_;
  std::string first_failure_;
  std::vector<std::thread> threads_;
};

class DevicesTest : public ::testing::Test {
 protected:
  DevicesTest() {
    options_.worker = EMS_WORKER;
    options_.delegate = EMS_FAKE_EDGETPU;
    options_.names = {"usb:0", "usb:1"};
    options_.least_backoff = absl::Milliseconds(10);
    options_.most_backoff = absl::Milliseconds(100);
    options_.log = [this](const std::string& line) {
      const std::lock_guard<std::mutex> lock(mutex_);
      log_.push_back(line);
    };
    path_ = folder_.Write("model.tflite", fake_edgetpu::WrapModel(testing::FixedBatchModel()));
  }

  Devices& devices() {
    if (!devices_) devices_ = std::make_unique<Devices>(options_);
    return *devices_;
  }
  absl::StatusOr<std::unique_ptr<Servable>> Load(const std::string& path) {
    const absl::StatusOr<std::shared_ptr<const TfliteModel>> model = TfliteModel::Open(path);
    if (!model.ok()) return model.status();
    return devices().Load({"m", 1}, *model);
  }
  std::unique_ptr<Servable> Loaded() {
    absl::StatusOr<std::unique_ptr<Servable>> servable = Load(path_);
    EXPECT_TRUE(servable.ok()) << servable.status();
    return servable.ok() ? *std::move(servable) : nullptr;
  }
  static absl::StatusOr<TensorMap> Ask(Servable& servable, int number, int rows = 1) {
    return servable.Run(kDefaultSignature, Question(number, rows), {absl::Now() + absl::Minutes(1)});
  }
  DeviceReport Report(size_t device) { return devices().Report()[device]; }
  void AwaitState(size_t device, DeviceState state) {
    Await([&] { return Report(device).state == state; });
  }
  std::string Log() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string text;
    for (const std::string& line : log_) text += line + "\n";
    return text;
  }

  testing::TemporaryFolder folder_;
  fake_edgetpu::Board board_;
  std::mutex mutex_;
  std::vector<std::string> log_;
  std::string path_;
  Devices::Options options_;
  std::unique_ptr<Devices> devices_;
};

}  // namespace ems

#endif  // EMS_TESTS_DEVICES_FIXTURE_H_
