#include "catalogue/policy.h"

#include <algorithm>

namespace ems {
namespace {

using Stage = Candidate::Stage;

std::optional<Action> LoadHighest(const std::vector<Candidate>& candidates) {
  std::optional<Action> action;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    if (!candidate.aspired || candidate.stage != Stage::kNew) continue;
    if (!action || candidate.version > candidates[action->index].version) action = {Action::Kind::kLoad, i};
  }
  return action;
}

std::optional<Action> UnloadLowest(const std::vector<Candidate>& candidates) {
  std::optional<Action> action;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    if (candidate.aspired || candidate.stage != Stage::kReady) continue;
    if (!action || candidate.version < candidates[action->index].version) action = {Action::Kind::kUnload, i};
  }
  return action;
}

// The rule of availability_preserving_policy.cc.
bool MayUnload(const std::vector<Candidate>& candidates) {
  bool any_aspired = false;
  bool aspired_ready = false;
  int surplus = 0;
  for (const Candidate& candidate : candidates) {
    const bool ready = candidate.stage == Stage::kReady;
    any_aspired |= candidate.aspired;
    aspired_ready |= candidate.aspired && ready;
    surplus += !candidate.aspired && ready ? 1 : 0;
  }
  return !any_aspired || aspired_ready || surplus > 1;
}

bool AnyOnItsWayOut(const std::vector<Candidate>& candidates) {
  return std::any_of(candidates.begin(), candidates.end(),
                     [](const Candidate& candidate) { return !candidate.aspired && candidate.stage != Stage::kEnded; });
}

}  // namespace

std::optional<Action> NextAction(const std::vector<Candidate>& candidates, bool keep_available) {
  if (!keep_available || MayUnload(candidates)) {
    if (std::optional<Action> action = UnloadLowest(candidates)) return action;
  }
  // The rule of resource_preserving_policy.cc.
  if (!keep_available && AnyOnItsWayOut(candidates)) return std::nullopt;
  return LoadHighest(candidates);
}

}  // namespace ems
