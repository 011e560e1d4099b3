#include "app/backends.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "app/limits.h"
#include "batching/servable.h"
#include "batching/settings.h"
#include "devices/isolated.h"
#include "warmup/warmup.h"

namespace ems {

namespace {

namespace fs = std::filesystem;

constexpr char kWorkerName[] = "edge_model_worker";
constexpr char kAuto[] = "auto";
constexpr char kComing[] = "usb:0";  // where no device is found: the one that people plug in
constexpr char kDev[] = "/dev";
constexpr char kUsb[] = "/sys/bus/usb/devices";

constexpr absl::Duration kWatchPause = absl::Seconds(5);

// Returns the worker's program: where it is installed, else beside this program, as in a build folder.
// /proc/self/exe names the dynamic loader where that started the program; --worker is for that.
std::string FindWorker() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path installed = folder.parent_path() / "libexec/edge-model-server" / kWorkerName;
  return fs::exists(installed, error) ? installed : folder / kWorkerName;
}

// Returns whether a folder of /sys/bus/usb/devices is an Edge TPU: before its first use, or after, when its firmware
// runs and it has another identity.
bool IsEdgeTpu(const fs::path& folder) {
  const auto word = [&folder](const char* name) {
    std::string text;
    std::ifstream(folder / name) >> text;
    return text;
  };
  const std::string id = absl::StrCat(word("idVendor"), ":", word("idProduct"));
  return id == "1a6e:089a" || id == "18d1:9302";
}

// Returns what a folder holds, as far as it can be read: devices come and go meanwhile.
std::vector<fs::path> Entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) paths.push_back(entry->path());
  return paths;
}

std::string WorkerOf(const ComputeOptions& options) { return options.worker.empty() ? FindWorker() : options.worker; }

std::unique_ptr<Devices> MakeDevices(const ComputeOptions& options, std::shared_ptr<MemoryBudget> memory,
                                     const std::function<void(const std::string& line)>& log) {
  Devices::Options devices;
  devices.names = DeviceNames(options, kDev, kUsb);
  if (devices.names.empty()) return nullptr;
  devices.worker = WorkerOf(options);
  devices.delegate = options.delegate;
  devices.delegate_options = options.delegate_options;
  devices.threads = options.threads;
  devices.queue = options.queue;
  devices.memory = std::move(memory);
  devices.log = log;
  return std::make_unique<Devices>(std::move(devices));
}

std::shared_ptr<MemoryBudget> MakeBudget(std::optional<int> limit_mb,
                                         const std::function<void(const std::string& line)>& log) {
  if (limit_mb) return MemoryBudget::Create(static_cast<uint64_t>(*limit_mb) << 20U);
  const uint64_t bytes = ControlGroupMemory("/proc/self/cgroup", "/sys/fs/cgroup");
  if (bytes != 0) log(absl::StrCat("models may take ", bytes >> 20U, " MB: the limit of the control group"));
  return MemoryBudget::Create(bytes, "the control group (MemoryMax=)");
}

// Returns what joins the requests to the models, empty where none are joined.
decltype(LoaderOptions::wrap) MakeBatching(const Options& options, Metrics& metrics) {
  if (!options.batching.enabled) return nullptr;
  const BatchingSettings& settings = options.batching.settings;
  const auto queued = [&metrics, pool = settings.thread_pool_name](absl::Duration waited) {
    metrics.QueuingLatency(pool, waited);
  };
  const int running = settings.num_batch_threads > 0
                          ? settings.num_batch_threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  return
      [settings, per_model = options.batching.per_model, batcher = std::make_shared<Batcher>(running, queued)](
          std::unique_ptr<Servable> servable, const std::string& folder) -> absl::StatusOr<std::unique_ptr<Servable>> {
        if (!per_model) return WithBatching(std::move(servable), settings, batcher);
        const std::string path = absl::StrCat(folder, "/", kBatchingFile);
        std::error_code error;
        if (!fs::exists(path, error)) return servable;
        const absl::StatusOr<BatchingSettings> own = ReadBatchingFile(path);
        if (!own.ok()) return own.status();
        return WithBatching(std::move(servable), *own, batcher);
      };
}

}  // namespace

std::vector<std::string> FoundDevices(const std::string& dev, const std::string& usb) {
  std::vector<std::string> names;
  const auto add = [&names](const char* bus) {
    const auto same = [bus](const std::string& name) { return absl::StartsWith(name, bus); };
    names.push_back(absl::StrCat(bus, std::count_if(names.begin(), names.end(), same)));
  };
  for (const fs::path& path : Entries(dev)) {
    if (absl::StartsWith(path.filename().string(), "apex_")) add("pci:");
  }
  for (const fs::path& path : Entries(usb)) {
    if (IsEdgeTpu(path)) add("usb:");
  }
  return names;
}

