#include <memory>
#include <utility>

#include "tflite/model.h"
#include "worker/worker.h"

namespace ems {

absl::StatusOr<OpenModel> OpenTfliteModel(const LoadModel& load) {
  const absl::StatusOr<std::shared_ptr<const TfliteModel>> model = TfliteModel::Map(load.path);
  if (!model.ok()) return model.status();
  absl::StatusOr<std::unique_ptr<TfliteRunner>> runner = TfliteRunner::Create(*model, load.options);
  if (!runner.ok()) return runner.status();
  return OpenModel{(*model)->signatures(), *std::move(runner)};
}

}  // namespace ems
