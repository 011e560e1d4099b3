// The URLs: TensorFlow Serving's /v1 (3.1 of the facts), KServe's /v2, metrics and the status page.
#ifndef EMS_REST_REST_H_
#define EMS_REST_REST_H_

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "api/api.h"
#include "http/server.h"

namespace ems {

struct RestOptions {
  absl::Duration timeout = absl::Seconds(30);  // of each request
  std::string metrics_path;                    // empty: no metrics
};

class Rest {
 public:
  Rest(Api& api, RestOptions options) : api_(api), options_(std::move(options)) {}

  // Answers a request; never throws, never returns without a body for an error.
  HttpResponse Handle(const HttpRequest& request) const;

 private:
  Api& api_;
  RestOptions options_;
};

}  // namespace ems

#endif  // EMS_REST_REST_H_
