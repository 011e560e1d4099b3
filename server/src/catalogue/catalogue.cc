#include "catalogue/catalogue.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "catalogue/lifecycle.h"
#include "catalogue/model_state.h"
#include "catalogue/ordered_log.h"
#include "catalogue/served.h"
#include "catalogue/task_pool.h"
#include "catalogue/versions.h"

namespace ems {
namespace {

using Clock = TaskPool::Clock;

constexpr size_t kRemovedModels = 64;  // whose versions stay listed as ended

// The deadline on the monotonic clock, so that a jump of the wall clock does not matter from here on.
Clock::time_point Monotonic(absl::Time deadline) {
  const absl::Duration left = std::min(deadline - SteadyNow(), absl::Hours(24 * 365));
  return Clock::now() + absl::ToChronoNanoseconds(std::max(left, absl::ZeroDuration()));
}

absl::Status BasePathError(const ModelConfig& config, const absl::Status& status) {
  const std::string text = absl::StrCat("Could not find base path ", config.base_path, " for servable ", config.name,
                                        ": ", status.message(), "; create it or correct base_path");
  if (absl::IsNotFound(status) || absl::IsPermissionDenied(status)) return {status.code(), text};
  return absl::FailedPreconditionError(text);
}

absl::Status LabelError(const std::string& name, int64_t version) {
  // The first part is TensorFlow Serving's text (server_core.cc, UpdateModelVersionLabelMap).
  return absl::FailedPreconditionError(absl::StrCat(
      "Request to assign label to version ", version, " of model ", name,
      ", which is not currently available for inference; assign it when the version is available, or start with "
      "--allow_version_labels_for_unavailable_models, which allows new labels"));
}

absl::Status CheckNames(const ModelConfigs& configs) {
  std::set<std::string> names;
  for (const ModelConfig& config : configs) {
    if (!names.insert(config.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("Illegal to list model ", config.name, " multiple times in config list"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

// One mutex guards the models; Find uses a table of its own (served.h). Whatever changes which versions are asked for
// calls Step of the lifecycle, which does the rest.
class Catalogue::Impl {
 public:
  Impl(Options options, Loader& loader);
  ~Impl();

  absl::Status SetConfig(const ModelConfigs& configs, absl::Time deadline, Retries retries);
  void PollOnce();
  std::vector<VersionStatus> Statuses(const std::string& name) const;
  std::vector<ModelReport> Report() const;
  const Served& served() const { return served_; }

 private:
  // A look at the disk, taken without the mutex: a network disk may hang.
  struct Look {
    ModelConfig config;
    uint64_t generation = 0;
    std::map<EntryPtr, std::string> stamps;  // of the folders that failed to load
    absl::StatusOr<Scan> scan;
  };

  // What follows needs mu_.
  absl::Status CheckLabels(const ModelConfigs& configs) const;
  std::set<std::string> Configure(const ModelConfigs& configs, const std::vector<absl::StatusOr<Scan>>& scans);
  void Remove(Model& model);
  void Unload(Model& model, const std::string& reason);
  void Apply(Model& model, const absl::StatusOr<Scan>& scan);
  void ForgetRemovedModels();
  void Changed();
  void Say(const std::string& name, const std::string& text);

  // What follows must not have mu_.
  absl::StatusOr<std::vector<absl::StatusOr<Scan>>> ScanAll(const ModelConfigs& configs) const;
  absl::Status AwaitModels(const std::set<std::string>& names, Clock::time_point deadline, Retries retries);
  std::vector<Look> WhatToLookAt() const;
  void Poll();

  const Options options_;
  Served served_;
  OrderedLog log_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::map<std::string, Model> models_;
  uint64_t generation_ = 0;
  uint64_t removals_ = 0;

  Lifecycle lifecycle_;
  TaskPool poll_pool_;
};

Catalogue::Impl::Impl(Options options, Loader& loader)
    : options_(std::move(options)),
      log_(options_.log),
      lifecycle_(options_, loader, mu_, log_, [this] { Changed(); }),
      poll_pool_(1) {
  if (options_.poll > absl::ZeroDuration()) {
    poll_pool_.AddAt(Clock::now() + absl::ToChronoNanoseconds(options_.poll), [this] { Poll(); });
  }
}

Catalogue::Impl::~Impl() {
  poll_pool_.Stop();
  {
    std::unique_lock lock(mu_);
    for (auto& [name, model] : models_) Unload(model, "the server stops");
    Changed();
    changed_.wait(lock, [this] {
      return std::all_of(models_.begin(), models_.end(),
                         [](const auto& model) { return model.second.entries.empty(); });
    });
  }
  lifecycle_.Stop();
  log_.Flush();
}

absl::StatusOr<std::vector<absl::StatusOr<Scan>>> Catalogue::Impl::ScanAll(const ModelConfigs& configs) const {
  std::vector<absl::StatusOr<Scan>> scans;
  for (const ModelConfig& config : configs) {
    scans.push_back(ScanVersions(config));
    if (scans.back().ok()) continue;
    const std::lock_guard lock(mu_);
    const auto known = models_.find(config.name);
    const bool same =
        known != models_.end() && known->second.configured && known->second.config.base_path == config.base_path;
    if (!same) return BasePathError(config, scans.back().status());
  }
  return scans;
}

absl::Status Catalogue::Impl::SetConfig(const ModelConfigs& configs, absl::Time deadline, Retries retries) {
  const Clock::time_point until = Monotonic(deadline);
  if (absl::Status status = CheckNames(configs); !status.ok()) return status;
  absl::StatusOr<std::vector<absl::StatusOr<Scan>>> scans = ScanAll(configs);
  if (!scans.ok()) return scans.status();
  std::set<std::string> new_names;
  {
    const std::lock_guard lock(mu_);
    if (absl::Status status = CheckLabels(configs); !status.ok()) return status;
    new_names = Configure(configs, *scans);
  }
  log_.Flush();
  return AwaitModels(new_names, until, retries);
}

absl::Status Catalogue::Impl::CheckLabels(const ModelConfigs& configs) const {
  for (const ModelConfig& config : configs) {
    const auto known = models_.find(config.name);
    // The versions of a new model load only after this. TensorFlow Serving refuses their labels: a configuration that
    // it took while it ran keeps it from starting again.
    if (known == models_.end() || !known->second.configured) continue;
    const auto& old_labels = known->second.config.labels;
    for (const auto& [label, version] : config.labels) {
      const auto old = old_labels.find(label);
      if (old != old_labels.end() && old->second == version) continue;
      if (IsAvailable(known->second, version)) continue;
      if (old != old_labels.end() || !options_.allow_labels_for_unavailable_versions) {
        return LabelError(config.name, version);
      }
    }
  }
  return absl::OkStatus();
}

std::set<std::string> Catalogue::Impl::Configure(const ModelConfigs& configs,
                                                 const std::vector<absl::StatusOr<Scan>>& scans) {
  std::set<std::string> names;
  std::set<std::string> new_names;
  ++generation_;
  for (size_t i = 0; i < configs.size(); ++i) {
    Model& model = models_[configs[i].name];
    names.insert(configs[i].name);
    if (!model.configured) new_names.insert(configs[i].name);
    model.config = configs[i];
    model.configured = true;
    model.generation = generation_;
    Apply(model, scans[i]);
  }
  for (auto& [name, model] : models_) {
    if (model.configured && names.count(name) == 0) Remove(model);
  }
  ForgetRemovedModels();
  Changed();
  return new_names;
}

void Catalogue::Impl::Remove(Model& model) {
  if (model.configured) {
    model.configured = false;
    model.warnings.clear();
    model.unreadable = false;
    model.removal = ++removals_;
    Say(model.config.name, "removed from the configuration");
  }
  Unload(model, "the model was removed");
}

void Catalogue::Impl::Unload(Model& model, const std::string& reason) {
  Aspire(model, Scan{}, reason);
  lifecycle_.Step(model);
}

// Forgets the models that were removed first, so that names that come and go do not fill the memory.
void Catalogue::Impl::ForgetRemovedModels() {
  std::map<uint64_t, std::string> ended;  // by the time of their removal
  for (const auto& [name, model] : models_) {
    if (!model.configured && model.entries.empty()) ended.emplace(model.removal, name);
  }
  while (ended.size() > kRemovedModels) {
    models_.erase(ended.begin()->second);
    ended.erase(ended.begin());
  }
}

absl::Status Catalogue::Impl::AwaitModels(const std::set<std::string>& names, Clock::time_point deadline,
                                          Retries retries) {
  std::vector<std::string> failed;
  std::vector<std::string> late;
  const auto all_settled = [&] {
    failed.clear();
    late.clear();
    std::vector<std::string> waiting;
    for (const std::string& name : names) {
      const auto found = models_.find(name);
      const Outcome outcome = OutcomeOf(name, found == models_.end() ? nullptr : &found->second);
      if (outcome.available) continue;
      (outcome.settled ? failed : outcome.retries ? waiting : late).push_back(absl::StrCat("{", outcome.detail, "}"));
    }
    const bool any_available = failed.size() + late.size() + waiting.size() < names.size();
    auto& place = retries == Retries::kAwait || !any_available ? late : failed;
    place.insert(place.end(), waiting.begin(), waiting.end());
    return late.empty();
  };
  std::unique_lock lock(mu_);
  changed_.wait_until(lock, deadline, all_settled);
  if (late.empty() && failed.empty()) return absl::OkStatus();
  const bool in_time = late.empty();
  failed.insert(failed.end(), late.begin(), late.end());
  const std::string text =
      absl::StrCat(failed.size(), " model(s) did not become available: {", absl::StrJoin(failed, ", "), "}");
  return in_time ? absl::UnknownError(text) : absl::DeadlineExceededError(absl::StrCat(text, "; loading goes on"));
}

std::vector<Catalogue::Impl::Look> Catalogue::Impl::WhatToLookAt() const {
  const std::lock_guard lock(mu_);
  std::vector<Look> looks;
  for (const auto& [name, model] : models_) {
    if (!model.configured) continue;
    Look look{model.config, model.generation, {}, Scan()};
    for (const EntryPtr& entry : model.entries) {
      if (WaitsForRetry(*entry) || entry->state == VersionState::kEnd) look.stamps[entry];
    }
    looks.push_back(std::move(look));
  }
  return looks;
}

void Catalogue::Impl::PollOnce() {
  std::vector<Look> looks = WhatToLookAt();
  for (Look& look : looks) {
    look.scan = ScanVersions(look.config);
    for (auto& [entry, stamp] : look.stamps) stamp = FolderStamp(entry->folder);
  }
  {
    const std::lock_guard lock(mu_);
    for (const Look& look : looks) {
      const auto found = models_.find(look.config.name);
      if (found == models_.end() || found->second.generation != look.generation) continue;
      for (const auto& [entry, stamp] : look.stamps) lifecycle_.RetryIfChanged(entry, stamp);
      Apply(found->second, look.scan);
    }
    Changed();
  }
  log_.Flush();
}

void Catalogue::Impl::Poll() {
  PollOnce();
  poll_pool_.AddAt(Clock::now() + absl::ToChronoNanoseconds(options_.poll), [this] { Poll(); });
}

void Catalogue::Impl::Apply(Model& model, const absl::StatusOr<Scan>& scan) {
  const std::string& name = model.config.name;
  if (!scan.ok()) {
    // What is loaded stays: a disk that is away for a moment must not end the service.
    if (!model.unreadable) Say(name, absl::StrCat(scan.status().message(), "; what is loaded stays"));
    model.unreadable = true;
    return;
  }
  if (model.unreadable) Say(name, absl::StrCat("base path ", model.config.base_path, " can be read again"));
  model.unreadable = false;
  for (const std::string& warning : scan->warnings) {
    const auto& known = model.warnings;
    if (std::find(known.begin(), known.end(), warning) == known.end()) Say(name, warning);
  }
  model.warnings = scan->warnings;
  Aspire(model, *scan, "it is not on disk any more, or the version policy does not choose it");
  lifecycle_.Step(model);
}

// Gives requests what is available now, and wakes those that wait for models.
void Catalogue::Impl::Changed() {
  Served::Table table;
  for (const auto& [name, model] : models_) {
    if (!model.configured) continue;  // its versions are on their way out
    ServedModel& served = table[name];
    served.labels = model.config.labels;
    for (const EntryPtr& entry : model.entries) {
      if (entry->servable == nullptr) continue;
      std::shared_ptr<Servable>& place = served.versions[entry->id.version];
      if (place == nullptr || entry->aspired) place = entry->servable;
    }
  }
  served_.Replace(std::move(table));
  changed_.notify_all();
}

std::vector<VersionStatus> Catalogue::Impl::Statuses(const std::string& name) const {
  const std::lock_guard lock(mu_);
  const auto found = models_.find(name);
  return found == models_.end() ? std::vector<VersionStatus>() : StatusList(found->second);
}

std::vector<ModelReport> Catalogue::Impl::Report() const {
  const std::lock_guard lock(mu_);
  std::vector<ModelReport> reports;
  for (const auto& [name, model] : models_) {
    if (!model.configured && model.entries.empty()) continue;
    reports.push_back({name, model.config.base_path, model.config.labels, StatusList(model)});
  }
  return reports;
}

void Catalogue::Impl::Say(const std::string& name, const std::string& text) {
  log_.Add(absl::StrCat("model ", name, ": ", text));
}

Catalogue::Catalogue(Options options, Loader& loader) : impl_(std::make_unique<Impl>(std::move(options), loader)) {}

Catalogue::~Catalogue() = default;

absl::Status Catalogue::SetConfig(const ModelConfigs& configs, absl::Time deadline, Retries retries) {
  return impl_->SetConfig(configs, deadline, retries);
}

void Catalogue::PollOnce() { impl_->PollOnce(); }

absl::StatusOr<ServableHandle> Catalogue::Find(const ModelSpec& spec) const { return impl_->served().Find(spec); }

absl::StatusOr<std::vector<VersionStatus>> Catalogue::Statuses(const ModelSpec& spec) const {
  std::optional<int64_t> version = spec.version;
  if (!spec.label.empty()) {
    absl::StatusOr<int64_t> labelled = impl_->served().VersionOfLabel(spec);
    if (!labelled.ok()) return labelled.status();
    version = *labelled;
  }
  std::vector<VersionStatus> all = impl_->Statuses(spec.name);
  if (!version) {
    if (!all.empty()) return all;
    return absl::NotFoundError(absl::StrCat("Could not find any versions of model ", spec.name));
  }
  for (const VersionStatus& status : all) {
    if (status.version == *version) return std::vector<VersionStatus>{status};
  }
  return absl::NotFoundError(absl::StrCat("Could not find version ", *version, " of model ", spec.name));
}

std::vector<ModelReport> Catalogue::Report() const { return impl_->Report(); }

bool Catalogue::Ready() const { return impl_->served().Ready(); }

bool IsInForce(const absl::Status& status) {
  return status.ok() || absl::IsUnknown(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace ems
