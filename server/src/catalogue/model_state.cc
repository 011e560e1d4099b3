#include "catalogue/model_state.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ems {
namespace {

// Which of two entries of a version its status is about: the one that serves, then the one that will.
int Rank(VersionState state) {
  switch (state) {
    case VersionState::kAvailable:
      return 4;
    case VersionState::kLoading:
      return 3;
    case VersionState::kStart:
      return 2;
    case VersionState::kUnloading:
      return 1;
    default:
      return 0;
  }
}

Candidate::Stage StageOf(const Entry& entry) {
  switch (entry.state) {
    case VersionState::kStart:
      return entry.pending ? Candidate::Stage::kLoading : Candidate::Stage::kNew;
    case VersionState::kLoading:
      return Candidate::Stage::kLoading;
    case VersionState::kAvailable:
      return Candidate::Stage::kReady;
    case VersionState::kUnloading:
      return Candidate::Stage::kUnloading;
    default:
      return Candidate::Stage::kEnded;
  }
}

EntryPtr FindEntry(const Model& model, int64_t version, const std::string& folder) {
  for (const EntryPtr& entry : model.entries) {
    // An entry on its way out does not come back; another is made beside it.
    if (entry->id.version == version && entry->folder == folder && entry->state != VersionState::kUnloading) {
      return entry;
    }
  }
  return nullptr;
}

}  // namespace

void Aspire(Model& model, const Scan& scan, const std::string& reason) {
  for (const EntryPtr& entry : model.entries) {
    entry->aspired = false;
    entry->reason = reason;
  }
  for (const auto& [version, folder] : scan.folders) {
    EntryPtr entry = FindEntry(model, version, folder);
    if (entry == nullptr) {
      entry = std::make_shared<Entry>();
      entry->model = &model;
      entry->id = {model.config.name, version};
      entry->folder = folder;
      model.entries.push_back(entry);
    }
    entry->aspired = true;
  }
}

// By value: a reference may be to the element that goes.
void Retire(Model& model, EntryPtr entry) {  // NOLINT(performance-unnecessary-value-param)
  entry->state = VersionState::kEnd;
  const int64_t version = entry->id.version;
  auto& ended = model.ended;
  ended.erase(std::remove_if(ended.begin(), ended.end(), [&](const auto& status) { return status.version == version; }),
              ended.end());
  ended.push_back({version, VersionState::kEnd, entry->error});
  if (ended.size() > kEndedVersions) ended.pop_front();
  model.entries.erase(std::remove(model.entries.begin(), model.entries.end(), entry), model.entries.end());
}

std::vector<Candidate> Candidates(const Model& model) {
  std::vector<Candidate> candidates;
  candidates.reserve(model.entries.size());
  for (const EntryPtr& entry : model.entries) {
    candidates.push_back({entry->id.version, StageOf(*entry), entry->aspired});
  }
  return candidates;
}

std::vector<VersionStatus> StatusList(const Model& model) {
  std::map<int64_t, VersionStatus, std::greater<>> states;
  for (const VersionStatus& status : model.ended) states[status.version] = status;
  for (const EntryPtr& entry : model.entries) {
    auto [place, is_new] = states.try_emplace(entry->id.version);
    if (is_new || Rank(entry->state) >= Rank(place->second.state)) {
      place->second = {entry->id.version, entry->state, entry->error};
    }
  }
  std::vector<VersionStatus> list;
  list.reserve(states.size());
  for (auto& [version, status] : states) list.push_back(std::move(status));
  return list;
}

bool IsAvailable(const Model& model, int64_t version) {
  return std::any_of(model.entries.begin(), model.entries.end(), [&](const EntryPtr& entry) {
    return entry->id.version == version && entry->state == VersionState::kAvailable;
  });
}

bool WaitsForRetry(const Entry& entry) { return entry.state == VersionState::kLoading && entry.pending; }

Outcome OutcomeOf(const std::string& name, const Model* model) {
  if (model == nullptr || !model->configured) {
    return {true, false, false, absl::StrCat("{name: ", name, "} was removed by a later configuration")};
  }
  Outcome outcome{true, false, false,
                  absl::StrCat("{name: ", name, "} has no versions under ", model->config.base_path)};
  const Entry* highest = nullptr;
  outcome.retries = true;
  for (const EntryPtr& entry : model->entries) {
    if (!entry->aspired) continue;
    if (entry->state == VersionState::kAvailable) return {true, true, false, ""};
    if (entry->state != VersionState::kEnd) outcome.settled = false;
    if (entry->state != VersionState::kEnd && !WaitsForRetry(*entry)) outcome.retries = false;
    if (highest == nullptr || entry->id.version > highest->id.version) highest = entry.get();
  }
  if (highest != nullptr) {
    outcome.detail = absl::StrCat("{name: ", name, " version: ", highest->id.version, "}");
    if (!highest->error.ok()) absl::StrAppend(&outcome.detail, " due to error: ", highest->error.ToString());
  }
  return outcome;
}

}  // namespace ems
