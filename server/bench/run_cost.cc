// run_cost [MODEL.tflite]: what a run costs beside the bare interpreter, in CPU time of this thread. Prints
// microseconds for each of: a bare interpreter loop, TfliteRunner::Run, Servable::Run, CheckInputs. Without a model: y
// = x / 2 + 2 on four floats.
#include <ctime>
#include <functional>
#include <iomanip>
#include <iostream>

#include "model/rows.h"
#include "support/model_maker.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/model_builder.h"
#include "tflite/cpu_servable.h"
#include "tflite/operators.h"

namespace ems {
namespace {

constexpr int kRuns = 200000;

double CpuSeconds() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Prints the time of a call, the best of five rounds: other programs only add to it.
void Measure(const std::string& name, const std::function<bool()>& call) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const double start = CpuSeconds();
    for (int i = 0; i < kRuns / 5; ++i) {
      if (!call()) std::abort();
    }
    best = std::min(best, (CpuSeconds() - start) / (kRuns / 5));
  }
  std::cout << std::left << std::setw(20) << name << std::fixed << std::setprecision(3) << best * 1e6 << " us\n";
}

int Run(const std::string& path) {
  const auto model = TfliteModel::Open(path).value();
  const std::string key = kDefaultSignature;
  const TensorMap inputs = ZeroInputs(model->signatures().at(key));
  std::unique_ptr<tflite::Interpreter> interpreter;
  tflite::InterpreterBuilder(model->flatbuffer(), Operators())(&interpreter);
  if (!interpreter || interpreter->AllocateTensors() != kTfLiteOk) return 1;
  const auto runner = TfliteRunner::Create(model, {}).value();
  const auto servable = LoadOnCpu(model, {}).value();
  Measure("bare interpreter", [&] { return interpreter->Invoke() == kTfLiteOk; });
  Measure("TfliteRunner::Run", [&] { return runner->Run(key, inputs).ok(); });
  Measure("Servable::Run", [&] { return servable->Run(key, inputs, {}).ok(); });
  Measure("CheckInputs", [&] { return CheckInputs(model->signatures().at(key), inputs).ok(); });
  return 0;
}

}  // namespace
}  // namespace ems

int main(int argc, char** argv) {
  if (argc > 1) return ems::Run(argv[1]);
  const ems::testing::TemporaryFolder folder;
  return ems::Run(folder.Write("model.tflite", ems::testing::FixedBatchModel()));
}
