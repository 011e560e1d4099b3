#include "app/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <numeric>
#include <sstream>
#include <string_view>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "app/foreign_flags.h"
#include "codec/text_proto.h"
#include "ems/server_config.pb.h"

namespace ems {

namespace {

constexpr char kOurName[] = "edge_model_server";
constexpr char kTfsName[] = "tensorflow_model_server";
constexpr char kMetricsPath[] = "/monitoring/prometheus/metrics";  // TensorFlow Serving's default

constexpr char kFooter[] =
    "A first model:\n"
    "  edge_model_server --model_name=digits --model_base_path=/srv/models/digits\n"
    "where /srv/models/digits/1/model.tflite exists. Then\n"
    "  curl http://localhost:8501/v1/models/digits\n\n"
    "Signals: SIGTERM and SIGINT end requests that run, then the program; a second one ends it at once. SIGHUP reads\n"
    "--model_config_file again.\n\n"
    "Exit codes: 0 stopped as asked; 1 internal error; 2 wrong flag or configuration file; 3 missing base path or no\n"
    "model that loads; 4 port or socket taken.";

// Flags whose value is not the member itself.
struct Raw {
  std::string listen = "0.0.0.0";
  int rest_port = 8501;
  int rest_timeout_ms = 30000;
  int config_poll_seconds = 0;
  int file_poll_seconds = 1;
  int64_t retry_micros = 60 * 1000 * 1000;
  int session_threads = 0;
  int intra_threads = 0;
  int pools = 0;
  int per_pool = 1;
  std::string transition = "availability";
  std::string isolate = "auto";
  std::vector<std::string> delegate_options;
  int start_seconds = 60;
  int grace_seconds = 20;
  int body_mb = 64;
};

int Cores() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

void AddGrpc(CLI::App& app, Options& o, Raw& raw) {
  const std::string group = "gRPC";
  app.add_option("--port", o.grpc.port, "TCP port for gRPC; 0: none")->group(group)->check(CLI::Range(0, 65535));
  app.add_option("--listen", raw.listen, "Address of both ports: 127.0.0.1 is this machine alone, :: all")
      ->group(group);
  app.add_option("--grpc_socket_path", o.grpc.socket_path, "Unix socket for gRPC, beside the port")->group(group);
  app.add_option("--grpc_max_threads", o.grpc.max_threads, "Threads that answer, at least 2; 0: 4 for each core")
      ->group(group)
      ->check(CLI::NonNegativeNumber);
  app.add_option("--grpc_channel_arguments", o.grpc.channel_arguments, "Settings of gRPC: key=value,key=value")
      ->group(group);
  app.add_option("--ssl_config_file", o.grpc.ssl_config_file,
                 "TLS for the port: a text file with server_key, server_cert, custom_ca as PEM text, client_verify")
      ->group(group);
  app.add_flag("--enable_grpc_healthcheck_service", o.grpc.health, "The service grpc.health.v1.Health")->group(group);
  app.add_flag("--enable_serialization_as_tensor_content", o.grpc.as_tensor_content,
               "Replies carry tensor_content instead of typed fields")
      ->group(group);
}

void AddRest(CLI::App& app, Options& o, Raw& raw) {
  const std::string group = "REST";
  app.add_option("--rest_api_port", raw.rest_port, "TCP port for REST, metrics and the status page; 0: none")
      ->group(group)
      ->check(CLI::Range(0, 65535));
  app.add_option("--rest_api_num_threads", o.http.threads, "Threads that answer")
      ->group(group)
      ->check(CLI::PositiveNumber);
  app.add_option("--rest_api_timeout_in_ms", raw.rest_timeout_ms, "Limit of each request")
      ->group(group)
      ->check(CLI::PositiveNumber);
  app.add_flag("--rest_api_enable_cors_support", o.http.cors, "Headers for scripts of other sites")->group(group);
  app.add_option("--monitoring_config_file", o.monitoring_config_file,
                 "Text file: prometheus_config { enable: true path: \"...\" }")
      ->group(group);
  app.add_option("--rest_api_max_body_mb", raw.body_mb, "Largest body of a request")
      ->group(group)
      ->check(CLI::Range(1, 2047));
}

void AddModels(CLI::App& app, Options& o, Raw& raw) {
  const std::string group = "Models";
  app.add_option("--model_name", o.model_name, "Name of a single model")->group(group);
  app.add_option("--model_base_path", o.model_base_path, "Its folder, which holds VERSION/model.tflite")->group(group);
  app.add_option("--model_config_file", o.model_config_file, "Several models: a text file of model_config_list")
      ->group(group);
  app.add_option("--model_config_file_poll_wait_seconds", raw.config_poll_seconds,
                 "How often that file is looked at; 0: never again")
      ->group(group);
  app.add_option("--file_system_poll_wait_seconds", raw.file_poll_seconds,
                 "How often base paths are searched for new versions; 0: once")
      ->group(group);
  app.add_option("--num_load_threads", o.catalogue.num_load_threads, "Loads at a time; 0: one for each core")
      ->group(group);
  app.add_option("--num_unload_threads", o.catalogue.num_unload_threads, "Unloads at a time; 0: one for each core")
      ->group(group);
  app.add_option("--max_num_load_retries", o.catalogue.max_load_retries, "Attempts after a load that failed")
      ->group(group)
      ->check(CLI::NonNegativeNumber);
  app.add_option("--load_retry_interval_micros", raw.retry_micros, "Time between them")
      ->group(group)
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--allow_version_labels_for_unavailable_models", o.catalogue.allow_labels_for_unavailable_versions,
               "New labels may name versions that are not loaded")
      ->group(group);
  app.add_option("--version_transition", raw.transition,
                 "availability: a new version loads before the old one goes; memory: the old one goes first")
      ->group(group)
      ->check(CLI::IsMember({"availability", "memory"}));
  app.add_flag("--enable_model_warmup", o.warmup.enabled,
               "Each load runs the requests of VERSION/assets.extra/tf_serving_warmup_requests, where the file is")
      ->group(group);
  app.add_option("--num_request_iterations_for_warmup", o.warmup.iterations, "How often each of them runs")
      ->group(group)
      ->check(CLI::PositiveNumber);
}

void AddCompute(CLI::App& app, Options& o, Raw& raw) {
  const std::string group = "Computing";
  app.add_option("--num_tflite_pools", raw.pools, "Runs of a model at a time on the CPU; 0: one for each core")
      ->group(group)
      ->check(CLI::NonNegativeNumber);
  app.add_option("--num_tflite_interpreters_per_pool", raw.per_pool, "Multiplies it")
      ->group(group)
      ->check(CLI::PositiveNumber);
  app.add_option("--tensorflow_intra_op_parallelism", raw.intra_threads, "Threads of a run; 0: 1")
      ->group(group)
      ->check(CLI::NonNegativeNumber);
  app.add_option("--tensorflow_session_parallelism", raw.session_threads, "The same")
      ->group(group)
      ->check(CLI::NonNegativeNumber);
  app.add_option("--queue", o.compute.queue, "Requests of a model that may wait; more are refused")
      ->group(group)
      ->check(CLI::PositiveNumber);
  app.add_option("--memory_limit_mb", o.compute.memory_limit_mb,
                 "Memory of all models; a load that needs more is refused. 0: no limit; default: systemd's MemoryMax=")
      ->group(group)
      ->check(CLI::NonNegativeNumber);
  app.add_option("--delegate", o.compute.delegate, "Library of an accelerator, such as libedgetpu.so.1")->group(group);
  app.add_option("--delegate_option", raw.delegate_options, "KEY=VALUE for it; may be repeated")
      ->group(group)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--device", o.compute.devices, "Its devices: auto, cpu, or a list such as usb:0,pci:1")
      ->group(group)
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--delegate_for_all_models", o.compute.delegate_for_all,
               "Models that were not compiled for it go to the devices too")
      ->group(group);
  app.add_option("--worker", o.compute.worker, "Program that holds a device; default: where it is installed")
      ->group(group);
  app.add_option("--isolate", raw.isolate,
                 "Models on the CPU in processes of their own: always, never, or auto: those whose edge_model.pbtxt "
                 "says isolate: true")
      ->group(group)
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_flag("--enable_batching", o.batching.enabled,
               "Joins requests that come at the same time to one run of the model")
      ->group(group);
  app.add_option("--batching_parameters_file", o.batching.file,
                 "How many requests and how long they wait: a text file of BatchingParameters")
      ->group(group);
  app.add_flag("--enable_per_model_batching_parameters", o.batching.per_model,
               "Join requests of the models that have a file VERSION/batching_params.pbtxt, and as it says")
      ->group(group);
}

