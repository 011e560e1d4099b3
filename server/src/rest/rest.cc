#include "rest/rest.h"

#include "base/text.h"
#include "rest/page.h"
#include "rest/status.h"

namespace ems {
namespace {

HttpResponse Page(int code, std::string html) {
  HttpResponse response;
  response.code = code;
  response.content_type = "text/html; charset=utf-8";
  // Nothing from elsewhere, whatever a name or an error on the page says.
  response.headers.emplace_back(
      "Content-Security-Policy",
      "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
      "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = std::move(html);
  return response;
}

HttpResponse NotFound() {
  return Page(404,
              "<!doctype html>\n<html lang=\"en\"><head><title>404 Not Found</title></head>\n"
              "<body><h1>Not Found</h1></body></html>\n");
}

HttpResponse MetricsText(const Metrics& metrics) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4";
  response.body = metrics.Text();
  return response;
}

}  // namespace

HttpResponse Rest::Handle(const HttpRequest& request) const {
  // What GET answers, HEAD does too; http drops the body.
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  const std::string path = request.target.substr(0, request.target.find('?'));
  if (IsV1(path)) {
    absl::StatusOr<std::string> body = v1_.Handle(method, request);
    if (!body.ok()) return ErrorResponse(body.status());
    HttpResponse response;
    response.body = *std::move(body);
    return response;
  }
  if (IsV2(path)) return v2_.Handle(method, path, request);
  if (method != "GET") return NotFound();
  if (path == "/") return Page(200, StatusPage(reporter_.Report()));
  if (!options_.metrics_path.empty() && path == options_.metrics_path) return MetricsText(api_.metrics());
  return NotFound();
}

}  // namespace ems
