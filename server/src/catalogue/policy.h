// The order in which versions come and go.
#ifndef EMS_CATALOGUE_POLICY_H_
#define EMS_CATALOGUE_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ems {

// A version of a model as the policies see it.
struct Candidate {
  enum class Stage { kNew, kLoading, kReady, kUnloading, kEnded };
  int64_t version = 0;
  Stage stage = Stage::kNew;
  bool aspired = true;  // the configuration and the disk ask for it
};

struct Action {
  enum class Kind { kLoad, kUnload };
  Kind kind = Kind::kLoad;
  size_t index = 0;  // of the candidate
};

// Returns what to do next with the versions of a model, or nothing until one of them changes.
//
// keep_available: new versions are loaded, highest first; a version that is not aspired any more goes, lowest first,
// when an aspired one is ready, or none is aspired, or another that is not aspired still serves.
// Otherwise what is not aspired goes first, and a new version is loaded when all of it is gone.
std::optional<Action> NextAction(const std::vector<Candidate>& candidates, bool keep_available);

}  // namespace ems

#endif  // EMS_CATALOGUE_POLICY_H_
