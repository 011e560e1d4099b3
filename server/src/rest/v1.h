// TensorFlow Serving's REST calls (3.1 and 3.2 of the facts).
#ifndef EMS_REST_V1_H_
#define EMS_REST_V1_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/api.h"
#include "codec/json.h"
#include "http/server.h"
#include "rest/url.h"

namespace ems {

// Thread-safe.
class V1 {
 public:
  V1(Api& api, absl::Duration timeout) : api_(api), timeout_(timeout) {}

  // Returns the body of the reply. `method` is GET for HEAD too. The body of a predict call is JSON, or an image by its
  // Content-Type (image/jpeg, image/png) for a model whose only input takes images.
  absl::StatusOr<std::string> Handle(const std::string& method, const HttpRequest& request) const;

 private:
  absl::StatusOr<std::string> Status(const ModelSpec& spec) const;
  absl::StatusOr<std::string> Metadata(const ModelSpec& spec) const;
  // Each of these fills in `model` once it is the name of a model that exists.
  absl::StatusOr<std::string> PredictImage(const ModelSpec& spec, const std::string& file, absl::Time deadline,
                                           std::string* model) const;
  absl::StatusOr<std::string> Predict(const ModelSpec& spec, const std::string& body, absl::Time deadline,
                                      std::string* model) const;
  template <typename Request, typename Call, typename Reply>
  absl::StatusOr<std::string> OnExamples(const ModelSpec& spec, const std::string& body, std::string* model, Call call,
                                         Reply reply) const;
  absl::StatusOr<std::string> Compute(const V1Call& call, const HttpRequest& request, absl::Time deadline,
                                      std::string* model) const;

  Api& api_;
  const absl::Duration timeout_;
};

// Counts a request in the metrics, where `model` is not empty, and its latency where it succeeded.
void Count(Metrics& metrics, const std::string& model, const char* api, absl::Time start, const absl::Status& status);

}  // namespace ems

#endif  // EMS_REST_V1_H_
