#include "loader/loader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "extras/servable.h"
#include "extras/sidecar.h"
#include "loader/fallback.h"
#include "loader/files.h"

namespace ems {
namespace {

using ModelPointer = std::shared_ptr<const TfliteModel>;

bool SameTensors(const std::map<std::string, TensorSpec>& left, const std::map<std::string, TensorSpec>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.dtype == b.second.dtype && a.second.shape == b.second.shape;
  });
}

// Whether clients see no difference between two models.
bool SameSignatures(const TfliteModel& left, const TfliteModel& right) {
  const SignatureMap& a = left.signatures();
  const SignatureMap& b = right.signatures();
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& other) {
    return one.first == other.first && SameTensors(one.second.inputs, other.second.inputs) &&
           SameTensors(one.second.outputs, other.second.outputs);
  });
}

// The models of a version folder; at least one is set.
struct Models {
  ModelFiles files;
  ModelPointer cpu;
  ModelPointer device;
};

absl::StatusOr<ModelPointer> OpenIf(const std::string& path) {
  if (path.empty()) return ModelPointer();
  return TfliteModel::Open(path);
}

absl::StatusOr<Models> OpenModels(const std::string& folder, bool devices) {
  absl::StatusOr<ModelFiles> files = FindModelFiles(folder);
  if (!files.ok()) return files.status();
  if (!devices && files->cpu.empty()) {
    return absl::UnavailableError(absl::StrCat(files->device,
                                               " needs a device: set --device, or put the model before "
                                               "its compilation there as model.tflite"));
  }
  if (!devices) files->device.clear();
  absl::StatusOr<ModelPointer> cpu = OpenIf(files->cpu);
  if (!cpu.ok()) return cpu.status();
  absl::StatusOr<ModelPointer> device = OpenIf(files->device);
  if (!device.ok()) return device.status();
  if (*cpu && *device && !SameSignatures(**cpu, **device)) {
    return absl::InvalidArgumentError(absl::StrCat(files->device, " and ", files->cpu,
                                                   " differ in their signatures: compile the first from the second"));
  }
  return Models{*std::move(files), *std::move(cpu), *std::move(device)};
}

CpuOptions Adapted(CpuOptions options, const EdgeModel& settings) {
  if (settings.threads() > 0) options.threads = settings.threads();
  if (settings.interpreters() > 0) options.interpreters = settings.interpreters();
  return options;
}

// A load of one folder.
class FolderLoad {
 public:
  FolderLoad(const LoaderOptions& options, const ServableId& id, const EdgeModel& settings, Models models)
      : options_(options), cpu_(Adapted(options.cpu, settings)), id_(id), models_(std::move(models)) {
    const bool compiled = models_.device || !models_.cpu->custom_operators().empty();
    const bool asked = options.devices_for_all || settings.place() == EdgeModel::DEVICE;
    on_devices_ = options.devices && settings.place() != EdgeModel::CPU && (compiled || asked);
  }

  absl::StatusOr<std::unique_ptr<Servable>> Run() const {
    if (on_devices_) return OnDevices();
    if (!models_.cpu) return absl::InvalidArgumentError(absl::StrCat(models_.files.device, " needs a device"));
    absl::StatusOr<std::unique_ptr<Servable>> servable = LoadOnCpu(models_.cpu, cpu_);
    if (servable.ok()) return servable;
    return absl::Status(servable.status().code(), absl::StrCat(models_.files.cpu, ": ", servable.status().message()));
  }

  // The model that clients see; both have the same signatures.
  const TfliteModel& model() const { return models_.device ? *models_.device : *models_.cpu; }

 private:
  absl::StatusOr<std::unique_ptr<Servable>> OnDevices() const {
    const ModelPointer& model = models_.device ? models_.device : models_.cpu;
    const std::string& path = models_.device ? models_.files.device : models_.files.cpu;
    absl::StatusOr<std::unique_ptr<Servable>> servable = options_.devices(id_, model, path);
    if (!models_.cpu || !models_.cpu->custom_operators().empty()) return servable;
    const LoadFallback load = [model = models_.cpu, options = cpu_](const std::string& reason) {
      CpuOptions with_reason = options;
      with_reason.fallback = reason;
      return LoadOnCpu(model, with_reason);
    };
    const auto log = [log = options_.log, id = id_](const std::string& line) {
      if (log) log(absl::StrCat("model ", id.name, " version ", id.version, ": ", line));
    };
    if (servable.ok()) return WithFallback(*std::move(servable), load, log);
    if (!absl::IsUnavailable(servable.status())) return servable.status();
    log(absl::StrCat("the CPU takes over: ", servable.status().message()));
    return load(std::string(servable.status().message()));
  }

  const LoaderOptions& options_;
  const CpuOptions cpu_;
  const ServableId id_;
  const Models models_;
  bool on_devices_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Servable>> TfliteLoader::Load(const ServableId& id, const std::string& folder) {
  const absl::StatusOr<Sidecar> sidecar = ReadSidecar(folder);
  if (!sidecar.ok()) return sidecar.status();
  absl::StatusOr<Models> models = OpenModels(folder, options_.devices != nullptr);
  if (!models.ok()) return models.status();
  const FolderLoad load(options_, id, sidecar->settings, *std::move(models));
  absl::StatusOr<std::unique_ptr<Servable>> servable = load.Run();
  if (!servable.ok()) return servable.status();
  return WithExtras(*std::move(servable), *sidecar, load.model());
}

}  // namespace ems
