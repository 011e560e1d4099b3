#include "batching/settings.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "codec/text_proto.h"
#include "ems/server_config.pb.h"

namespace ems {
namespace {

// The checks below return what is wrong, empty where nothing is.

std::string CheckLeast(const char* field, int64_t value, int64_t least) {
  return value >= least ? "" : absl::StrCat(field, " must be at least ", least, "; it is ", value);
}

std::string CheckSizes(const BatchingSettings& settings) {
  const std::vector<int64_t>& sizes = settings.allowed_batch_sizes;
  if (sizes.empty()) return "";
  for (size_t i = 1; i < sizes.size(); ++i) {
    if (sizes[i] <= sizes[i - 1]) {
      return absl::StrCat("allowed_batch_sizes must ascend; ", sizes[i], " comes after ", sizes[i - 1]);
    }
  }
  // Texts of TensorFlow Serving's batching_session.cc.
  if (sizes.back() == settings.max_execution_batch_size) return CheckLeast("allowed_batch_sizes", sizes.front(), 1);
  return absl::StrCat("Last entry in allowed_batch_sizes must ",
                      settings.split ? "be equal to max_execution_batch_size" : "match max_batch_size",
                      "; last entry was ", sizes.back(), "; expected ", settings.max_execution_batch_size);
}

std::string CheckExecution(const BatchingSettings& settings) {
  if (settings.max_execution_batch_size <= settings.max_batch_size) return "";
  return absl::StrCat("max_execution_batch_size, ", settings.max_execution_batch_size,
                      ", is greater than max_batch_size, ", settings.max_batch_size);
}

BatchingSettings FromProto(const BatchingParameters& proto) {
  BatchingSettings settings;
  if (proto.has_max_batch_size()) settings.max_batch_size = proto.max_batch_size().value();
  // A year is as good as for ever, and can be added to any time.
  settings.timeout = std::min(absl::Microseconds(proto.batch_timeout_micros().value()), absl::Hours(24 * 365));
  if (proto.has_max_enqueued_batches()) settings.max_enqueued_batches = proto.max_enqueued_batches().value();
  settings.allowed_batch_sizes.assign(proto.allowed_batch_sizes().begin(), proto.allowed_batch_sizes().end());
  settings.pad_variable_length_inputs = proto.pad_variable_length_inputs();
  settings.split = proto.enable_large_batch_splitting().value();
  settings.max_execution_batch_size = settings.split && proto.has_max_execution_batch_size()
                                          ? proto.max_execution_batch_size().value()
                                          : settings.max_batch_size;
  if (proto.has_num_batch_threads()) settings.num_batch_threads = static_cast<int>(proto.num_batch_threads().value());
  if (proto.has_thread_pool_name()) settings.thread_pool_name = proto.thread_pool_name().value();
  return settings;
}

}  // namespace

absl::StatusOr<BatchingSettings> ReadBatchingFile(const std::string& path) {
  BatchingParameters proto;
  if (absl::Status status = ReadTextProto(path, &proto); !status.ok()) return status;
  constexpr int64_t kMostThreads = 1024;
  if (proto.has_num_batch_threads() &&
      (proto.num_batch_threads().value() < 1 || proto.num_batch_threads().value() > kMostThreads)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": num_batch_threads must be between 1 and ", kMostThreads));
  }
  BatchingSettings settings = FromProto(proto);
  for (const std::string& wrong : {CheckLeast("max_batch_size", settings.max_batch_size, 1),
                                   CheckLeast("batch_timeout_micros", proto.batch_timeout_micros().value(), 0),
                                   CheckLeast("max_enqueued_batches", settings.max_enqueued_batches, 1),
                                   CheckLeast("max_execution_batch_size", settings.max_execution_batch_size, 1),
                                   CheckExecution(settings), CheckSizes(settings)}) {
    if (!wrong.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", wrong));
  }
  return settings;
}

}  // namespace ems
