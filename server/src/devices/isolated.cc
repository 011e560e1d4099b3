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

class IsolatedServable final : public Servable {
 public:
  IsolatedServable(std::unique_ptr<Devices> workers, std::unique_ptr<Servable> servable,
                   std::unique_ptr<MemoryBudget::Share> share, std::string fallback)
      : workers_(std::move(workers)),
        servable_(std::move(servable)),
        share_(std::move(share)),
        fallback_(std::move(fallback)) {}

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
    return {{"cpu", placement.state, absl::StrJoin(details, "; "), !fallback_.empty(), ""}};
  }

 private:
  const std::unique_ptr<Devices> workers_;
  const std::unique_ptr<Servable> servable_;
  const std::unique_ptr<MemoryBudget::Share> share_;
  const std::string fallback_;
};

uint64_t BytesOf(const Devices& workers, const TfliteModel& model) {
  uint64_t bytes = model.file_bytes();  // mapped by all, once in memory
  for (const DeviceReport& worker : workers.Report()) bytes += worker.arena_bytes;
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Servable>> LoadIsolated(const ServableId& id, std::shared_ptr<const TfliteModel> model,
                                                       const std::string& path, const CpuOptions& cpu,
                                                       const IsolatedOptions& options) {
  if (!model->custom_operators().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the CPU cannot compute the custom operator ", absl::StrJoin(model->custom_operators(), ", ")));
  }
  Devices::Options workers;
  workers.worker = options.worker;
  workers.threads = cpu.threads;
  workers.queue = cpu.queue;
  workers.least_hang = kLeastHang;
  const int count = model->has_resources() ? 1 : std::max(1, cpu.interpreters);
  for (int i = 0; i < count; ++i) workers.names.push_back(absl::StrCat("cpu:", i));
  if (options.log) {
    workers.log = [log = options.log, title = absl::StrCat("model ", id.name, " version ", id.version, ": ")](
                      const std::string& line) { log(absl::StrCat(title, line)); };
  }
  auto devices = std::make_unique<Devices>(std::move(workers));
  absl::StatusOr<std::unique_ptr<Servable>> servable = devices->Load(id, model, path);
  if (!servable.ok()) return servable.status();
  std::unique_ptr<MemoryBudget::Share> share;
  if (cpu.memory) {
    absl::StatusOr<std::unique_ptr<MemoryBudget::Share>> taken = cpu.memory->Take(BytesOf(*devices, *model));
    if (!taken.ok()) return taken.status();
    share = *std::move(taken);
  }
  return std::make_unique<IsolatedServable>(std::move(devices), *std::move(servable), std::move(share), cpu.fallback);
}

}  // namespace ems
