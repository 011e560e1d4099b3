// KServe's V2 protocol (Open Inference Protocol) over REST, beside TensorFlow Serving's API.
#ifndef EMS_REST_V2_H_
#define EMS_REST_V2_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/api.h"
#include "http/server.h"
#include "rest/url.h"

namespace ems {

// Thread-safe.
class V2 {
 public:
  V2(Api& api, absl::Duration timeout, std::string version)
      : api_(api), timeout_(timeout), version_(std::move(version)) {}

  // Answers GET (also for HEAD) and POST. Errors are {"error": ...} with the codes of /v1.
  HttpResponse Handle(const std::string& method, std::string_view path, const HttpRequest& request) const;

 private:
  absl::StatusOr<HttpResponse> Call(const V2Call& call, const HttpRequest& request) const;
  std::string Server() const;
  absl::StatusOr<std::string> Model(const ModelSpec& spec) const;
  HttpResponse ModelReady(const ModelSpec& spec) const;
  // Fills in `model` once it is the name of a model that exists.
  absl::StatusOr<HttpResponse> Infer(const ModelSpec& spec, const HttpRequest& request, absl::Time deadline,
                                     std::string* model) const;

  Api& api_;
  const absl::Duration timeout_;
  const std::string version_;
};

}  // namespace ems

#endif  // EMS_REST_V2_H_
