// The life of a version: start, loading with retries, available, unloading, end.
#ifndef EMS_CATALOGUE_LIFECYCLE_H_
#define EMS_CATALOGUE_LIFECYCLE_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "catalogue/catalogue.h"
#include "catalogue/model_state.h"
#include "catalogue/ordered_log.h"
#include "catalogue/task_pool.h"
#include "model/servable.h"

namespace ems {

// Loads and unloads the versions of models, in threads of its own, in the order that the policy asks for.
class Lifecycle {
 public:
  // `mu` guards all models. `changed` is called with it held, whenever a version has changed its state by itself.
  Lifecycle(const Catalogue::Options& options, Loader& loader, std::mutex& mu, OrderedLog& log,
            std::function<void()> changed);

  // What follows needs `mu`, but for Stop.

  // Starts the loads and unloads that are due now. To be called after Aspire.
  void Step(Model& model);

  // Takes a look at the folder of a version that failed to load. It is loaded again at once when its files have changed
  // since, and stayed the same from one look to the next: they were being copied, and are complete by now.
  void RetryIfChanged(const EntryPtr& entry, const std::string& stamp);

  // Waits for the loads and unloads that run. All models must be without entries.
  void Stop();

 private:
  void DropUnwanted(Model& model);
  void ScheduleLoad(const EntryPtr& entry, TaskPool::Clock::time_point due);
  void StartUnload(const EntryPtr& entry);
  void LoadFailed(const EntryPtr& entry, const absl::Status& status);
  void Say(const Entry& entry, const std::string& text);

  // The tasks; without mu_.
  void Load(const EntryPtr& entry, uint64_t ticket);
  void Loaded(const EntryPtr& entry, const std::string& stamp, absl::StatusOr<std::unique_ptr<Servable>> servable);
  void Unload(const EntryPtr& entry, std::unique_ptr<Servable> servable);

  const bool keep_available_;
  const int max_retries_;
  const absl::Duration retry_interval_;
  Loader& loader_;
  std::mutex& mu_;
  OrderedLog& log_;
  const std::function<void()> changed_;
  TaskPool load_pool_;
  TaskPool unload_pool_;
};

}  // namespace ems

#endif  // EMS_CATALOGUE_LIFECYCLE_H_
