#include "devices/devices.h"

#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "devices/device.h"
#include "devices/scheduler.h"
#include "model/rows.h"
#include "tflite/runner.h"

namespace ems {

class Devices::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)), scheduler_(options_) {
    for (const DeviceReport& device : scheduler_.Report()) StartThread(threads_.size(), device.name);
  }
  ~Impl() { Stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void Stop() {
    scheduler_.Stop();
    const std::lock_guard<std::mutex> lock(mutex_);
    threads_.clear();
  }
  void AddDevice(const std::string& name) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (scheduler_.AddDevice(name)) StartThread(threads_.size(), name);
  }
  Scheduler& scheduler() { return scheduler_; }

  static absl::StatusOr<std::unique_ptr<Servable>> Load(const std::shared_ptr<Impl>& self, const std::string& title,
                                                        std::shared_ptr<const TfliteModel> model, bool segment);

 private:
  void StartThread(size_t index, const std::string& name) {
    threads_.push_back(std::make_unique<DeviceThread>(static_cast<int>(index), name, options_, scheduler_));
  }

  const Options options_;
  Scheduler scheduler_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<DeviceThread>> threads_;
};

namespace {

// Returns a run of zeros: of the default signature, or of another where that has no fixed shapes.
RunModel TrialOf(const SignatureMap& signatures) {
  RunModel trial;
  for (const auto& [key, signature] : signatures) {
    bool fixed = true;
    for (const auto& [name, input] : signature.inputs) fixed = fixed && NumElements(input.shape).has_value();
    if (!fixed || (!trial.signature.empty() && key != kDefaultSignature)) continue;
    trial.signature = key;
    trial.inputs = ZeroInputs(signature);
  }
  return trial;
}

class DeviceServable : public Servable {
 public:
  DeviceServable(std::shared_ptr<Scheduler> scheduler, std::shared_ptr<ScheduledModel> model,
                 std::shared_ptr<const TfliteModel> file)
      : scheduler_(std::move(scheduler)), model_(std::move(model)), file_(std::move(file)) {}
  ~DeviceServable() override { scheduler_->Remove(model_); }
  DeviceServable(const DeviceServable&) = delete;
  DeviceServable& operator=(const DeviceServable&) = delete;

  // Counts the memory of the workers, which have run the model once.
  absl::Status Reserve(MemoryBudget& memory) {
    absl::StatusOr<std::unique_ptr<MemoryBudget::Share>> share = memory.Take(scheduler_->ArenaBytes(*model_));
    if (share.ok()) share_ = *std::move(share);
    return share.status();
  }

  const SignatureMap& signatures() const override { return file_->signatures(); }

  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                const RunOptions& options) override {
    const absl::StatusOr<int64_t> runs = CheckInputs(signatures().at(signature), inputs);
    if (!runs.ok()) return runs.status();
    return RunInWindows(*runs, [&](int64_t first, int64_t count) {
      return RunRows(signature, inputs, *runs, first, count, FromDeadline(options.deadline));
    });
  }

  std::vector<Placement> placements() const override { return scheduler_->Placements(*model_); }

 private:
  // Runs `first` to `first` + `count` of `runs`.
  absl::StatusOr<TensorMap> RunRows(const std::string& signature, const TensorMap& inputs, int64_t runs, int64_t first,
                                    int64_t count, Instant deadline) {
    std::vector<std::string> messages;
    for (int64_t run = first; run < first + count; ++run) {
      messages.push_back(EncodeRun(model_->number, signature, runs == 1 ? inputs : Slice(inputs, run, runs)));
      if (messages.back().size() > kMostMessageBytes) {
        return absl::InvalidArgumentError(absl::StrCat("a run's inputs take more than ", kMostMessageBytes, " bytes"));
      }
    }
    absl::StatusOr<std::vector<TensorMap>> rows =
        scheduler_->Run(model_, std::move(messages), deadline, /*admitted=*/first > 0);
    if (!rows.ok()) return rows.status();
    return Join(*std::move(rows));
  }

  const std::shared_ptr<Scheduler> scheduler_;
  const std::shared_ptr<ScheduledModel> model_;
  const std::shared_ptr<const TfliteModel> file_;  // workers that start anew read it
  std::unique_ptr<MemoryBudget::Share> share_;
};

}  // namespace

Devices::Devices(Options options) : impl_(std::make_shared<Impl>(std::move(options))) {}

Devices::~Devices() { impl_->Stop(); }

absl::StatusOr<std::unique_ptr<Servable>> Devices::Impl::Load(const std::shared_ptr<Impl>& self,
                                                              const std::string& title,
                                                              std::shared_ptr<const TfliteModel> model, bool segment) {
  const Options& options = self->options_;
  const LoadModel load{0, model->shared_path(), {options.threads, options.delegate, options.delegate_options}};
  absl::StatusOr<std::shared_ptr<ScheduledModel>> scheduled =
      self->scheduler_.Add(title, load, TrialOf(model->signatures()), segment);
  if (!scheduled.ok()) return scheduled.status();
  const std::shared_ptr<Scheduler> scheduler(self, &self->scheduler_);  // keeps all of the implementation
  auto servable = std::make_unique<DeviceServable>(scheduler, *std::move(scheduled), std::move(model));
  if (options.memory) {
    if (absl::Status status = servable->Reserve(*options.memory); !status.ok()) return status;
  }
  return servable;
}

absl::StatusOr<std::unique_ptr<Servable>> Devices::Load(const ServableId& id,
                                                        std::shared_ptr<const TfliteModel> model) {
  return Impl::Load(impl_, absl::StrCat(id.name, " version ", id.version), std::move(model), /*segment=*/false);
}

absl::StatusOr<std::unique_ptr<Servable>> Devices::LoadSegment(const ServableId& id, const std::string& part,
                                                               std::shared_ptr<const TfliteModel> model) {
  const std::string title = absl::StrCat(id.name, " version ", id.version, ", ", part);
  return Impl::Load(impl_, title, std::move(model), /*segment=*/true);
}

void Devices::AddDevice(const std::string& name) { impl_->AddDevice(name); }

void Devices::AwaitLoads() { impl_->scheduler().AwaitLoads(); }

std::vector<DeviceReport> Devices::Report() const { return impl_->scheduler().Report(); }

}  // namespace ems
