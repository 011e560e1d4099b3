#include "metrics/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

namespace ems {
namespace {

prometheus::MetricFamily One(const char* name, const char* help, prometheus::MetricType type, double value) {
  prometheus::ClientMetric metric;
  (type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return {name, help, type, {std::move(metric)}};
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Returns the entries of /proc/self/fd; -1 where it cannot be read.
int64_t OpenFiles() {
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  if (error) return -1;
  return std::distance(entry, {});
}

}  // namespace

uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t pages = 0;
  uint64_t resident = 0;
  file >> pages >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::vector<prometheus::MetricFamily> ProcessMetrics() {
  using prometheus::MetricType;
  std::vector<prometheus::MetricFamily> families;
  rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    families.push_back(One("process_cpu_seconds_total", "CPU time of the server, without its workers.",
                           MetricType::Counter, Seconds(usage.ru_utime) + Seconds(usage.ru_stime)));
  }
  if (const uint64_t bytes = ResidentBytes(); bytes > 0) {
    families.push_back(One("process_resident_memory_bytes", "Memory of the server, without its workers.",
                           MetricType::Gauge, static_cast<double>(bytes)));
  }
  if (const int64_t files = OpenFiles(); files >= 0) {
    families.push_back(
        One("process_open_fds", "Open file descriptors.", MetricType::Gauge, static_cast<double>(files)));
  }
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.push_back(One("process_max_fds", "The limit of open file descriptors.", MetricType::Gauge,
                           static_cast<double>(limit.rlim_cur)));
  }
  return families;
}

}  // namespace ems
