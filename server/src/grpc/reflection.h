// gRPC's server reflection: tells clients such as grpcurl the services and their messages. gRPC's own one is a
// synchronous service, whose threads would poll beside ours.
#ifndef EMS_GRPC_REFLECTION_H_
#define EMS_GRPC_REFLECTION_H_

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ems/reflection.grpc.pb.h"
#include "grpc/call_threads.h"

namespace ems {

// Thread-safe.
class Reflection {
 public:
  // `services` are the full names of what the server serves.
  explicit Reflection(std::vector<std::string> services) : services_(std::move(services)) {}
  Reflection(const Reflection&) = delete;
  Reflection& operator=(const Reflection&) = delete;

  grpc::Service* service() { return &service_; }
  // Takes calls from now on. The object must outlive the threads.
  void Serve(CallThreads& threads);
  // Ends the calls: a client that asks nothing more must not hold up the server's end.
  void End();

 private:
  class Session;
  friend class Session;

  grpc::reflection::v1alpha::ServerReflectionResponse Answer(
      const grpc::reflection::v1alpha::ServerReflectionRequest& request) const;

  const std::vector<std::string> services_;
  grpc::reflection::v1alpha::ServerReflection::AsyncService service_;
  std::mutex mutex_;
  std::set<Session*> sessions_;  // guarded by mutex_, as what follows
  bool ended_ = false;
};

}  // namespace ems

#endif  // EMS_GRPC_REFLECTION_H_
