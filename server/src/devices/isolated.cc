#include "devices/isolated.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "devices/devices.h"

namespace ems {
namespace {

// A run on the CPU may take as long as its input is large: only a very long one is a hang.
constexpr absl::Duration kLeastHang = absl::Minutes(1);

std::string NameOf(int worker) { return absl::StrCat("cpu:", worker); }

class IsolatedServable final : public Servable {
 public:
  IsolatedServable(std::unique_ptr<Devices> workers, std::unique_ptr<Servable> servable, std::string fallback)
      : workers_(std::move(workers)), servable_(std::move(servable)), fallback_(std::move(fallback)) {}

  // Adds workers, up to `wanted`, and waits for them. They come after the first has shown how much memory a worker
  // takes: the kernel would end a server that exceeds its limit.
  void AddWorkers(int wanted, const std::shared_ptr<MemoryBudget>& memory) {
    const uint64_t bytes = workers_->Report().front().arena_bytes;
    for (count_ = 1; count_ < wanted; ++count_) {
      if (!CheckFree(bytes).ok()) break;
      if (memory) {
        absl::StatusOr<std::unique_ptr<MemoryBudget::Share>> share = memory->Take(bytes);
        if (!share.ok()) break;
        shares_.push_back(*std::move(share));
      }
      workers_->AddDevice(NameOf(count_));
    }
    if (count_ < wanted) missing_ = absl::StrCat(count_, " of ", wanted, " processes fit in memory");
    workers_->AwaitLoads();
  }

  const SignatureMap& signatures() const override { return servable_->signatures(); }

  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                const RunOptions& options) override {
    return servable_->Run(signature, inputs, options);
  }

  // Returns a single place: the first worker's that is not ok, if there is one.
  std::vector<Placement> placements() const override {
    std::vector<Placement> all = servable_->placements();
    const auto bad =
        std::find_if(all.begin(), all.end(), [](const Placement& placement) { return placement.state != "ok"; });
    Placement placement = bad == all.end() ? all.front() : *bad;
    std::vector<std::string> details{
        absl::StrCat("in ", all.size(), all.size() == 1 ? " process" : " processes", " of its own")};
    if (!placement.detail.empty()) details.push_back(absl::StrCat(placement.device, ": ", placement.detail));
    if (!fallback_.empty()) details.push_back(fallback_);
    if (!missing_.empty()) details.push_back(missing_);
    return {{"cpu", placement.state, absl::StrJoin(details, "; "), !fallback_.empty(), ""}};
  }

 private:
  const std::unique_ptr<Devices> workers_;
  const std::unique_ptr<Servable> servable_;
  const std::string fallback_;
  int count_ = 1;
  std::string missing_;
  std::vector<std::unique_ptr<MemoryBudget::Share>> shares_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Servable>> LoadIsolated(const ServableId& id, std::shared_ptr<const TfliteModel> model,
                                                       const CpuOptions& cpu, const IsolatedOptions& options) {
  if (!model->custom_operators().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the CPU cannot compute the custom operator ", absl::StrJoin(model->custom_operators(), ", ")));
  }
  Devices::Options workers;
  workers.names = {NameOf(0)};
  workers.worker = options.worker;
  workers.threads = cpu.threads;
  workers.queue = cpu.queue;
  workers.least_hang = kLeastHang;
  workers.memory = cpu.memory;
  if (options.log) {
    workers.log = [log = options.log, title = absl::StrCat("model ", id.name, " version ", id.version, ": ")](
                      const std::string& line) { log(absl::StrCat(title, line)); };
  }
  const int wanted = model->has_resources() ? 1 : std::max(1, cpu.interpreters);
  auto devices = std::make_unique<Devices>(std::move(workers));
  absl::StatusOr<std::unique_ptr<Servable>> first = devices->Load(id, std::move(model));
  if (!first.ok()) return first.status();
  auto servable = std::make_unique<IsolatedServable>(std::move(devices), *std::move(first), cpu.fallback);
  servable->AddWorkers(wanted, cpu.memory);
  return servable;
}

}  // namespace ems
