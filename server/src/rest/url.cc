#include "rest/url.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"

namespace ems {
namespace {

bool TakePrefix(std::string_view prefix, std::string_view* text) {
  if (!EqualsIgnoreCase(text->substr(0, prefix.size()), prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

// Takes a segment after a slash: no slash, no colon, not empty.
bool TakeSegment(std::string_view* text, std::string* segment) {
  if (!StartsWith(*text, "/")) return false;
  const size_t end = std::min(text->find_first_of("/:", 1), text->size());
  if (end == 1) return false;
  *segment = std::string(text->substr(1, end - 1));
  text->remove_prefix(end);
  return true;
}

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

absl::Status ParseVersion(const std::string& digits, ModelSpec* spec) {
  int64_t version = 0;
  if (!absl::SimpleAtoi(digits, &version)) {
    return absl::InvalidArgumentError(absl::StrCat("Failed to convert version: ", digits, " to numeric."));
  }
  spec->version = version;
  return absl::OkStatus();
}

// Takes /versions/N or /labels/L where the text begins so. Nothing is taken where it does not.
absl::Status TakeVersion(std::string_view* text, ModelSpec* spec) {
  std::string_view rest = *text;
  std::string segment;
  if (TakePrefix("/versions", &rest) && TakeSegment(&rest, &segment) && IsDigits(segment)) {
    *text = rest;
    return ParseVersion(segment, spec);
  }
  rest = *text;
  if (TakePrefix("/labels", &rest) && TakeSegment(&rest, &segment)) {
    *text = rest;
    spec->label = PercentDecode(segment);
  }
  return absl::OkStatus();
}

}  // namespace

std::string PercentDecode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* digits = text.data() + i + 1;  // NOLINT(bugprone-suspicious-stringview-data-usage): length is checked
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      decoded.push_back(static_cast<char>(byte));
      i += 2;
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

bool IsV1(std::string_view path) { return TakePrefix("/v1/", &path); }

// The expressions of tensorflow_serving/model_servers/http_rest_api_handler.cc@b6b8cca6, without a regex library.
absl::StatusOr<V1Call> ParseV1(const std::string& method, const std::string& target) {
  const absl::Status malformed = absl::InvalidArgumentError(absl::StrCat("Malformed request: ", method, " ", target));
  std::string_view rest = target;
  if (target.find('?') != std::string::npos || !TakePrefix("/v1/models", &rest)) return malformed;
  V1Call call;
  std::string name;
  if (TakeSegment(&rest, &name)) call.spec.name = PercentDecode(name);
  if (absl::Status status = TakeVersion(&rest, &call.spec); !status.ok()) return status;
  if (method == "GET") {
    if (EqualsIgnoreCase(rest, "/metadata")) {
      call.kind = V1Call::Kind::kMetadata;
    } else if (!rest.empty()) {
      return malformed;
    }
    return call;
  }
  if (method != "POST" || call.spec.name.empty()) return malformed;
  if (EqualsIgnoreCase(rest, ":predict")) {
    call.kind = V1Call::Kind::kPredict;
  } else if (EqualsIgnoreCase(rest, ":classify")) {
    call.kind = V1Call::Kind::kClassify;
  } else if (EqualsIgnoreCase(rest, ":regress")) {
    call.kind = V1Call::Kind::kRegress;
  } else {
    return malformed;
  }
  return call;
}

bool IsV2(std::string_view path) { return path == "/v2" || StartsWith(path, "/v2/"); }

absl::StatusOr<V2Call> ParseV2(const std::string& method, std::string_view path) {
  using Kind = V2Call::Kind;
  const absl::Status unknown = absl::NotFoundError(absl::StrCat("no such URL: ", method, " ", std::string(path)));
  while (EndsWith(path, "/")) path.remove_suffix(1);
  V2Call call;
  std::vector<std::string_view> parts = Split(path, '/');  // "", "v2", ...
  parts.erase(parts.begin(), parts.begin() + 2);
  const bool get = method == "GET";
  if (parts.empty()) return get ? absl::StatusOr<V2Call>(call) : unknown;
  if (parts[0] == "health" && parts.size() == 2 && get) {
    call.kind = parts[1] == "live" ? Kind::kLive : Kind::kReady;
    return parts[1] == "live" || parts[1] == "ready" ? absl::StatusOr<V2Call>(call) : unknown;
  }
  if (parts[0] != "models" || parts.size() < 2 || parts[1].empty()) return unknown;
  call.spec.name = PercentDecode(parts[1]);
  size_t next = 2;
  if (parts.size() >= 4 && parts[2] == "versions") {
    if (absl::Status status = ParseVersion(std::string(parts[3]), &call.spec); !status.ok()) return status;
    next = 4;
  }
  if (parts.size() > next + 1) return unknown;
  const std::string_view verb = parts.size() > next ? parts[next] : "";
  if (get && verb.empty()) {
    call.kind = Kind::kModel;
  } else if (get && verb == "ready") {
    call.kind = Kind::kModelReady;
  } else if (method == "POST" && verb == "infer") {
    call.kind = Kind::kInfer;
  } else {
    return unknown;
  }
  return call;
}

}  // namespace ems
