// A model on devices that the CPU computes while no device is there.
#ifndef EMS_LOADER_FALLBACK_H_
#define EMS_LOADER_FALLBACK_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/servable.h"

namespace ems {

// Loads the model on the CPU; `reason` says why, for Placement::detail.
using LoadFallback = std::function<absl::StatusOr<std::unique_ptr<Servable>>(const std::string& reason)>;

// Returns a servable that runs on `devices`; a run that is UNAVAILABLE there goes to the CPU, where the model is loaded
// at the first such run. The devices are asked again at every run, so that they are used as soon as they are back.
// `log` gets a line when the CPU takes over and when the devices are back.
std::unique_ptr<Servable> WithFallback(std::unique_ptr<Servable> devices, LoadFallback load,
                                       std::function<void(const std::string& line)> log);

}  // namespace ems

#endif  // EMS_LOADER_FALLBACK_H_
