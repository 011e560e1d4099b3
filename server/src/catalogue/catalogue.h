// The catalogue: versions are found on disk, loaded, found by requests, and unloaded when the last request is done.
#ifndef EMS_CATALOGUE_CATALOGUE_H_
#define EMS_CATALOGUE_CATALOGUE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "catalogue/config.h"
#include "model/servable.h"

namespace ems {

// Which version a client asks for: the latest, a number or a label (not both).
struct ModelSpec {
  std::string name;
  std::optional<int64_t> version;
  std::string label;
};

// The states of tensorflow.serving.ModelVersionStatus, with its numbers.
enum class VersionState : int { kUnknown = 0, kStart = 10, kLoading = 20, kAvailable = 30, kUnloading = 40, kEnd = 50 };

struct VersionStatus {
  int64_t version = 0;
  VersionState state = VersionState::kUnknown;
  absl::Status error;  // why loading failed, at the last of the tries so far; OK otherwise
};

// A version in use. The version stays loaded while a handle exists. Letting the last one go is cheap: the version is
// destroyed in a thread of the catalogue.
struct ServableHandle {
  ServableId id;
  std::shared_ptr<Servable> servable;
};

// One model for the status page and metrics.
struct ModelReport {
  std::string name;
  std::string base_path;
  std::map<std::string, int64_t> labels;
  std::vector<VersionStatus> versions;  // highest first
};

class Catalogue {
 public:
  struct Options {
    absl::Duration poll = absl::Seconds(1);  // of base paths; zero: once, negative: never again after SetConfig
    int num_load_threads = 0;                // 0: one for each core
    int num_unload_threads = 0;
    int max_load_retries = 5;
    absl::Duration load_retry_interval = absl::Minutes(1);
    bool allow_labels_for_unavailable_versions = false;
    // Availability: a new version is loaded before an old one goes. Otherwise the old one goes first, for boards whose
    // memory does not hold both.
    bool keep_available = true;
    std::function<void(const std::string& line)> log;  // a line for each change of state
  };

  // `loader` must outlive the catalogue.
  Catalogue(Options options, Loader& loader);
  // Stops polling, unloads all, and waits until the last handle is gone.
  ~Catalogue();

  // Whether SetConfig waits for a model that failed to load and is tried again later.
  enum class Retries : uint8_t {
    kAwait,
    kPassOver,  // not while another model is available
  };

  // Serves exactly these models from now on. Blocks until each new model has a version that is available or has given
  // up, or `deadline` has passed.
  //
  // Refused as a whole, with the old configuration kept: INVALID_ARGUMENT for a name twice; FAILED_PRECONDITION for a
  // new label of a version that is not available, of a model that is known (see 3.4 of the facts); NOT_FOUND,
  // PERMISSION_DENIED or FAILED_PRECONDITION for the base path of a model that is new, or that has another base path
  // now. In force, but not well: UNKNOWN "1 model(s) did not become available: ..." with each reason, for a new model
  // that has no version or whose versions all failed to load; DEADLINE_EXCEEDED. IsInForce tells the two kinds apart.
  absl::Status SetConfig(const ModelConfigs& configs, absl::Time deadline, Retries retries = Retries::kAwait);

  // Looks at the base paths now, as each poll does.
  void PollOnce();

  // Finds a version that is available. Errors and texts are TensorFlow Serving's:
  // NOT_FOUND "Servable not found for request: Latest(x)" or "Specific(x, 9)";
  // INVALID_ARGUMENT "ModelSpec has no name specified." or "Unrecognized servable version label: L".
  absl::StatusOr<ServableHandle> Find(const ModelSpec& spec) const;

  // Returns the versions of a model, highest first, or the one that `spec` names. The last 16 versions that ended are
  // among them, and so are those of the last 64 models that were removed.
  // NOT_FOUND "Could not find any versions of model x" or "Could not find version 9 of model x".
  absl::StatusOr<std::vector<VersionStatus>> Statuses(const ModelSpec& spec) const;

  std::vector<ModelReport> Report() const;

  // Returns whether every configured model has a version that is available.
  bool Ready() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Returns whether a status of SetConfig means that the new configuration is in force.
bool IsInForce(const absl::Status& status);

}  // namespace ems

#endif  // EMS_CATALOGUE_CATALOGUE_H_
