// The URLs of TensorFlow Serving's REST API and of KServe's V2 protocol.
#ifndef EMS_REST_URL_H_
#define EMS_REST_URL_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "catalogue/catalogue.h"

namespace ems {

struct V1Call {
  enum class Kind { kPredict, kClassify, kRegress, kStatus, kMetadata };
  Kind kind = Kind::kStatus;
  ModelSpec spec;  // without a name: all models
};

// Returns whether a path is TensorFlow Serving's, whatever follows.
bool IsV1(std::string_view path);

// Parses POST /v1/models/NAME[/versions/N|/labels/L]:(predict|classify|regress) and GET
// /v1/models[/NAME][/versions/N|/labels/L][/metadata], in any case. `target` is as sent, with a query if it has one.
// INVALID_ARGUMENT "Malformed request: METHOD TARGET", or for a version beyond int64.
absl::StatusOr<V1Call> ParseV1(const std::string& method, const std::string& target);

struct V2Call {
  enum class Kind { kServer, kLive, kReady, kModel, kModelReady, kInfer };
  Kind kind = Kind::kServer;
  ModelSpec spec;
};

bool IsV2(std::string_view path);

// Parses GET /v2, /v2/health/live, /v2/health/ready, /v2/models/M[/versions/V][/ready] and POST
// /v2/models/M[/versions/V]/infer. INVALID_ARGUMENT for a version that is no number; NOT_FOUND for all else.
absl::StatusOr<V2Call> ParseV2(const std::string& method, std::string_view path);

// Returns the text with %XX as bytes; what is no such escape stays as it is.
std::string PercentDecode(std::string_view text);

}  // namespace ems

#endif  // EMS_REST_URL_H_
