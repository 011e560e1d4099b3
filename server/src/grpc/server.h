// The gRPC server: PredictionService, ModelService, health, reflection.
#ifndef EMS_GRPC_SERVER_H_
#define EMS_GRPC_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/api.h"

namespace ems {

struct GrpcOptions {
  std::string address = "0.0.0.0";  // empty: none
  int port = 8500;                  // 0: any free one, as port() returns
  std::string socket_path;          // a Unix socket beside it; empty: none
  int max_threads = 0;              // 0: 4 for each core
  size_t queue = 256;               // calls that wait for a thread; more are answered RESOURCE_EXHAUSTED
  std::string channel_arguments;    // --grpc_channel_arguments: key=value,...
  std::string ssl_config_file;      // empty: no TLS
  bool as_tensor_content = false;
  bool health = true;
};

class GrpcServer {
 public:
  // Listens and serves. FAILED_PRECONDITION where the port is taken; INVALID_ARGUMENT for certificates and arguments.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcOptions& options, Api& api);
  virtual ~GrpcServer() = default;

  virtual int port() const = 0;
  // Sets what the health service says of the server as a whole.
  virtual void SetServing(bool serving) = 0;
  // Lets requests end until `deadline`, then ends them.
  virtual void Stop(absl::Time deadline) = 0;
};

}  // namespace ems

#endif  // EMS_GRPC_SERVER_H_
