#include "loader/loader.h"

#include <utility>

#include "absl/strings/str_cat.h"
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

}  // namespace

absl::StatusOr<std::unique_ptr<Servable>> TfliteLoader::Load(const ServableId& id, const std::string& folder) {
  const absl::StatusOr<ModelFiles> files = FindModelFiles(folder);
  if (!files.ok()) return files.status();
  ModelPointer cpu;
  ModelPointer device;
  if (!files->cpu.empty()) {
    absl::StatusOr<ModelPointer> opened = TfliteModel::Open(files->cpu);
    if (!opened.ok()) return opened.status();
    cpu = *std::move(opened);
  }
  if (options_.devices && !files->device.empty()) {
    absl::StatusOr<ModelPointer> opened = TfliteModel::Open(files->device);
    if (!opened.ok()) return opened.status();
    device = *std::move(opened);
    if (cpu && !SameSignatures(*cpu, *device)) {
      return absl::InvalidArgumentError(absl::StrCat(files->device, " and ", files->cpu,
                                                     " differ in their signatures: compile the first from the second"));
    }
    return LoadOnDevices(id, device, files->device, cpu);
  }
  if (!cpu) {
    return absl::UnavailableError(absl::StrCat(files->device,
                                               " needs a device: set --device, or put the model before "
                                               "its compilation there as model.tflite"));
  }
  const bool for_device = options_.devices_for_all || !cpu->custom_operators().empty();
  if (options_.devices && for_device) return LoadOnDevices(id, cpu, files->cpu, cpu);
  absl::StatusOr<std::unique_ptr<Servable>> servable = LoadOnCpu(cpu, options_.cpu);
  if (servable.ok()) return servable;
  return absl::Status(servable.status().code(), absl::StrCat(files->cpu, ": ", servable.status().message()));
}

absl::StatusOr<std::unique_ptr<Servable>> TfliteLoader::LoadOnDevices(const ServableId& id, const ModelPointer& model,
                                                                      const std::string& path,
                                                                      const ModelPointer& cpu) const {
  absl::StatusOr<std::unique_ptr<Servable>> servable = options_.devices(id, model, path);
  if (!cpu || !cpu->custom_operators().empty()) return servable;
  const auto load = [cpu, options = options_.cpu](const std::string& reason) mutable {
    options.fallback = reason;
    return LoadOnCpu(cpu, options);
  };
  const auto log = [log = options_.log, id](const std::string& line) {
    if (log) log(absl::StrCat("model ", id.name, " version ", id.version, ": ", line));
  };
  if (servable.ok()) return WithFallback(*std::move(servable), load, log);
  if (!absl::IsUnavailable(servable.status())) return servable.status();
  log(absl::StrCat("the CPU takes over: ", servable.status().message()));
  return LoadFallback(load)(std::string(servable.status().message()));
}

}  // namespace ems
