// batching_gain [MODEL.tflite]: requests of a row each a second, by 16 threads, without and with batches. Without a
// model: a layer of 1024 by 1024 weights, which a run reads once, whatever the number of rows. No test.
#include <atomic>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "batching/servable.h"
#include "support/model_maker.h"
#include "tflite/cpu_servable.h"

namespace ems {
namespace {

constexpr int kThreads = 16;
constexpr auto kSeconds = std::chrono::seconds(2);

std::string DenseModel() {
  constexpr int kSize = 1024;
  testing::ModelMaker maker;
  const int x = maker.Tensor("x", tflite::TensorType_FLOAT32, {-1, kSize});
  const int weights = maker.Constant("w", {kSize, kSize}, std::vector<float>(size_t{kSize} * kSize, 0.5F));
  const int y = maker.Tensor("y", tflite::TensorType_FLOAT32, {-1, kSize});
  tflite::BuiltinOptionsUnion options;
  options.Set(tflite::FullyConnectedOptionsT());
  maker.Operator(tflite::BuiltinOperator_FULLY_CONNECTED, {x, weights, -1}, {y}, options);
  maker.Inputs({x});
  maker.Outputs({y});
  maker.Signature(kDefaultSignature, {{"x", x}}, {{"y", y}});
  return maker.File();
}

void Measure(const std::string& name, Servable& servable, const TensorMap& inputs) {
  std::atomic<int64_t> done = 0;
  std::vector<std::thread> threads;
  const auto end = std::chrono::steady_clock::now() + kSeconds;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      while (std::chrono::steady_clock::now() < end) {
        if (!servable.Run(kDefaultSignature, inputs, {}).ok()) std::abort();
        ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::cout << std::left << std::setw(32) << name << done / kSeconds.count() << " requests/s\n";
}

void Run(const std::shared_ptr<const TfliteModel>& model) {
  const TensorMap inputs = ZeroInputs(model->signatures().at(kDefaultSignature));
  const auto alone = LoadOnCpu(model, {}).value();
  Measure("without batches", *alone, inputs);
  BatchingSettings settings;
  settings.max_batch_size = settings.max_execution_batch_size = kThreads;
  for (const bool sizes : {false, true}) {
    if (sizes) settings.allowed_batch_sizes = {1, 4, kThreads};
    const auto batching = WithBatching(LoadOnCpu(model, {}).value(), settings, std::make_shared<Batcher>(1));
    Measure(sizes ? "batches, sizes 1, 4 and 16" : "batches", *batching, inputs);
  }
}

}  // namespace
}  // namespace ems

int main(int argc, char** argv) {
  const ems::testing::TemporaryFolder folder;
  const std::string path = argc > 1 ? argv[1] : folder.Write("model.tflite", ems::DenseModel());
  const absl::StatusOr<std::shared_ptr<const ems::TfliteModel>> model = ems::TfliteModel::Open(path);
  if (!model.ok()) {
    std::cerr << model.status() << '\n';
    return 1;
  }
  ems::Run(*model);
  return 0;
}
