// The process' own metrics, under the names that Prometheus' client libraries share.
#ifndef EMS_METRICS_PROCESS_H_
#define EMS_METRICS_PROCESS_H_

#include <prometheus/metric_family.h>

#include <cstdint>
#include <vector>

namespace ems {

// Returns the metrics that /proc has; what it does not say is left out.
std::vector<prometheus::MetricFamily> ProcessMetrics();

// Returns the memory that the process takes, in bytes; 0 where /proc does not say.
uint64_t ResidentBytes();

}  // namespace ems

#endif  // EMS_METRICS_PROCESS_H_
