// The calls behind both front ends, without a transport: find a version, check a request, run it.
//
// Calls that a client makes in protocol buffers (gRPC) or in JSON of the same messages (REST) take and return those
// messages. A front end counts each request (Metrics::CountRequest) once the model is known to be configured, and its
// latency where it succeeds; the latency of the run itself is counted here.
#ifndef EMS_API_API_H_
#define EMS_API_API_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/inference.h"
#include "catalogue/catalogue.h"
#include "metrics/metrics.h"
#include "tensorflow_serving/apis/get_model_metadata.pb.h"
#include "tensorflow_serving/apis/get_model_status.pb.h"
#include "tensorflow_serving/apis/model_management.pb.h"

namespace ems {

class Api : public Inference {
 public:
  // Both must outlive the object, which is thread-safe.
  Api(Catalogue& catalogue, Metrics& metrics)
      : Inference([&catalogue](const ModelSpec& spec) { return catalogue.Find(spec); }, &metrics),
        catalogue_(catalogue),
        metrics_(metrics) {}

  // Returns the states of a model's versions. NOT_FOUND as Catalogue::Statuses.
  absl::StatusOr<tensorflow::serving::GetModelStatusResponse> Status(const ModelSpec& spec) const;

  // Returns the signatures of a version, under "signature_def". Errors of Catalogue::Find.
  absl::StatusOr<tensorflow::serving::GetModelMetadataResponse> Metadata(const ModelSpec& spec) const;

  // Serves another list of models from now on; blocks as Catalogue::SetConfig.
  absl::Status Reload(const tensorflow::serving::ReloadConfigRequest& request, absl::Time deadline) const;

  Catalogue& catalogue() const { return catalogue_; }
  Metrics& metrics() const { return metrics_; }

 private:
  Catalogue& catalogue_;
  Metrics& metrics_;
};

}  // namespace ems

#endif  // EMS_API_API_H_
