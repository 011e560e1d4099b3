#include "http/reply.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/text.h"
#include "http/gzip.h"

namespace ems {
namespace {

constexpr size_t kLeastGzip = 1024;  // a smaller body fits in a packet as it is

const char* Reason(int code) {
  switch (code) {
      // clang-format off
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
      // clang-format on
  }
}

bool IsText(std::string_view type) { return StartsWith(type, "text/") || StartsWith(type, "application/json"); }

}  // namespace

Reply MakeReply(HttpResponse response, const ReplyOptions& options) {
  Reply reply;
  reply.keep_alive = options.keep_alive;
  absl::StrAppend(&reply.head, "HTTP/1.1 ", response.code, " ", Reason(response.code),
                  "\r\nDate: ", absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone()),
                  "\r\n");
  if (!response.content_type.empty()) absl::StrAppend(&reply.head, "Content-Type: ", response.content_type, "\r\n");
  for (const auto& [name, value] : response.headers) absl::StrAppend(&reply.head, name, ": ", value, "\r\n");
  if (response.body.size() >= kLeastGzip && IsText(response.content_type)) {
    absl::StrAppend(&reply.head, "Vary: Accept-Encoding\r\n");
    std::optional<std::string> small;
    if (options.gzip) small = Deflate(response.body);
    if (small) {
      response.body = *std::move(small);
      absl::StrAppend(&reply.head, "Content-Encoding: gzip\r\n");
    }
  }
  if (options.cors) {
    absl::StrAppend(&reply.head,
                    "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: POST, GET\r\n"
                    "Access-Control-Allow-Headers: Content-Type\r\n");
  }
  absl::StrAppend(&reply.head, "Connection: ", options.keep_alive ? "keep-alive" : "close",
                  "\r\nContent-Length: ", response.body.size(), "\r\n\r\n");
  if (!options.head_only) reply.body = std::move(response.body);
  return reply;
}

HttpResponse ErrorResponse(int code, std::string_view text) {
  HttpResponse response;
  response.code = code;
  // The form of TensorFlow Serving's errors (3.1 of the facts).
  response.body = absl::StrCat("{\n    \"error\": \"", std::string(text), "\"\n}");
  return response;
}

}  // namespace ems
