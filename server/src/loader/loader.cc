#include "loader/loader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "extras/servable.h"
#include "extras/sidecar.h"
#include "loader/fallback.h"
#include "loader/models.h"
#include "pipeline/pipeline.h"

namespace ems {
namespace {

using ServableOr = absl::StatusOr<std::unique_ptr<Servable>>;

constexpr char kNoDevices[] = "the server has no device: set --delegate and --device";

CpuOptions Adapted(CpuOptions options, const EdgeModel& settings) {
  if (settings.threads() > 0) options.threads = settings.threads();
  if (settings.interpreters() > 0) options.interpreters = settings.interpreters();
  return options;
}

// Whether the CPU can compute a model; false where there is none.
bool RunsOnCpu(const ModelPtr& model) { return model && model->custom_operators().empty(); }

// How a version's files are loaded on the CPU. A fallback keeps it for later.
struct CpuLoad {
  ServableId id;
  CpuOptions options;
  LoaderOptions::LoadIsolated isolated;  // empty: in this process

  // Where `reason` is not empty, in place of a device.
  ServableOr Run(const ModelPtr& model, const std::string& reason) const {
    CpuOptions with_reason = options;
    with_reason.fallback = reason;
    ServableOr servable = isolated ? isolated(id, model, with_reason) : LoadOnCpu(model, with_reason);
    if (servable.ok()) return servable;
    return absl::Status(servable.status().code(), absl::StrCat(model->path(), ": ", servable.status().message()));
  }
};

// A load of one folder.
class FolderLoad {
 public:
  FolderLoad(const LoaderOptions& options, const ServableId& id, const EdgeModel& settings, const FolderModels& models)
      : options_(options),
        settings_(settings),
        cpu_{id, Adapted(options.cpu, settings), Isolated(options, settings)},
        title_(absl::StrCat(id.name, " version ", id.version)),
        models_(models) {}

  ServableOr Run() const {
    if (settings_.isolate() && options_.isolate == LoaderOptions::Isolate::kNever) {
      Log(title_, "isolate: true of edge_model.pbtxt has no effect, because of --isolate=never");
    }
    if (settings_.place() == EdgeModel::CPU) return models_.cpu || models_.segments.empty() ? Cpu() : Segments();
    const bool asked = settings_.place() == EdgeModel::DEVICE;
    if (!options_.devices && asked && !settings_.cpu_fallback()) {
      return absl::FailedPreconditionError(absl::StrCat("edge_model.pbtxt of ", title_, " says place: DEVICE, but ",
                                                        kNoDevices, ", or say cpu_fallback: true there"));
    }
    if (!models_.segments.empty()) return WithWhole(Segments());
    const ModelPtr& compiled = models_.device ? models_.device : models_.cpu;
    const bool meant = asked || models_.device || !RunsOnCpu(compiled);
    if (!meant && !(options_.devices && options_.devices_for_all)) return Cpu();
    if (options_.devices) return WithWhole(options_.devices(cpu_.id, "", compiled));
    if (!asked && !models_.device) return Cpu();  // its error names the operators that the CPU does not have
    if (asked) return WithWhole(absl::UnavailableError(absl::StrCat("place: DEVICE, but ", kNoDevices)));
    return WithWhole(NoDevices(compiled->path()));
  }

 private:
  static absl::Status NoDevices(const std::string& path) {
    return absl::UnavailableError(absl::StrCat(path, " needs a device, and ", kNoDevices,
                                               ", or put the model before its compilation there as model.tflite"));
  }

  static LoaderOptions::LoadIsolated Isolated(const LoaderOptions& options, const EdgeModel& settings) {
    using Isolate = LoaderOptions::Isolate;
    const bool isolated =
        options.isolate == Isolate::kAlways || (options.isolate == Isolate::kAuto && settings.isolate());
    return isolated ? options.isolated : nullptr;
  }

  void Log(const std::string& title, const std::string& line) const {
    if (options_.log) options_.log(absl::StrCat("model ", title, ": ", line));
  }

  // The model as a whole on the CPU.
  ServableOr Cpu() const {
    if (!models_.cpu) {
      return absl::FailedPreconditionError(absl::StrCat(models_.device->path(),
                                                        " needs a device, but edge_model.pbtxt says place: CPU: leave "
                                                        "that out, or put the model before its compilation there as "
                                                        "model.tflite"));
    }
    return cpu_.Run(models_.cpu, "");
  }

  // Lets the CPU take over, now or later, where a file of the whole model is there that it can compute.
  ServableOr WithWhole(ServableOr servable) const { return WithCpu(std::move(servable), models_.cpu, title_); }

  ServableOr WithCpu(ServableOr servable, const ModelPtr& file, const std::string& title) const {
    const bool allowed = !settings_.has_cpu_fallback() || settings_.cpu_fallback();
    if (!allowed || !RunsOnCpu(file)) return servable;
    if (servable.ok()) {
      // Its memory goes until it is needed.
      const auto load = [cpu = cpu_, path = file->path(),
                         signatures = file->signatures()](const std::string& reason) -> ServableOr {
        const absl::StatusOr<ModelPtr> again = OpenAgain(path, signatures, cpu.options.memory);
        return again.ok() ? cpu.Run(*again, reason) : again.status();
      };
      return WithFallback(*std::move(servable), load, [log = options_.log, title](const std::string& line) {
        if (log) log(absl::StrCat("model ", title, ": ", line));
      });
    }
    if (!absl::IsUnavailable(servable.status())) return servable.status();
    const std::string reason(servable.status().message());
    Log(title, absl::StrCat("the CPU takes over: ", reason));
    return cpu_.Run(file, reason);
  }

  ServableOr Segments() const {
    std::vector<std::unique_ptr<Servable>> servables;
    for (size_t i = 0; i < models_.segments.size(); ++i) {
      ServableOr servable = OneSegment(models_.segments[i], SegmentName(i, models_.segments.size()));
      if (!servable.ok()) return servable.status();
      servables.push_back(*std::move(servable));
    }
    return MakePipeline(models_.pipeline, std::move(servables), {title_, cpu_.options.queue});
  }

  ServableOr OneSegment(const ModelPtr& file, const std::string& part) const {
    const bool never = settings_.place() == EdgeModel::CPU;
    const bool asked = !never && (settings_.place() == EdgeModel::DEVICE || options_.devices_for_all);
    if (RunsOnCpu(file) && (!asked || !options_.devices)) return cpu_.Run(file, asked ? kNoDevices : "");
    if (!options_.devices || never) return NoDevices(file->path());
    return WithCpu(options_.devices(cpu_.id, part, file), file, absl::StrCat(title_, ", ", part));
  }

  const LoaderOptions& options_;
  const EdgeModel& settings_;
  const CpuLoad cpu_;
  const std::string title_;
  const FolderModels& models_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Servable>> TfliteLoader::Load(const ServableId& id, const std::string& folder) {
  const absl::StatusOr<Sidecar> sidecar = ReadSidecar(folder);
  if (!sidecar.ok()) return sidecar.status();
  const absl::StatusOr<FolderModels> models = OpenFolder(folder, options_.cpu.memory);
  if (!models.ok()) return models.status();
  ServableOr servable = FolderLoad(options_, id, sidecar->settings, *models).Run();
  if (servable.ok() && options_.wrap) servable = options_.wrap(*std::move(servable), folder);
  if (!servable.ok()) return servable.status();
  return WithExtras(*std::move(servable), *sidecar, models->quantisations);
}

}  // namespace ems
