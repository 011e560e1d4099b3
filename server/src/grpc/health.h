// gRPC's health service. gRPC's own one runs on callback threads of its own, which poll beside ours and so make every
// call of every service dearer.
#ifndef EMS_GRPC_HEALTH_H_
#define EMS_GRPC_HEALTH_H_

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ems/health.grpc.pb.h"
#include "grpc/call_threads.h"

namespace ems {

// Thread-safe.
class Health {
 public:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;

  // Clients that watch at a time; more get RESOURCE_EXHAUSTED.
  static constexpr size_t kMostWatchers = 256;

  // `services` are the names that clients may ask for, besides the empty name. Until SetServing none serves.
  explicit Health(const std::vector<std::string>& services);
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;
  ~Health();  // after the threads have stopped

  grpc::Service* service() { return &service_; }
  // Takes calls from now on. The object must outlive the threads.
  void Serve(CallThreads& threads);

  // Sets the status of all names, and sends it to those who watch.
  void SetServing(bool serving);
  // Ends the calls of all who watch, with UNAVAILABLE, and of those who come later.
  void End();

 private:
  class Watcher;
  friend class Watcher;

  grpc::Status Check(const std::string& name, Status* status) const;
  Status StatusOf(const std::string& name) const;  // under mutex_, as what follows
  void UpdateAll();

  const std::set<std::string> names_;
  grpc::health::v1::Health::AsyncService service_;
  mutable std::mutex mutex_;
  std::set<Watcher*> watchers_;  // guarded by mutex_, as what follows
  bool serving_ = false;
  bool ended_ = false;
};

}  // namespace ems

#endif  // EMS_GRPC_HEALTH_H_
