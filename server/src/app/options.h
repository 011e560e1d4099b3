// The flags: those of tensorflow_model_server and our own, as the options of each module.
#ifndef EMS_APP_OPTIONS_H_
#define EMS_APP_OPTIONS_H_

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "batching/settings.h"
#include "catalogue/catalogue.h"
#include "catalogue/config.h"
#include "grpc/server.h"
#include "http/server.h"
#include "loader/loader.h"
#include "rest/rest.h"

namespace ems {

// How the program ends; `--help` lists them too.
enum ExitCode : int {
  kExitOk = 0,         // stopped as asked, or the check passed
  kExitInternal = 1,   // a mistake of ours
  kExitConfig = 2,     // a flag, or a file that a flag names
  kExitModels = 3,     // a base path is missing at the start, or no model could be loaded
  kExitListening = 4,  // a port or a socket is taken or not permitted
};

struct ComputeOptions {
  int pools = 0;  // interpreters of a model on the CPU; 0: one for each core
  int threads = 1;
  int queue = 100;
  std::optional<int> memory_limit_mb;  // 0: none; not given: that of the control group
  std::string delegate;                // empty: the CPU alone
  std::vector<std::pair<std::string, std::string>> delegate_options;
  std::vector<std::string> devices;  // "usb:0", "pci:1", "auto", "cpu"
  bool delegate_for_all = false;     // models without custom operators go to the devices too
  std::string worker;                // path of edge_model_worker; empty: beside this program
  // Which models on the CPU have processes of their own.
  LoaderOptions::Isolate isolate = LoaderOptions::Isolate::kAuto;
};

struct WarmupOptions {
  bool enabled = true;
  int iterations = 1;
};

struct BatchingOptions {
  bool enabled = false;
  std::string file;
  bool per_model = false;
  BatchingSettings settings;  // of the file
};

struct Options {
  GrpcOptions grpc;
  HttpServer::Options http;
  bool serve_http = true;
  RestOptions rest;
  std::string monitoring_config_file;
  bool metrics_by_default = true;
  Catalogue::Options catalogue;
  ComputeOptions compute;
  WarmupOptions warmup;
  BatchingOptions batching;

  // Either a file or a model.
  std::string model_config_file;
  absl::Duration model_config_poll = absl::ZeroDuration();  // zero: read once
  std::string model_name = "default";
  std::string model_base_path;

  absl::Duration start_timeout = absl::Seconds(60);
  absl::Duration shutdown_grace = absl::Seconds(20);
  bool check = false;

  std::vector<std::string> notes;  // lines for the log: flags that were given and have no effect here
};

// What `--help` or `--version` asked for.
struct Printed {
  std::string text;
};

// Parses the command line. The program's name decides the defaults: under the name tensorflow_model_server they are
// TensorFlow Serving's (no REST port, metrics only with a monitoring_config_file). An unknown flag, a value that does
// not fit, or a flag whose effect this server does not have is INVALID_ARGUMENT with what to do.
absl::StatusOr<std::variant<Options, Printed>> ParseOptions(int argc, const char* const* argv);

// Returns the models that the options name: of the file, or the single one. Errors of catalogue/config.h.
absl::StatusOr<ModelConfigs> ReadModels(const Options& options);

// Reads the files of monitoring and batching and completes `options` by them. INVALID_ARGUMENT with the file.
absl::Status ReadFiles(Options* options);

}  // namespace ems

#endif  // EMS_APP_OPTIONS_H_
