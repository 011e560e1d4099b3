// The calls behind both front ends, without a transport: find a version, check a request, run it, count it.
#ifndef EMS_API_API_H_
#define EMS_API_API_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "catalogue/catalogue.h"
#include "metrics/metrics.h"
#include "model/servable.h"

namespace ems {

// A signature of a version, found for a request. The version stays loaded while it exists.
struct Target {
  ServableHandle handle;
  std::string signature_name;
  const Signature* signature = nullptr;
};

class Api {
 public:
  Api(Catalogue& catalogue, Metrics& metrics) : catalogue_(catalogue), metrics_(metrics) {}

  // An empty `signature` is serving_default. FAILED_PRECONDITION `Serving signature key "s" not found.`
  absl::StatusOr<Target> Resolve(const ModelSpec& spec, const std::string& signature) const;

  // Checks the inputs (model/rows.h) and the filter, and runs. `filter` names the outputs to return; empty: all.
  // INVALID_ARGUMENT "output tensor alias not found in signature: .." or "duplicate output tensor alias: ..".
  absl::StatusOr<TensorMap> Predict(const Target& target, const TensorMap& inputs,
                                    const std::vector<std::string>& filter, absl::Time deadline) const;

  Catalogue& catalogue() const { return catalogue_; }
  Metrics& metrics() const { return metrics_; }

 private:
  Catalogue& catalogue_;
  Metrics& metrics_;
};

}  // namespace ems

#endif  // EMS_API_API_H_
