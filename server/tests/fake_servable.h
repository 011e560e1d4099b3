// A model without a file: doubles `x`, floats of shape [?,2], into `y` and counts into `n`; its run can be held up. The
// signature `pair` has a second input, `z`.
#ifndef EMS_TESTS_FAKE_SERVABLE_H_
#define EMS_TESTS_FAKE_SERVABLE_H_

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "model/servable.h"

namespace ems {

// Holds up runs while it is closed, and tells a test how many wait.
class Gate {
 public:
  void Close() {
    const absl::MutexLock lock(&mutex_);
    open_ = false;
  }
  void Open() {
    const absl::MutexLock lock(&mutex_);
    open_ = true;
  }
  // Returns false where the deadline passed first.
  bool Pass(absl::Time deadline) {
    const absl::MutexLock lock(&mutex_);
    ++waiting_;
    const bool passed = mutex_.AwaitWithDeadline(absl::Condition(&open_), deadline);
    --waiting_;
    return passed;
  }
  void AwaitWaiting() {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(+[](int* waiting) { return *waiting > 0; }, &waiting_));
  }

 private:
  absl::Mutex mutex_;
  bool open_ = true;
  int waiting_ = 0;
};

struct FakeModel {
  Gate gate;
  std::atomic<int> runs = 0;
  absl::Status result;  // of each run
  RunOptions last;      // of the last run
};

inline SignatureMap FakeSignatures() {
  Signature twice;
  twice.method_name = kPredictMethod;
  twice.inputs = {{"x", {DataType::kFloat, {-1, 2}, "x:0"}}};
  twice.outputs = {{"y", {DataType::kFloat, {-1, 2}, "y:0"}}, {"n", {DataType::kInt32, {}, "n:0"}}};
  Signature classify = twice;
  classify.method_name = kClassifyMethod;
  classify.outputs = {{"scores", {DataType::kFloat, {-1, 2}, "y:0"}}};
  Signature regress;
  regress.method_name = kRegressMethod;
  regress.inputs = {{"x", {DataType::kFloat, {-1, 1}, "x1:0"}}};
  regress.outputs = {{"outputs", {DataType::kFloat, {-1, 1}, "y1:0"}}};
  Signature pair = regress;
  pair.method_name = kPredictMethod;
  pair.inputs = {{"x", {DataType::kFloat, {-1}, "x2:0"}}, {"z", {DataType::kFloat, {-1}, "z2:0"}}};
  return {{kDefaultSignature, twice},
          {"classify", classify},
          {"regress", regress},
          {"regress_too", regress},
          {"pair", pair}};
}

class FakeServable : public Servable {
 public:
  explicit FakeServable(std::shared_ptr<FakeModel> model) : model_(std::move(model)) {}

  const SignatureMap& signatures() const override { return signatures_; }

  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                const RunOptions& options) override {
    ++model_->runs;
    model_->last = options;
    if (!model_->gate.Pass(options.deadline)) return absl::DeadlineExceededError("the run took too long");
    if (!model_->result.ok()) return model_->result;
    Tensor twice = inputs.at("x");
    const size_t count = twice.bytes.size() / sizeof(float);
    for (size_t i = 0; i < count; ++i) twice.data<float>()[i] *= 2;
    if (signature == "classify") return TensorMap{{"scores", twice}};
    if (signature != kDefaultSignature) return TensorMap{{"outputs", twice}};
    Tensor n = MakeTensor(DataType::kInt32, {});
    *n.data<int32_t>() = static_cast<int32_t>(count);
    return TensorMap{{"y", std::move(twice)}, {"n", std::move(n)}};
  }

  std::vector<Placement> placements() const override { return {{"cpu", "ok", "", false, ""}}; }

 private:
  SignatureMap signatures_ = FakeSignatures();
  std::shared_ptr<FakeModel> model_;
};

class FakeLoader : public Loader {
 public:
  absl::StatusOr<std::unique_ptr<Servable>> Load(const ServableId& /*id*/, const std::string& folder) override {
    if (std::filesystem::exists(folder + "/bad")) return absl::InvalidArgumentError("the model is cut");
    return std::make_unique<FakeServable>(model);
  }

  std::shared_ptr<FakeModel> model = std::make_shared<FakeModel>();
};

}  // namespace ems

#endif  // EMS_TESTS_FAKE_SERVABLE_H_
