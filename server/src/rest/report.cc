#include "rest/report.h"

#include "metrics/process.h"

namespace ems {
namespace {

// A rate over less says little, and every reader of the page asks for it.
constexpr absl::Duration kLeastInterval = absl::Seconds(4);

}  // namespace

double StatusReporter::RateOf(const std::string& model, uint64_t requests, absl::Time now) {
  const std::lock_guard lock(mutex_);
  Rate& rate = rates_.try_emplace(model, Rate{start_, 0, 0}).first->second;
  if (now - rate.time >= kLeastInterval) {
    rate.per_second = static_cast<double>(requests - rate.requests) / absl::ToDoubleSeconds(now - rate.time);
    rate.time = now;
    rate.requests = requests;
  }
  return rate.per_second;
}

ServerReport StatusReporter::Report() {
  const absl::Time now = SteadyNow();
  ServerReport report;
  report.version = version_;
  report.ready = api_.catalogue().Ready();
  report.uptime = now - start_;
  report.resident_bytes = ResidentBytes();
  report.devices = api_.metrics().Read().devices;
  for (const ModelReport& model : api_.catalogue().Report()) {
    ModelPart part;
    part.name = model.name;
    part.base_path = model.base_path;
    part.traffic = api_.metrics().TrafficOf(model.name);
    part.requests_per_second = RateOf(model.name, part.traffic.requests, now);
    for (const VersionStatus& version : model.versions) {
      VersionPart row;
      row.status = version;
      for (const auto& [label, number] : model.labels) {
        if (number == version.version) row.labels.push_back(label);
      }
      if (version.state == VersionState::kAvailable) {
        const absl::StatusOr<ServableHandle> handle = api_.catalogue().Find({model.name, version.version, ""});
        if (handle.ok()) row.placements = handle->servable->placements();
      }
      part.versions.push_back(std::move(row));
    }
    report.models.push_back(std::move(part));
  }
  return report;
}

}  // namespace ems
