#include "loader/fallback.h"

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace ems {
namespace {

class FallbackServable final : public Servable {
 public:
  FallbackServable(std::unique_ptr<Servable> devices, LoadFallback load, std::function<void(const std::string&)> log)
      : devices_(std::move(devices)), load_(std::move(load)), log_(std::move(log)) {}

  const SignatureMap& signatures() const override { return devices_->signatures(); }

  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                const RunOptions& options) override {
    absl::StatusOr<TensorMap> outputs = devices_->Run(signature, inputs, options);
    if (!absl::IsUnavailable(outputs.status())) {
      // Other errors say nothing of the devices: a request may be late or wrong.
      if (outputs.ok() && on_cpu_.exchange(false)) Log("the devices are back");
      return outputs;
    }
    const std::string reason(outputs.status().message());
    absl::StatusOr<Servable*> cpu = Cpu(reason);
    // The devices' reason is the one to act on.
    if (!cpu.ok()) return absl::UnavailableError(absl::StrCat(reason, "; nor the CPU: ", cpu.status().message()));
    if (!on_cpu_.exchange(true)) Log(absl::StrCat("the CPU takes over: ", reason));
    return (*cpu)->Run(signature, inputs, options);
  }

  std::vector<Placement> placements() const override {
    std::vector<Placement> placements = devices_->placements();
    if (!on_cpu_) return placements;
    const std::lock_guard lock(mutex_);
    for (Placement& placement : cpu_->placements()) placements.push_back(std::move(placement));
    return placements;
  }

 private:
  absl::StatusOr<Servable*> Cpu(const std::string& reason) {
    const std::lock_guard lock(mutex_);
    if (!cpu_) {
      absl::StatusOr<std::unique_ptr<Servable>> loaded = load_(reason);
      if (!loaded.ok()) return loaded.status();
      cpu_ = *std::move(loaded);
    }
    return cpu_.get();
  }

  void Log(const std::string& line) const {
    if (log_) log_(line);
  }

  const std::unique_ptr<Servable> devices_;
  const LoadFallback load_;
  const std::function<void(const std::string&)> log_;
  std::atomic<bool> on_cpu_ = false;
  mutable std::mutex mutex_;
  std::unique_ptr<Servable> cpu_;
};

}  // namespace

std::unique_ptr<Servable> WithFallback(std::unique_ptr<Servable> devices, LoadFallback load,
                                       std::function<void(const std::string& line)> log) {
  return std::make_unique<FallbackServable>(std::move(devices), std::move(load), std::move(log));
}

}  // namespace ems
