// What operators say about batches: --batching_parameters_file, and batching_params.pbtxt in a version's folder.
#ifndef EMS_BATCHING_SETTINGS_H_
#define EMS_BATCHING_SETTINGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ems {

// The defaults are TensorFlow Serving's.
struct BatchingSettings {
  int64_t max_batch_size = 1000;                  // rows of a request
  absl::Duration timeout = absl::ZeroDuration();  // how long a batch waits for more rows
  int64_t max_enqueued_batches = 10;              // that wait, for each signature of a version
  std::vector<int64_t> allowed_batch_sizes;       // a batch is padded up to the next; empty: none is padded
  bool pad_variable_length_inputs = false;        // else requests of other shapes go to other batches
  bool split = false;                             // a request of more rows than a batch takes goes to several
  int64_t max_execution_batch_size = 1000;        // rows of a batch; max_batch_size where nothing is split

  // Those of the server's file count for all models.
  int num_batch_threads = 0;  // batches that run at a time; 0: one for each core
  std::string thread_pool_name = "batch_threads";
};

// TensorFlow Serving's name of the file in a version's folder, for --enable_per_model_batching_parameters.
inline constexpr char kBatchingFile[] = "batching_params.pbtxt";

// Reads a text file of BatchingParameters. Errors of ReadTextProto; INVALID_ARGUMENT with the file's name and
// TensorFlow Serving's texts for what it refuses too.
absl::StatusOr<BatchingSettings> ReadBatchingFile(const std::string& path);

}  // namespace ems

#endif  // EMS_BATCHING_SETTINGS_H_
