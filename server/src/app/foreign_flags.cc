#include "app/foreign_flags.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ems {

namespace {

struct Row {
  const char* name;
  bool is_switch;        // takes no value, or true or false
  const char* harmless;  // the value that changes nothing; nullptr: every value
  const char* reason;
};

// Section 7 of the facts: accepted with a line in the log, or refused with a reason and a substitute.
constexpr Row kRows[] = {
    {"remove_unused_fields_from_bundle_metagraph", true, nullptr, "there is no MetaGraph"},
    {"enable_signature_method_name_check", true, nullptr, "classify and regress look at the names of the outputs"},
    {"enable_profiler", true, nullptr, "there is no profiler; see the metrics"},
    {"skip_initialize_tpu", true, nullptr, "there is no Cloud TPU"},
    {"flush_filesystem_caches", true, nullptr, "a file is always dropped from the cache once it is loaded"},
    {"saved_model_tags", false, nullptr, "models are .tflite files, which have no tags"},
    {"tensorflow_inter_op_parallelism", false, nullptr, "an interpreter runs one operator at a time"},
    {"xla_cpu_compilation_enabled", true, "false", "there is no XLA; leave the flag out"},
    {"xla_gpu_compilation_enabled", true, "false", "there is no XLA; leave the flag out"},
    {"per_process_gpu_memory_fraction", false, "0", "there is no GPU; leave the flag out"},
    {"mixed_precision", false, "", "models run as they are; convert them with that precision"},
    {"prefer_tflite_model", true, "true", "this server runs .tflite models only; convert the SavedModel"},
    {"use_alts_credentials", true, "false", "ALTS exists on Google's cloud only; use --ssl_config_file"},
    {"platform_config_file", false, "", "the only platform is TensorFlow Lite; use the flags for threads and batching"},
    {"thread_pool_factory_config_file", false, "", "use --num_tflite_pools and --tensorflow_intra_op_parallelism"},
    {"tensorflow_session_config_file", false, "", "use --num_tflite_pools and --tensorflow_intra_op_parallelism"},
};

// Whether two values are equal, as texts or as numbers.
bool IsSame(const std::string& given, const std::string& value) {
  double left = 0;
  double right = 0;
  return given == value || (absl::SimpleAtod(given, &left) && absl::SimpleAtod(value, &right) && left == right);
}

}  // namespace

void ForeignFlags::AddTo(CLI::App& app) {
  for (const Row& row : kRows) {
    const std::string name = absl::StrCat("--", row.name);
    const auto store = [this, row](const std::string& value) { values_[row.name] = value; };
    CLI::Option* option =
        row.is_switch ? app.add_flag_function(name, [store](int64_t count) { store(count > 0 ? "true" : "false"); })
                      : app.add_option_function<std::string>(name, store);
    const std::string effect =
        row.harmless == nullptr ? "No effect here" : absl::StrCat("Only \"", row.harmless, "\" is accepted");
    option->description(absl::StrCat(effect, ": ", row.reason))->group("Of TensorFlow Serving, without effect");
  }
}

absl::Status ForeignFlags::Check(std::vector<std::string>* notes) const {
  for (const Row& row : kRows) {
    const auto given = values_.find(row.name);
    if (given == values_.end()) continue;
    if (row.harmless != nullptr && !IsSame(given->second, row.harmless)) {
      return absl::InvalidArgumentError(absl::StrCat("--", row.name, "=", given->second, ": ", row.reason));
    }
    notes->push_back(absl::StrCat("--", row.name, " has no effect here: ", row.reason));
  }
  return absl::OkStatus();
}

}  // namespace ems
