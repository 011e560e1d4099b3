#include "app/run.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <future>
#include <initializer_list>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "api/api.h"
#include "app/backends.h"
#include "app/limits.h"
#include "app/log.h"
#include "app/supervisor.h"
#include "base/clock.h"
#include "catalogue/config_file_poller.h"
#include "grpc/listen.h"
#include "grpc/tls.h"

namespace ems {

namespace {

void LogNote(const std::string& line) { Log(Severity::kInfo, line); }

ExitCode Fail(ExitCode code, const absl::Status& status) {
  Log(Severity::kError, std::string(status.message()));
  return code;
}

sigset_t Signals(std::initializer_list<int> numbers) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : numbers) sigaddset(&signals, number);
  return signals;
}

// Signals are taken by the main thread alone, one after another.
sigset_t BlockSignals() {
  const sigset_t signals = Signals({SIGTERM, SIGINT, SIGHUP});
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Leaves files to models, devices and gRPC where a process may not open many.
void LimitConnections(uint64_t files, HttpServer::Options* http) {
  constexpr uint64_t kOthers = 256;
  if (files < kOthers + static_cast<uint64_t>(http->most_connections)) {
    http->most_connections = files < 2 * kOthers ? kOthers : static_cast<int>(files - kOthers);
  }
}

// Ends the program where ending in order takes too long: a run cannot be interrupted.
class LastResort {
 public:
  explicit LastResort(absl::Duration limit)
      : thread_([this, limit] {
          if (done_.WaitForNotificationWithTimeout(limit)) return;
          Log(Severity::kWarning, "requests still run after --shutdown_grace_seconds; they are cut off");
          _exit(kExitOk);
        }) {}
  ~LastResort() {
    done_.Notify();
    thread_.join();
  }

 private:
  absl::Notification done_;
  std::thread thread_;
};

// What is loaded, in words.
std::string Summary(const Catalogue& catalogue) {
  int available = 0;
  int models = 0;
  for (const ModelReport& model : catalogue.Report()) {
    ++models;
    for (const VersionStatus& version : model.versions) {
      if (version.state == VersionState::kAvailable) {
        ++available;
        break;
      }
    }
  }
  return absl::StrCat("models available: ", available, " of ", models);
}

bool AnyAvailable(const Catalogue& catalogue) {
  for (const ModelReport& model : catalogue.Report()) {
    for (const VersionStatus& version : model.versions) {
      if (version.state == VersionState::kAvailable) return true;
    }
  }
  return false;
}

// The parts in the order in which they are made; they end in the other order.
class Program {
 public:
  explicit Program(Options options)
      : options_(std::move(options)),
        backends_(MakeBackends(options_, metrics_, LogNote)),
        catalogue_(WithLog(options_.catalogue), *backends_.loader),
        api_(catalogue_, metrics_) {
    metrics_.SetSource([this] { return ReadSamples(backends_.devices.get(), catalogue_); });
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() { metrics_.SetSource(nullptr); }

  // Waits for the models. A model that fails beside others that load is no reason not to serve those. As no request
  // runs, `stopping` signals end the program at once meanwhile.
  ExitCode LoadModels(const ModelConfigs& configs, const sigset_t& stopping) {
    NotifyStatus("models are loading");
    // On a thread of its own: the threads that it starts keep the signals blocked for good.
    std::future<absl::Status> loading = std::async(std::launch::async, [&] {
      return catalogue_.SetConfig(configs, SteadyNow() + options_.start_timeout, Catalogue::Retries::kPassOver);
    });
    pthread_sigmask(SIG_UNBLOCK, &stopping, nullptr);
    loading.wait();
    pthread_sigmask(SIG_BLOCK, &stopping, nullptr);
    const absl::Status status = loading.get();
    if (status.ok()) return kExitOk;
    if (absl::IsDeadlineExceeded(status)) {
      Log(Severity::kWarning, "models still load after --start_timeout_seconds; the ports open all the same");
      return kExitOk;
    }
    if (!IsInForce(status)) return Fail(absl::IsInvalidArgument(status) ? kExitConfig : kExitModels, status);
    if (!AnyAvailable(catalogue_)) return Fail(kExitModels, status);
    Log(Severity::kError, std::string(status.message()));
    return kExitOk;
  }

  ExitCode Listen() {
    absl::StatusOr<std::unique_ptr<GrpcServer>> grpc = StartGrpc();
    if (!grpc.ok()) return Fail(Listening(grpc.status()), grpc.status());
    grpc_ = *std::move(grpc);
    if (!options_.serve_http) return kExitOk;
    rest_ = std::make_unique<Rest>(api_, options_.rest);
    absl::StatusOr<std::unique_ptr<HttpServer>> http =
        HttpServer::Start(options_.http, [this](const HttpRequest& request) { return rest_->Handle(request); });
    if (!http.ok()) return Fail(Listening(http.status()), http.status());
    http_ = *std::move(http);
    return kExitOk;
  }

  // `config_text` is the content of the file that is in force.
  void Serve(const sigset_t& signals, const std::string& config_text) {
    std::optional<ConfigFilePoller> poller;
    if (!options_.model_config_file.empty()) {
      poller.emplace(
          ConfigFilePoller::Options{options_.model_config_file, config_text, options_.model_config_poll, LogNote},
          catalogue_);
    }
    // The locks of the catalogue and of the devices are those that every request takes.
    const Watchdog watchdog([this] {
      NotifyStatus(Summary(catalogue_));
      if (backends_.devices != nullptr) backends_.devices->Report();
    });
    Log(Severity::kInfo, absl::StrCat("serving ", Where(), "; ", Summary(catalogue_)));
    NotifyReady(Summary(catalogue_));
    int signal = 0;
    while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
      if (poller) poller->Reload();
    }
    // From now on the next signal ends the program at once, as if it were never handled.
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    Log(Severity::kInfo, "stopping: requests that run are ended");
    NotifyStopping();
    last_resort_ = std::make_unique<LastResort>(options_.shutdown_grace + absl::Seconds(1));
    const absl::Time deadline = SteadyNow() + options_.shutdown_grace;
    if (grpc_ != nullptr) grpc_->SetServing(false);
    http_ = nullptr;
    if (grpc_ != nullptr) grpc_->Stop(deadline);
  }

 private:
  static Catalogue::Options WithLog(Catalogue::Options options) {
    options.log = LogNote;
    return options;
  }

  static ExitCode Listening(const absl::Status& status) {
    return absl::IsFailedPrecondition(status) ? kExitListening : kExitConfig;
  }

  absl::StatusOr<std::unique_ptr<GrpcServer>> StartGrpc() {
    if (options_.grpc.address.empty() && options_.grpc.socket_path.empty()) return nullptr;
    return GrpcServer::Start(options_.grpc, api_);
  }

  std::string Where() const {
    std::string where;
    const auto add = [&where](const std::string& text) { absl::StrAppend(&where, where.empty() ? "" : ", ", text); };
    if (!options_.grpc.address.empty()) {
      add(absl::StrCat("gRPC on ", HostPort(options_.grpc.address, grpc_->port()),
                       options_.grpc.ssl_config_file.empty() ? "" : " with TLS"));
    }
    if (!options_.grpc.socket_path.empty()) add(absl::StrCat("gRPC on ", options_.grpc.socket_path));
    if (http_ != nullptr) {
      const std::string address = options_.http.address.empty() ? "0.0.0.0" : options_.http.address;
      add(absl::StrCat("REST on ", HostPort(address, http_->port())));
    }
    return where;
  }

  Options options_;
  std::unique_ptr<LastResort> last_resort_;  // first, so that it watches the others end
  Metrics metrics_;
  Backends backends_;
  Catalogue catalogue_;
  Api api_;
  std::unique_ptr<Rest> rest_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<GrpcServer> grpc_;
};

// Reads all files that flags name, and returns the models. A wrong one is said before models are loaded, which can take
// long.
absl::StatusOr<ModelConfigs> ReadAll(Options* options) {
  if (absl::Status status = ReadFiles(options); !status.ok()) return status;
  if (!options->grpc.ssl_config_file.empty()) {
    if (absl::Status status = ReadTlsCredentials(options->grpc.ssl_config_file).status(); !status.ok()) return status;
  }
  return ReadModels(*options);
}

}  // namespace

