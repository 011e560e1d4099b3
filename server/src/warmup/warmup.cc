#include "warmup/warmup.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/inference.h"
#include "base/clock.h"
#include "codec/tensor_proto.h"
#include "tensorflow_serving/apis/prediction_log.pb.h"
#include "warmup/records.h"

namespace ems {
namespace {

namespace tfs = tensorflow::serving;

absl::Status Predict(const Inference& inference, const tfs::PredictRequest& request) {
  const tfs::ModelSpec& spec = request.model_spec();
  const absl::StatusOr<Target> target = inference.Resolve(FromProto(spec), spec.signature_name());
  if (!target.ok()) return target.status();
  absl::StatusOr<TensorMap> inputs = FromProtos(request.inputs());
  if (!inputs.ok()) return inputs.status();
  const std::vector<std::string> filter(request.output_filter().begin(), request.output_filter().end());
  return inference.Predict(*target, *std::move(inputs), filter, absl::InfiniteFuture()).status();
}

absl::Status PredictEach(const Inference& inference, const tfs::PredictStreamedLog& log) {
  for (const tfs::PredictRequest& request : log.request()) {
    if (absl::Status status = Predict(inference, request); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status RunRecord(const Inference& inference, const tfs::PredictionLog& log) {
  constexpr absl::Time kNever = absl::InfiniteFuture();
  switch (log.log_type_case()) {
    case tfs::PredictionLog::kPredictLog:
      return Predict(inference, log.predict_log().request());
    case tfs::PredictionLog::kPredictStreamedLog:
      return PredictEach(inference, log.predict_streamed_log());
    case tfs::PredictionLog::kClassifyLog:
      return inference.Classify(log.classify_log().request(), kNever).status();
    case tfs::PredictionLog::kRegressLog:
      return inference.Regress(log.regress_log().request(), kNever).status();
    case tfs::PredictionLog::kMultiInferenceLog:
      return inference.MultiInference(log.multi_inference_log().request(), kNever).status();
    default:
      return absl::UnimplementedError(
          absl::StrCat("Unsupported log_type for warmup: ", static_cast<int>(log.log_type_case())));
  }
}

absl::Status RunRecord(const Inference& inference, const std::string& record, int number, const std::string& path,
                       int iterations) {
  tfs::PredictionLog log;
  if (!log.ParseFromString(record)) {
    return absl::InvalidArgumentError(absl::StrCat("Failed to parse warmup record: ", number, " from ", path));
  }
  for (int i = 0; i < iterations; ++i) {
    const absl::Status status = RunRecord(inference, log);
    if (!status.ok()) {
      return {status.code(), absl::StrCat(path, ": record ", number, ": ", status.message())};
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> WarmUp(const ServableHandle& version, const std::string& path, int iterations) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder; a TFRecord file is expected"));
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno == 0 ? EIO : errno, absl::StrCat("cannot read ", path));
  // A record names a model of any name, as its writer called it.
  const Inference inference([&version](const ModelSpec& /*spec*/) { return version; }, nullptr);
  RecordReader reader(file);
  std::string record;
  int count = 0;
  while (true) {
    const absl::StatusOr<bool> found = reader.Next(&record);
    if (!found.ok()) {
      return absl::DataLossError(absl::StrCat(path, ": record ", count + 1, ": ", found.status().message(),
                                              ". Please verify your warmup data is in TFRecord format."));
    }
    if (!*found) return count;
    if (++count > kMostWarmupRecords) {
      return absl::InvalidArgumentError(
          absl::StrCat("Number of warmup records exceeds the maximum (", kMostWarmupRecords, ") at ", path));
    }
    if (absl::Status status = RunRecord(inference, record, count, path, iterations); !status.ok()) return status;
  }
}

absl::StatusOr<std::unique_ptr<Servable>> WarmupLoader::Load(const ServableId& id, const std::string& folder) {
  absl::StatusOr<std::unique_ptr<Servable>> servable = loader_->Load(id, folder);
  const std::string path = absl::StrCat(folder, "/", kWarmupFile);
  std::error_code error;
  if (!servable.ok() || !std::filesystem::exists(path, error)) return servable;
  const absl::Time start = SteadyNow();
  // The servable stays with its owner, which outlives the handle.
  const std::shared_ptr<Servable> borrowed(std::shared_ptr<void>(), servable->get());
  const absl::StatusOr<int> records = WarmUp({id, borrowed}, path, options_.iterations);
  const absl::Duration latency = SteadyNow() - start;
  if (options_.report) options_.report(folder, records.status(), latency);
  if (!records.ok()) return records.status();
  if (options_.log) {
    options_.log(absl::StrCat("model ", id.name, " version ", id.version, ": warm-up with ", *records,
                              " requests took ", absl::FormatDuration(absl::Trunc(latency, absl::Microseconds(1)))));
  }
  return servable;
}

}  // namespace ems