void AddProgram(CLI::App& app, Options& o, Raw& raw) {
  const std::string group = "Program";
  app.add_flag("--check_config,--check-config", o.check, "Say what would be served, load nothing, and exit")
      ->group(group);
  app.add_option("--start_timeout_seconds", raw.start_seconds,
                 "After this the ports open, even if models are still loading")
      ->group(group)
      ->check(CLI::PositiveNumber);
  app.add_option("--shutdown_grace_seconds", raw.grace_seconds, "How long requests may still run after SIGTERM")
      ->group(group)
      ->check(CLI::NonNegativeNumber);
}

// Completes the options by the flags that are not members themselves.
absl::Status Complete(const Raw& raw, Options* o) {
  o->grpc.address = o->grpc.port == 0 ? "" : raw.listen;
  // All addresses: HTTP listens on IPv6 and IPv4 by an empty address.
  o->http.address = raw.listen == "0.0.0.0" ? "" : raw.listen;
  o->http.port = raw.rest_port;
  o->serve_http = raw.rest_port != 0;
  o->http.most_body_bytes = static_cast<size_t>(raw.body_mb) << 20U;
  o->rest.version = EMS_VERSION;
  o->rest.timeout = absl::Milliseconds(raw.rest_timeout_ms);
  o->model_config_poll = absl::Seconds(std::max(0, raw.config_poll_seconds));
  o->catalogue.poll = absl::Seconds(raw.file_poll_seconds);
  o->catalogue.load_retry_interval = absl::Microseconds(raw.retry_micros);
  o->catalogue.keep_available = raw.transition == "availability";
  using Isolate = LoaderOptions::Isolate;
  o->compute.isolate = raw.isolate == "always"  ? Isolate::kAlways
                       : raw.isolate == "never" ? Isolate::kNever
                                                : Isolate::kAuto;
  o->compute.threads = std::max({1, raw.intra_threads, raw.session_threads});
  o->compute.pools = std::min((raw.pools == 0 ? Cores() : raw.pools) * raw.per_pool, Cores());
  o->start_timeout = absl::Seconds(raw.start_seconds);
  o->shutdown_grace = absl::Seconds(raw.grace_seconds);
  for (const std::string& pair : raw.delegate_options) {
    if (!absl::StrContains(pair, '=')) {
      return absl::InvalidArgumentError(absl::StrCat("--delegate_option ", pair, ": expected KEY=VALUE"));
    }
    o->compute.delegate_options.push_back(absl::StrSplit(pair, absl::MaxSplits('=', 1)));
  }
  return absl::OkStatus();
}