ExitCode Run(Options options) {
  for (const std::string& note : options.notes) Log(Severity::kWarning, note);
  // Read before the configuration is: a change in between is seen by the next poll.
  const std::string config_text = ReadTextFile(options.model_config_file).value_or("");
  const absl::StatusOr<ModelConfigs> configs = ReadAll(&options);
  if (!configs.ok()) return Fail(kExitConfig, configs.status());
  const sigset_t signals = BlockSignals();
  TakeOverGrpcLog();
  LimitConnections(RaiseFileLimit(), &options.http);
  // Loading can take long; a port that is taken is said before.
  if (!options.grpc.address.empty()) {
    const absl::Status free = CheckPort(options.grpc.address, options.grpc.port, "--port");
    if (!free.ok()) return Fail(absl::IsInvalidArgument(free) ? kExitConfig : kExitListening, free);
  }
  if (options.serve_http) {
    const std::string address = options.http.address.empty() ? "0.0.0.0" : options.http.address;
    const absl::Status free = CheckPort(address, options.http.port, "--rest_api_port");
    if (!free.ok()) return Fail(absl::IsInvalidArgument(free) ? kExitConfig : kExitListening, free);
  }
  Program program(std::move(options));
  if (const ExitCode code = program.LoadModels(*configs, Signals({SIGTERM, SIGINT})); code != kExitOk) return code;
  if (const ExitCode code = program.Listen(); code != kExitOk) return code;
  program.Serve(signals, config_text);
  return kExitOk;
}

namespace {

std::string Policy(const VersionPolicy& policy) {
  switch (policy.kind) {
    case VersionPolicy::Kind::kAll:
      return "all versions";
    case VersionPolicy::Kind::kSpecific: {
      std::string text = "versions";
      for (const int64_t version : policy.specific) absl::StrAppend(&text, " ", version);
      return text;
    }
    default:
      return policy.latest == 1 ? "the latest version" : absl::StrCat("the latest ", policy.latest, " versions");
  }
}

}  // namespace

ExitCode Check(Options options) {
  for (const std::string& note : options.notes) Log(Severity::kWarning, note);
  const absl::StatusOr<ModelConfigs> configs = ReadAll(&options);
  if (!configs.ok()) return Fail(kExitConfig, configs.status());
  ExitCode code = kExitOk;
  for (const ModelConfig& model : *configs) {
    std::cout << model.name << ": " << Policy(model.policy) << " in " << model.base_path << '\n';
    std::error_code error;
    if (!std::filesystem::is_directory(model.base_path, error)) {
      code = Fail(kExitConfig, absl::NotFoundError(absl::StrCat(model.name, ": no folder ", model.base_path,
                                                                "; create it, or correct base_path")));
    }
  }
  return code;
}

}  // namespace ems
