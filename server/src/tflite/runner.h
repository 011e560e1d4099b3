// One interpreter of a model, on the CPU or with an external delegate.
#ifndef EMS_TFLITE_RUNNER_H_
#define EMS_TFLITE_RUNNER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tflite/model.h"

namespace ems {

struct RunnerOptions {
  int threads = 1;
  std::string delegate;  // path or soname of an external delegate; empty: the CPU alone
  std::vector<std::pair<std::string, std::string>> delegate_options;
};

// Not thread-safe.
class TfliteRunner {
 public:
  // Builds the interpreter and allocates its tensors. UNAVAILABLE where the delegate is missing or refuses, with the
  // reason that it gave; INVALID_ARGUMENT for a model that cannot be prepared.
  static absl::StatusOr<std::unique_ptr<TfliteRunner>> Create(std::shared_ptr<const TfliteModel> model,
                                                              const RunnerOptions& options);
  virtual ~TfliteRunner() = default;

  // Runs a signature. Shapes were checked by the caller against the signature; a dynamic dimension is resized here.
  // INVALID_ARGUMENT where the model refuses the shapes, INTERNAL where a kernel or the delegate fails.
  virtual absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs) = 0;

  // Bytes of the arena and of the interpreter's own tensors.
  virtual uint64_t arena_bytes() const = 0;
};

// Returns zero inputs for a signature: a run with them is the warm-up that every load ends with.
TensorMap ZeroInputs(const Signature& signature);

}  // namespace ems

#endif  // EMS_TFLITE_RUNNER_H_