absl::Status CheckTogether(const Options& o) {
  if (o.model_config_file.empty() == o.model_base_path.empty()) {
    return absl::InvalidArgumentError(
        o.model_config_file.empty()
            ? "no models; give --model_base_path=FOLDER, or --model_config_file=FILE for several"
            : "--model_base_path and --model_config_file exclude each other; put the model into the file");
  }
  if (o.grpc.address.empty() && o.grpc.socket_path.empty() && !o.serve_http) {
    return absl::InvalidArgumentError("nothing to listen on; give --port, --grpc_socket_path or --rest_api_port");
  }
  if (!o.batching.file.empty() && !o.batching.enabled) {
    return absl::InvalidArgumentError(
        "--batching_parameters_file is set without --enable_batching; give both or neither");
  }
  const bool devices = std::any_of(o.compute.devices.begin(), o.compute.devices.end(),
                                   [](const std::string& name) { return name != "cpu"; });
  if (devices && o.compute.delegate.empty()) {
    return absl::InvalidArgumentError("--device needs --delegate=LIBRARY, such as libedgetpu.so.1");
  }
  return absl::OkStatus();
}

// Returns how many letters must be changed, added or taken away (Levenshtein's distance).
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0U);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

absl::Status Unknown(const CLI::App& app) {
  const std::string given = app.remaining().front();
  if (!absl::StartsWith(given, "-")) {
    return absl::InvalidArgumentError(absl::StrCat("\"", given, "\" is no flag; flags begin with --"));
  }
  const std::string name(absl::StripPrefix(given.substr(0, given.find('=')), "--"));
  std::string nearest;
  size_t least = 4;  // more mistakes than that are another word
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& known : option->get_lnames()) {
      const size_t distance = Distance(name, known);
      if (distance < least) {
        least = distance;
        nearest = known;
      }
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown flag --", name,
                   nearest.empty() ? "; see --help" : absl::StrCat("; do you mean --", nearest, "? See --help")));
}

