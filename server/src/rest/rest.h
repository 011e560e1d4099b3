// The URLs: TensorFlow Serving's /v1 (3.1 of the facts), KServe's /v2, metrics and the status page.
#ifndef EMS_REST_REST_H_
#define EMS_REST_REST_H_

#include <string>
#include <utility>

#include "absl/time/time.h"
#include "api/api.h"
#include "http/server.h"
#include "rest/report.h"
#include "rest/v1.h"
#include "rest/v2.h"

namespace ems {

struct RestOptions {
  absl::Duration timeout = absl::Seconds(30);  // of each request
  std::string metrics_path;                    // empty: no metrics
  std::string version;                         // the server's, for people
};

// Thread-safe.
class Rest {
 public:
  Rest(Api& api, const RestOptions& options)
      : api_(api),
        options_(options),
        v1_(api, options.timeout),
        v2_(api, options.timeout, options.version),
        reporter_(api, options.version) {}

  // Answers a request; an error has a body. Throws only what the standard library does, such as std::bad_alloc.
  HttpResponse Handle(const HttpRequest& request) const;

 private:
  Api& api_;
  RestOptions options_;
  V1 v1_;
  V2 v2_;
  mutable StatusReporter reporter_;
};

}  // namespace ems

#endif  // EMS_REST_REST_H_
