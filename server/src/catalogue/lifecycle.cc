#include "catalogue/lifecycle.h"

#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "catalogue/policy.h"
#include "catalogue/versions.h"

namespace ems {

namespace {

using Clock = TaskPool::Clock;

}  // namespace

Lifecycle::Lifecycle(const Catalogue::Options& options, Loader& loader, std::mutex& mu, OrderedLog& log,
                     std::function<void()> changed)
    : keep_available_(options.keep_available),
      max_retries_(options.max_load_retries),
      retry_interval_(options.load_retry_interval),
      loader_(loader),
      mu_(mu),
      log_(log),
      changed_(std::move(changed)),
      load_pool_(options.num_load_threads),
      unload_pool_(options.num_unload_threads) {}

void Lifecycle::Stop() {
  load_pool_.Stop();
  unload_pool_.Stop();
}

void Lifecycle::Step(Model& model) {
  DropUnwanted(model);
  while (const std::optional<Action> action = NextAction(Candidates(model), keep_available_)) {
    const EntryPtr entry = model.entries[action->index];
    if (action->kind == Action::Kind::kLoad) {
      ScheduleLoad(entry, Clock::time_point::min());
    } else {
      StartUnload(entry);
    }
  }
}

// Ends what is not asked for any more and has not begun to load.
void Lifecycle::DropUnwanted(Model& model) {
  const std::vector<EntryPtr> entries = model.entries;  // Retire changes the list
  for (const EntryPtr& entry : entries) {
    const bool ended = entry->state == VersionState::kEnd;
    if (entry->aspired || !(ended || entry->state == VersionState::kStart || WaitsForRetry(*entry))) continue;
    if (!ended) Say(*entry, absl::StrCat("not loaded: ", entry->reason));
    entry->pending = false;
    Retire(model, entry);
  }
}

void Lifecycle::RetryIfChanged(const EntryPtr& entry, const std::string& stamp) {
  const bool gave_up = entry->state == VersionState::kEnd && entry->aspired;
  if ((!gave_up && !WaitsForRetry(*entry)) || stamp.empty()) return;
  const bool settled = stamp != entry->failed_stamp && stamp == entry->seen_stamp;
  entry->seen_stamp = stamp;
  if (!settled) return;
  entry->tries = 0;
  entry->state = VersionState::kLoading;
  Say(*entry, "its files have changed, loading again");
  ScheduleLoad(entry, Clock::time_point::min());
}

void Lifecycle::ScheduleLoad(const EntryPtr& entry, Clock::time_point due) {
  entry->pending = true;
  const uint64_t ticket = ++entry->ticket;
  load_pool_.AddAt(due, [this, entry, ticket] { Load(entry, ticket); });
}

// The version is destroyed when its last handle is gone, see Loaded.
void Lifecycle::StartUnload(const EntryPtr& entry) {
  entry->state = VersionState::kUnloading;
  entry->servable = nullptr;
  Say(*entry, absl::StrCat("unloading: ", entry->reason));
}

void Lifecycle::Load(const EntryPtr& entry, uint64_t ticket) {
  {
    const std::lock_guard lock(mu_);
    if (!entry->pending || entry->ticket != ticket) return;
    entry->pending = false;
    if (entry->state == VersionState::kStart) Say(*entry, absl::StrCat("loading from ", entry->folder));
    entry->state = VersionState::kLoading;
  }
  log_.Flush();
  // Before the load: a file that changes during it makes the stamp another.
  const std::string stamp = FolderStamp(entry->folder);
  try {
    Loaded(entry, stamp, loader_.Load(entry->id, entry->folder));
  } catch (const std::bad_alloc&) {
    Loaded(entry, stamp, absl::ResourceExhaustedError("out of memory"));
  }
}

void Lifecycle::Loaded(const EntryPtr& entry, const std::string& stamp,
                       absl::StatusOr<std::unique_ptr<Servable>> servable) {
  {
    const std::lock_guard lock(mu_);
    if (servable.ok()) {
      // The last handle may be a request's. Destroying a model takes long, so that it happens in the unload pool.
      entry->servable = std::shared_ptr<Servable>(servable->release(), [this, entry](Servable* last) {
        unload_pool_.Add([this, entry, last] { Unload(entry, std::unique_ptr<Servable>(last)); });
      });
      entry->state = VersionState::kAvailable;
      entry->error = absl::OkStatus();
      Say(*entry, "available");
    } else {
      entry->failed_stamp = stamp;
      LoadFailed(entry, servable.status());
    }
    Step(*entry->model);
    changed_();
  }
  log_.Flush();
}

void Lifecycle::LoadFailed(const EntryPtr& entry, const absl::Status& status) {
  entry->error = status;
  ++entry->tries;
  const int left = max_retries_ + 1 - entry->tries;
  if (!entry->aspired) {
    Say(*entry, absl::StrCat("not loaded: ", entry->reason));
    Retire(*entry->model, entry);
  } else if (left > 0) {
    Say(*entry, absl::StrCat("cannot load: ", status.message(), "; next try in ", absl::FormatDuration(retry_interval_),
                             ", ", left, " left"));
    ScheduleLoad(entry, Clock::now() + absl::ToChronoNanoseconds(retry_interval_));
  } else {
    entry->state = VersionState::kEnd;
    Say(*entry, absl::StrCat("gave up after ", entry->tries, entry->tries == 1 ? " try: " : " tries: ",
                             status.message(), "; correct the files, and it is loaded again"));
  }
}

void Lifecycle::Unload(const EntryPtr& entry, std::unique_ptr<Servable> servable) {
  servable = nullptr;
  {
    const std::lock_guard lock(mu_);
    Retire(*entry->model, entry);
    Say(*entry, "unloaded");
    Step(*entry->model);
    changed_();
  }
  log_.Flush();
}

void Lifecycle::Say(const Entry& entry, const std::string& text) {
  log_.Add(absl::StrCat("model ", entry.id.name, " version ", entry.id.version, ": ", text));
}

}  // namespace ems
