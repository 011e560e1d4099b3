#include "app/options.h"

#include <gmock/gmock.h>

#include "temp_folder.h"

namespace ems {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

absl::StatusOr<std::variant<Options, Printed>> Parse(std::vector<const char*> flags,
                                                     const char* name = "/usr/bin/edge_model_server") {
  flags.insert(flags.begin(), name);
  return ParseOptions(static_cast<int>(flags.size()), flags.data());
}

// Parses flags beside a model.
Options Parsed(std::vector<const char*> flags, const char* name = "/usr/bin/edge_model_server") {
  flags.push_back("--model_base_path=/models/m");
  absl::StatusOr<std::variant<Options, Printed>> parsed = Parse(flags, name);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? std::get<Options>(*parsed) : Options();
}

void ExpectRefused(std::vector<const char*> flags, const std::string& part) {
  flags.push_back("--model_base_path=/models/m");
  const absl::Status status = Parse(flags).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(OptionsTest, Defaults) {
  const Options options = Parsed({});
  EXPECT_EQ(options.grpc.port, 8500);
  EXPECT_EQ(options.grpc.address, "0.0.0.0");
  EXPECT_TRUE(options.grpc.health);
  EXPECT_TRUE(options.serve_http);
  EXPECT_EQ(options.http.port, 8501);
  EXPECT_EQ(options.http.address, "");
  EXPECT_EQ(options.model_name, "default");
  EXPECT_EQ(options.catalogue.poll, absl::Seconds(1));
  EXPECT_EQ(options.catalogue.load_retry_interval, absl::Minutes(1));
  EXPECT_TRUE(options.catalogue.keep_available);
  EXPECT_EQ(options.compute.threads, 1);
  EXPECT_TRUE(options.warmup.enabled);
  EXPECT_THAT(options.notes, ElementsAre());
}

TEST(OptionsTest, DefaultsUnderTheNameOfTensorFlowServing) {
  Options options = Parsed({}, "/usr/bin/tensorflow_model_server");
  EXPECT_EQ(options.grpc.port, 8500);
  EXPECT_FALSE(options.serve_http);
  ASSERT_TRUE(ReadFiles(&options).ok());
  EXPECT_EQ(options.rest.metrics_path, "");
  options = Parsed({"--rest_api_port=8501"}, "tensorflow_model_server");
  EXPECT_TRUE(options.serve_http);
}

TEST(OptionsTest, ValuesReachTheModules) {
  const Options options =
      Parsed({"--port", "1", "--listen=::1", "--rest_api_port=2", "--grpc_max_threads=3", "--rest_api_num_threads=4",
              "--rest_api_timeout_in_ms=5", "--model_config_file_poll_wait_seconds=6",
              "--file_system_poll_wait_seconds=7", "--load_retry_interval_micros=8", "--version_transition=memory",
              "--tensorflow_intra_op_parallelism=2", "--num_tflite_pools=1", "--rest_api_max_body_mb=1",
              "--shutdown_grace_seconds=9", "--start_timeout_seconds=10", "--memory_limit_mb=11", "--isolate=always"});
  EXPECT_EQ(options.grpc.port, 1);
  EXPECT_EQ(options.grpc.address, "::1");
  EXPECT_EQ(options.http.address, "::1");
  EXPECT_EQ(options.http.port, 2);
  EXPECT_EQ(options.grpc.max_threads, 3);
  EXPECT_EQ(options.http.threads, 4);
  EXPECT_EQ(options.rest.timeout, absl::Milliseconds(5));
  EXPECT_EQ(options.model_config_poll, absl::Seconds(6));
  EXPECT_EQ(options.catalogue.poll, absl::Seconds(7));
  EXPECT_EQ(options.catalogue.load_retry_interval, absl::Microseconds(8));
  EXPECT_FALSE(options.catalogue.keep_available);
  EXPECT_EQ(options.compute.threads, 2);
  EXPECT_EQ(options.compute.pools, 1);
  EXPECT_EQ(options.http.most_body_bytes, 1U << 20U);
  EXPECT_EQ(options.shutdown_grace, absl::Seconds(9));
  EXPECT_EQ(options.start_timeout, absl::Seconds(10));
  EXPECT_EQ(options.compute.memory_limit_mb, 11);
  EXPECT_EQ(Parsed({}).compute.memory_limit_mb, std::nullopt);
  EXPECT_EQ(options.compute.isolate, LoaderOptions::Isolate::kAlways);
  EXPECT_EQ(Parsed({"--isolate=never"}).compute.isolate, LoaderOptions::Isolate::kNever);
  ExpectRefused({"--isolate=maybe"}, "--isolate");
}

TEST(OptionsTest, PortZeroIsNone) {
  EXPECT_EQ(Parsed({"--port=0"}).grpc.address, "");
  EXPECT_FALSE(Parsed({"--rest_api_port=0"}).serve_http);
  ExpectRefused({"--port=0", "--rest_api_port=0"}, "nothing to listen on");
  EXPECT_EQ(Parsed({"--port=0", "--rest_api_port=0", "--grpc_socket_path=/run/s"}).grpc.socket_path, "/run/s");
}

TEST(OptionsTest, SwitchesWithAndWithoutAValue) {
  EXPECT_TRUE(Parsed({"--enable_serialization_as_tensor_content"}).grpc.as_tensor_content);
  EXPECT_TRUE(Parsed({"--enable_serialization_as_tensor_content=true"}).grpc.as_tensor_content);
  EXPECT_FALSE(Parsed({"--enable_grpc_healthcheck_service=false"}).grpc.health);
  EXPECT_FALSE(Parsed({"--enable_model_warmup=false"}).warmup.enabled);
}

TEST(OptionsTest, TheLastOfAFlagCounts) { EXPECT_EQ(Parsed({"--port=1", "--port=2"}).grpc.port, 2); }

TEST(OptionsTest, AnEmptyValueIsTheDefault) {
  EXPECT_EQ(Parsed({"--ssl_config_file=", "--port=1"}).grpc.port, 1);
  EXPECT_THAT(Parsed({"--mixed_precision="}).notes, ElementsAre());
}

TEST(OptionsTest, UnknownFlagsAreRefusedWithTheNearestName) {
  ExpectRefused({"--model_nam=m"}, "unknown flag --model_nam; do you mean --model_name? See --help");
  ExpectRefused({"--something_else"}, "unknown flag --something_else; see --help");
  ExpectRefused({"model"}, "\"model\" is no flag");
  ExpectRefused({"--port=many"}, "--port");
  ExpectRefused({"--port=70000"}, "--port");
  ExpectRefused({"--version_transition=now"}, "availability");
}

// Section 7 of the facts.
TEST(OptionsTest, FlagsWithoutEffectAreSaid) {
  const Options options = Parsed({"--enable_profiler", "--xla_cpu_compilation_enabled=false",
                                  "--per_process_gpu_memory_fraction=0", "--saved_model_tags=serve"});
  EXPECT_THAT(options.notes,
              ElementsAre(HasSubstr("--enable_profiler has no effect here"), HasSubstr("--saved_model_tags"),
                          HasSubstr("--xla_cpu_compilation_enabled"), HasSubstr("--per_process_gpu_memory_fraction")));
}

TEST(OptionsTest, FlagsWhoseEffectIsMissingAreRefused) {
  ExpectRefused({"--use_alts_credentials"}, "use --ssl_config_file");
  ExpectRefused({"--platform_config_file=/etc/p"}, "--platform_config_file=/etc/p: ");
  ExpectRefused({"--thread_pool_factory_config_file=/etc/p"}, "--num_tflite_pools");
  ExpectRefused({"--tensorflow_session_config_file=/etc/p"}, "--num_tflite_pools");
  ExpectRefused({"--xla_gpu_compilation_enabled=true"}, "there is no XLA");
  ExpectRefused({"--per_process_gpu_memory_fraction=0.5"}, "there is no GPU");
  EXPECT_EQ(Parsed({"--model_base_path=/m", "--per_process_gpu_memory_fraction=0.0"}).notes.size(), 1);
  ExpectRefused({"--prefer_tflite_model=false"}, "convert the SavedModel");
}

TEST(OptionsTest, ModelsComeFromOnePlace) {
  EXPECT_THAT(std::string(Parse({}).status().message()), HasSubstr("no models; give --model_base_path"));
  ExpectRefused({"--model_config_file=/etc/models.config"}, "exclude each other");
}

TEST(OptionsTest, BatchingFileNeedsBatching) {
  ExpectRefused({"--batching_parameters_file=/etc/b"}, "without --enable_batching");
  EXPECT_EQ(Parsed({"--batching_parameters_file=/etc/b", "--enable_batching"}).batching.file, "/etc/b");
}

TEST(OptionsTest, BatchingFileIsRead) {
  const TempFolder folder;
  Options options = Parsed({"--enable_batching"});
  EXPECT_TRUE(options.notes.empty());
  ASSERT_TRUE(ReadFiles(&options).ok());
  EXPECT_EQ(options.batching.settings.thread_pool_name, "model_server_batch_threads");
  options.batching.file = folder.File("batching", "max_batch_size { value: 4 }");
  ASSERT_TRUE(ReadFiles(&options).ok());
  EXPECT_EQ(options.batching.settings.max_batch_size, 4);
  EXPECT_EQ(options.batching.settings.thread_pool_name, "batch_threads");
  options.batching.file = folder.File("batching", "max_batch_size: 4");
  EXPECT_THAT(std::string(ReadFiles(&options).message()), HasSubstr("batching: line 1"));
}

TEST(OptionsTest, BatchingPerModelNeedsBatching) {
  EXPECT_THAT(Parsed({"--enable_per_model_batching_parameters"}).notes,
              ElementsAre(HasSubstr("no effect without --enable_batching")));
}

TEST(OptionsTest, Devices) {
  const Options options = Parsed({"--delegate=libedgetpu.so.1", "--device=usb:0,pci:1", "--delegate_option=a=b=c"});
  EXPECT_THAT(options.compute.devices, ElementsAre("usb:0", "pci:1"));
  EXPECT_THAT(options.compute.delegate_options, ElementsAre(Pair("a", "b=c")));
  ExpectRefused({"--device=usb:0"}, "--device needs --delegate");
  ExpectRefused({"--delegate=l", "--delegate_option=a"}, "expected KEY=VALUE");
  EXPECT_THAT(Parsed({"--device=cpu"}).compute.devices, ElementsAre("cpu"));
}

TEST(OptionsTest, HelpAndVersion) {
  const auto help = Parse({"--help"});
  ASSERT_TRUE(help.ok());
  const std::string text = std::get<Printed>(*help).text;
  EXPECT_THAT(text, HasSubstr("--rest_api_port"));
  EXPECT_THAT(text, HasSubstr("Exit codes"));
  const auto version = Parse({"--version"});
  ASSERT_TRUE(version.ok());
  EXPECT_THAT(std::get<Printed>(*version).text, testing::StartsWith("edge-model-server "));
}

TEST(OptionsTest, MonitoringFile) {
  const TempFolder folder;
  Options options = Parsed({});
  ASSERT_TRUE(ReadFiles(&options).ok());
  EXPECT_EQ(options.rest.metrics_path, "/monitoring/prometheus/metrics");
  options.monitoring_config_file = folder.File("m", "prometheus_config { enable: true path: \"/metrics\" }");
  ASSERT_TRUE(ReadFiles(&options).ok());
  EXPECT_EQ(options.rest.metrics_path, "/metrics");
  options.monitoring_config_file = folder.File("m", "prometheus_config { enable: false }");
  ASSERT_TRUE(ReadFiles(&options).ok());
  EXPECT_EQ(options.rest.metrics_path, "");
  options.monitoring_config_file = folder.File("m", "prometheus_config { enable: true path: \"metrics\" }");
  EXPECT_EQ(ReadFiles(&options).code(), absl::StatusCode::kInvalidArgument);
  options.monitoring_config_file = folder.File("m", "prometheus { }");
  EXPECT_THAT(std::string(ReadFiles(&options).message()), HasSubstr("m: line 1, column "));
  options.monitoring_config_file = folder / "missing";
  EXPECT_EQ(ReadFiles(&options).code(), absl::StatusCode::kNotFound);
}

TEST(OptionsTest, Models) {
  Options options = Parsed({"--model_name=m"});
  absl::StatusOr<ModelConfigs> models = ReadModels(options);
  ASSERT_TRUE(models.ok()) << models.status();
  EXPECT_EQ(models->at(0).name, "m");
  EXPECT_EQ(models->at(0).base_path, "/models/m");
  options.model_config_file = "/missing";
  EXPECT_EQ(ReadModels(options).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace ems
