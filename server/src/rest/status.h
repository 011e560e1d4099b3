// Statuses as HTTP replies.
#ifndef EMS_REST_STATUS_H_
#define EMS_REST_STATUS_H_

#include "absl/status/status.h"
#include "http/server.h"

namespace ems {

// Returns the HTTP code that TensorFlow Serving has for a status (3.1 of the facts).
int HttpCode(const absl::Status& status);

// Returns {"error": ...} with that code.
HttpResponse ErrorResponse(const absl::Status& status);

}  // namespace ems

#endif  // EMS_REST_STATUS_H_