std::vector<std::string> DeviceNames(const ComputeOptions& options, const std::string& dev, const std::string& usb) {
  if (options.delegate.empty()) return {};
  std::vector<std::string> names;
  for (const std::string& name : options.devices.empty() ? std::vector<std::string>{kAuto} : options.devices) {
    if (name == kAuto) {
      std::vector<std::string> found = FoundDevices(dev, usb);
      if (found.empty()) found.emplace_back(kComing);
      names.insert(names.end(), found.begin(), found.end());
    } else if (name != "cpu") {
      names.push_back(name);
    }
  }
  return names;
}

DeviceWatch::DeviceWatch(Devices& devices, std::function<std::vector<std::string>()> find, absl::Duration pause)
    : thread_([this, &devices, find = std::move(find), pause] {
        while (!stop_.WaitForNotificationWithTimeout(pause)) {
          for (const std::string& name : find()) devices.AddDevice(name);
        }
      }) {}

DeviceWatch::~DeviceWatch() {
  stop_.Notify();
  thread_.join();
}

Backends MakeBackends(const Options& options, Metrics& metrics,
                      const std::function<void(const std::string& line)>& log) {
  Backends backends;
  LoaderOptions loader;
  loader.cpu.interpreters = options.compute.pools;
  loader.cpu.threads = options.compute.threads;
  loader.cpu.queue = options.compute.queue;
  loader.cpu.memory = MakeBudget(options.compute.memory_limit_mb, log);
  backends.devices = MakeDevices(options.compute, loader.cpu.memory, log);
  // The thread of the request runs rows too.
  loader.cpu.helpers = std::make_shared<ThreadPool>(options.compute.pools - 1);
  loader.devices_for_all = options.compute.delegate_for_all;
  loader.wrap = MakeBatching(options, metrics);
  loader.log = log;
  if (backends.devices != nullptr) {
    loader.devices = [devices = backends.devices.get()](const ServableId& id, const std::string& part,
                                                        std::shared_ptr<const TfliteModel> model) {
      return part.empty() ? devices->Load(id, std::move(model)) : devices->LoadSegment(id, part, std::move(model));
    };
  }
  const std::vector<std::string>& names = options.compute.devices;
  if (backends.devices != nullptr && (names.empty() || std::find(names.begin(), names.end(), kAuto) != names.end())) {
    backends.watch =
        std::make_unique<DeviceWatch>(*backends.devices, [] { return FoundDevices(kDev, kUsb); }, kWatchPause);
  }
  loader.isolate = options.compute.isolate;
  loader.isolated = [isolated = IsolatedOptions{WorkerOf(options.compute), log}](
                        const ServableId& id, std::shared_ptr<const TfliteModel> model, const CpuOptions& cpu) {
    return LoadIsolated(id, std::move(model), cpu, isolated);
  };
  backends.loader = std::make_unique<TfliteLoader>(std::move(loader));
  if (!options.warmup.enabled) return backends;
  WarmupLoader::Options warmup;
  warmup.iterations = options.warmup.iterations;
  warmup.report = [&metrics](const std::string& folder, const absl::Status& status, absl::Duration latency) {
    metrics.WarmupLatency(folder, status, latency);
  };
  warmup.log = log;
  backends.loader = std::make_unique<WarmupLoader>(std::move(backends.loader), std::move(warmup));
  return backends;
}

Samples ReadSamples(const Devices* devices, const Catalogue& catalogue) {
  Samples samples;
  for (const DeviceReport& device : devices == nullptr ? std::vector<DeviceReport>() : devices->Report()) {
    samples.devices.push_back(
        {device.name, Name(device.state), device.detail, device.runs, device.failures, device.restarts});
  }
  for (const ModelReport& model : catalogue.Report()) {
    for (const VersionStatus& version : model.versions) {
      if (version.state != VersionState::kAvailable) continue;
      const absl::StatusOr<ServableHandle> handle = catalogue.Find({model.name, version.version, ""});
      if (!handle.ok()) continue;
      const std::vector<Placement> placements = handle->servable->placements();
      const bool on_cpu = std::any_of(placements.begin(), placements.end(),
                                      [](const Placement& placement) { return placement.fallback; });
      if (devices == nullptr && !on_cpu) continue;  // no place for it to fall back from
      samples.fallbacks.push_back({model.name, version.version, on_cpu});
    }
  }
  return samples;
}

}  // namespace ems