// TensorFlow Serving takes "--flag=" as an empty text, its default everywhere; CLI11 would take the next word.
std::vector<std::string> Arguments(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) {  // CLI11 wants them in reverse
    if (!absl::StartsWith(argv[i], "--") || !absl::EndsWith(argv[i], "=")) arguments.emplace_back(argv[i]);
  }
  return arguments;
}

absl::Status Parse(CLI::App& app, std::vector<std::string> arguments, Printed* printed) {
  app.allow_extras();
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::Success& asked) {  // --help and --version
    std::ostringstream out;
    app.exit(asked, out, out);
    printed->text = out.str();
    return absl::OkStatus();
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(error.what(), "; see --help"));
  }
  return app.remaining().empty() ? absl::OkStatus() : Unknown(app);
}

}  // namespace

absl::StatusOr<std::variant<Options, Printed>> ParseOptions(int argc, const char* const* argv) {
  const bool as_tfs = argc > 0 && std::filesystem::path(argv[0]).filename() == kTfsName;
  CLI::App app("A model server with TensorFlow Serving's API for TensorFlow Lite models and accelerators.",
               as_tfs ? kTfsName : kOurName);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)->always_capture_default();
  app.set_version_flag("--version", "edge-model-server " EMS_VERSION);
  app.footer(kFooter);
  Options options;
  Raw raw;
  options.http.threads = 4 * Cores();
  if (as_tfs) {
    raw.rest_port = 0;
    options.metrics_by_default = false;
  }
  AddGrpc(app, options, raw);
  AddRest(app, options, raw);
  AddModels(app, options, raw);
  AddCompute(app, options, raw);
  AddProgram(app, options, raw);
  ForeignFlags foreign;
  foreign.AddTo(app);
  Printed printed;
  if (absl::Status status = Parse(app, Arguments(argc, argv), &printed); !status.ok()) return status;
  if (!printed.text.empty()) return printed;
  if (absl::Status status = foreign.Check(&options.notes); !status.ok()) return status;
  if (absl::Status status = Complete(raw, &options); !status.ok()) return status;
  if (absl::Status status = CheckTogether(options); !status.ok()) return status;
  if (options.batching.per_model && !options.batching.enabled) {
    options.notes.emplace_back("--enable_per_model_batching_parameters has no effect without --enable_batching");
  }
  return options;
}

absl::StatusOr<ModelConfigs> ReadModels(const Options& options) {
  if (!options.model_config_file.empty()) return ReadModelConfigFile(options.model_config_file);
  return SingleModel(options.model_name, options.model_base_path);
}

absl::Status ReadFiles(Options* options) {
  options->batching.settings.thread_pool_name = "model_server_batch_threads";  // TensorFlow Serving's, without a file
  if (!options->batching.file.empty()) {
    absl::StatusOr<BatchingSettings> batching = ReadBatchingFile(options->batching.file);
    if (!batching.ok()) return batching.status();
    options->batching.settings = *std::move(batching);
  }
  options->rest.metrics_path = options->metrics_by_default ? kMetricsPath : "";
  if (!options->monitoring_config_file.empty()) {
    MonitoringConfig config;
    if (absl::Status status = ReadTextProto(options->monitoring_config_file, &config); !status.ok()) return status;
    const MonitoringConfig::Prometheus& prometheus = config.prometheus_config();
    const std::string path = prometheus.path().empty() ? kMetricsPath : prometheus.path();
    if (path.front() != '/') {
      return absl::InvalidArgumentError(
          absl::StrCat(options->monitoring_config_file, ": the path \"", path, "\" must begin with /"));
    }
    options->rest.metrics_path = prometheus.enable() ? path : "";
  }
  return absl::OkStatus();
}

}  // namespace ems
