// Version folders to servables: finds the model, and where it is computed.
#ifndef EMS_LOADER_LOADER_H_
#define EMS_LOADER_LOADER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "model/servable.h"
#include "tflite/cpu_servable.h"

namespace ems {

struct LoaderOptions {
  // Loads a model on devices, or a segment of it, which `part` then names; Devices::Load and LoadSegment of
  // devices/devices.h. Empty: there are none.
  using LoadOnDevices = std::function<absl::StatusOr<std::unique_ptr<Servable>>(
      const ServableId& id, const std::string& part, std::shared_ptr<const TfliteModel> model)>;
  // As LoadOnCpu, in processes of its own; LoadIsolated of devices/isolated.h.
  using LoadIsolated = std::function<absl::StatusOr<std::unique_ptr<Servable>>(
      const ServableId& id, std::shared_ptr<const TfliteModel> model, const CpuOptions& options)>;
  // Which models on the CPU have processes of their own; kAuto: those whose sidecar asks for it.
  enum class Isolate : uint8_t { kAuto, kAlways, kNever };

  CpuOptions cpu;
  LoadOnDevices devices;
  LoadIsolated isolated;
  Isolate isolate = Isolate::kAuto;
  // Sends models without custom operators to the devices too, for delegates that compile a model themselves. The Edge
  // TPU's computes nothing of such a model.
  bool devices_for_all = false;
  // Wraps what computes a version of the folder, before the sidecar's extras; empty: nothing is wrapped.
  std::function<absl::StatusOr<std::unique_ptr<Servable>>(std::unique_ptr<Servable> servable,
                                                          const std::string& folder)>
      wrap;
  std::function<void(const std::string& line)> log;
};

class TfliteLoader : public Loader {
 public:
  explicit TfliteLoader(LoaderOptions options) : options_(std::move(options)) {}

  // Loads the model that FindModelFiles finds. A model for a device goes to the devices. Where these are UNAVAILABLE,
  // now or later, the CPU computes the model as long as a file without custom operators is there; the placement says
  // so. A model in segments becomes one servable, and each segment has its own place in the same way.
  // The sidecar edge_model.pbtxt, where there is one, says more (protos/ems/edge_model.proto). Errors are those of
  // TfliteModel::Open, LoadOnCpu, Devices::Load, PlanPipeline and ReadSidecar, with the file's path.
  absl::StatusOr<std::unique_ptr<Servable>> Load(const ServableId& id, const std::string& folder) override;

 private:
  const LoaderOptions options_;
};

}  // namespace ems

#endif  // EMS_LOADER_LOADER_H_
