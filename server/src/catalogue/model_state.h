// The versions of a model in the catalogue, each with its state.
#ifndef EMS_CATALOGUE_MODEL_STATE_H_
#define EMS_CATALOGUE_MODEL_STATE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "catalogue/catalogue.h"
#include "catalogue/config.h"
#include "catalogue/policy.h"
#include "catalogue/versions.h"
#include "model/servable.h"

namespace ems {

struct Model;

// A version in a folder. The same number in another folder is another entry: the new one is loaded before the old goes.
struct Entry {
  Model* model = nullptr;  // stays where it is while it has entries
  ServableId id;
  std::string folder;
  VersionState state = VersionState::kStart;
  bool aspired = true;  // the configuration and the disk ask for it
  std::string reason;   // why it is not aspired, for the log

  bool pending = false;      // a load is scheduled and has not begun
  uint64_t ticket = 0;       // of the last load that was scheduled; older ones do nothing
  int tries = 0;             // that failed
  absl::Status error;        // of the last one
  std::string failed_stamp;  // of the folder before the last try
  std::string seen_stamp;    // of the folder at the last poll

  std::shared_ptr<Servable> servable;  // while the state is kAvailable
};

using EntryPtr = std::shared_ptr<Entry>;

struct Model {
  ModelConfig config;
  bool configured = false;  // otherwise it was removed, and some versions may still be on their way out
  uint64_t generation = 0;  // of the configuration; a scan for an older one counts no more
  uint64_t removal = 0;     // the number of the removal, where it was removed
  std::vector<EntryPtr> entries;
  std::deque<VersionStatus> ended;    // the last ones, oldest first, for Statuses
  bool unreadable = false;            // the base path, at the last scan
  std::vector<std::string> warnings;  // of the last scan: each is logged once
};

// So many versions that ended are listed. TensorFlow Serving lists all since its start, which grows without end.
inline constexpr size_t kEndedVersions = 16;

// Aspires exactly these versions: known ones stay, new ones become entries. `reason` is for those that are not among
// them: "the model was removed".
void Aspire(Model& model, const Scan& scan, const std::string& reason);

// Takes an entry that is at its end out of the model, and remembers its state.
void Retire(Model& model, EntryPtr entry);

std::vector<Candidate> Candidates(const Model& model);

// Returns the states, highest version first. Of two entries of a version, the one that serves counts.
std::vector<VersionStatus> StatusList(const Model& model);

bool IsAvailable(const Model& model, int64_t version);

// Returns whether a version failed to load and waits for its next try.
bool WaitsForRetry(const Entry& entry);

// Returns whether waiting for a version is of use: true once one is available or none can be any more.
struct Outcome {
  bool settled = false;
  bool available = false;
  bool retries = false;  // all that could become available failed, and are tried again
  std::string detail;    // why none is available
};
Outcome OutcomeOf(const std::string& name, const Model* model);  // null: unknown by now

}  // namespace ems

#endif  // EMS_CATALOGUE_MODEL_STATE_H_
