#include "grpc/server.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "grpc/call_threads.h"
#include "grpc/health.h"
#include "grpc/listen.h"
#include "grpc/reflection.h"
#include "grpc/services.h"
#include "grpc/tls.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"

namespace ems {

namespace {

// A client may ping twice a second, during a call and without one. gRPC's defaults end the connection of a client that
// pings each second in a call of 8 s ("Too many pings"; section 3 of the facts of clusters).
constexpr int kLeastPingMilliseconds = 500;

ChannelArguments Defaults() {
  return {
      {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kLeastPingMilliseconds},
      {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
      // Otherwise two servers share a port, and each gets some of the connections.
      {GRPC_ARG_ALLOW_REUSEPORT, 0},
  };
}

int MostThreads(const GrpcOptions& options) {
  return options.max_threads > 0 ? options.max_threads
                                 : 4 * static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials(const GrpcOptions& options) {
  if (options.ssl_config_file.empty()) return grpc::InsecureServerCredentials();
  return ReadTlsCredentials(options.ssl_config_file);
}

absl::Status CheckAddresses(const GrpcOptions& options) {
  if (options.address.empty() && options.socket_path.empty()) {
    return absl::InvalidArgumentError("neither an address nor a Unix socket for gRPC");
  }
  if (!options.address.empty()) {
    if (absl::Status status = CheckPort(options.address, options.port, "--port"); !status.ok()) return status;
  }
  return options.socket_path.empty() ? absl::OkStatus() : CheckSocket(options.socket_path);
}

std::vector<std::string> Services(bool health) {
  std::vector<std::string> names = {tensorflow::serving::PredictionService::service_full_name(),
                                    tensorflow::serving::ModelService::service_full_name(),
                                    grpc::reflection::v1alpha::ServerReflection::service_full_name()};
  if (health) names.emplace_back(grpc::health::v1::Health::service_full_name());
  return names;
}

class Server final : public GrpcServer {
 public:
  Server(const GrpcOptions& options, Api& api)
      : prediction_(api, options.as_tensor_content),
        models_(api),
        health_({tensorflow::serving::PredictionService::service_full_name(),
                 tensorflow::serving::ModelService::service_full_name()}),
        reflection_(Services(options.health)),
        address_(options.address),
        port_(options.port) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() override { Stop(SteadyNow()); }

  absl::Status Start(const GrpcOptions& options) {
    absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> credentials = Credentials(options);
    if (!credentials.ok()) return credentials.status();
    if (absl::Status status = CheckAddresses(options); !status.ok()) return status;
    grpc::ServerBuilder builder;
    if (absl::Status status = Configure(options, &builder); !status.ok()) return status;
    if (!options.address.empty()) {
      builder.AddListeningPort(HostPort(options.address, options.port), *credentials, &port_);
    }
    if (!options.socket_path.empty()) {
      // Files guard the socket; TLS would only cost.
      builder.AddListeningPort("unix:" + options.socket_path, grpc::InsecureServerCredentials());
    }
    threads_ = std::make_unique<CallThreads>(builder.AddCompletionQueue(), MostThreads(options), options.queue);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat("gRPC cannot listen on ", HostPort(address_, options.port),
                                                        "; the lines of gRPC before this one say why"));
    }
    // As open to this machine as a port is, whatever the umask; the folder says who reaches it.
    if (!options.socket_path.empty() && chmod(options.socket_path.c_str(), 0666) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", options.socket_path, " to other users"));
    }
    prediction_.Serve(*threads_);
    models_.Serve(*threads_);
    reflection_.Serve(*threads_);
    if (options.health) health_.Serve(*threads_);
    SetServing(true);
    threads_->Start();
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  void SetServing(bool serving) override { health_.SetServing(serving); }

  void Stop(absl::Time deadline) override {
    if (server_ != nullptr) {
      // These two would last as long as their clients like.
      health_.End();
      reflection_.End();
      server_->Shutdown(absl::ToChronoTime(ToWallClock(deadline)));
    }
    if (threads_ != nullptr) threads_->Stop();
  }

 private:
  absl::Status Configure(const GrpcOptions& options, grpc::ServerBuilder* builder) {
    absl::StatusOr<ChannelArguments> arguments = ParseChannelArguments(options.channel_arguments);
    if (!arguments.ok()) return arguments.status();
    arguments->merge(Defaults());  // what the operator gave stays
    for (const auto& [key, setting] : *arguments) {
      std::visit([builder, &option = key](const auto& value) { builder->AddChannelArgument(option, value); }, setting);
    }
    builder->SetMaxReceiveMessageSize(std::numeric_limits<int32_t>::max());
    builder->RegisterService(prediction_.service());
    builder->RegisterService(models_.service());
    builder->RegisterService(reflection_.service());
    if (options.health) builder->RegisterService(health_.service());
    return absl::OkStatus();
  }

  PredictionService prediction_;
  ModelService models_;
  Health health_;
  Reflection reflection_;
  std::string address_;
  int port_;
  std::unique_ptr<CallThreads> threads_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcOptions& options, Api& api) {
  grpc::EnableDefaultHealthCheckService(false);
  auto server = std::make_unique<Server>(options, api);
  if (absl::Status status = server->Start(options); !status.ok()) return status;
  return server;
}

}  // namespace ems
