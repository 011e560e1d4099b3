// An HTTP/1.1 server on libevent: loops that read and write, and a pool of threads that answers.
//
// A loop answers a small request itself where nothing else is to do; if that takes longer than a millisecond, another
// thread runs the loop meanwhile. Requests by GET and HEAD have a thread of their own, so that health and metrics are
// answered while all other threads compute.
#ifndef EMS_HTTP_SERVER_H_
#define EMS_HTTP_SERVER_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ems {

struct HttpRequest {
  std::string method;
  std::string target;                          // path and query, as sent
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // inflated
};

struct HttpResponse {
  int code = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

class HttpServer {
 public:
  struct Options {
    std::string address;  // empty: all, by IPv6 and IPv4
    int port = 8501;      // 0: any free one
    int loops = 1;
    int threads = 4;                          // that answer requests other than GET and HEAD
    size_t queue = 256;                       // requests that wait for a thread; more are answered 429
    size_t most_body_bytes = 64U << 20;       // larger: 413, also after inflating
    size_t most_header_bytes = 64U << 10;     // larger: 431
    size_t most_buffered_bytes = 256U << 20;  // requests and replies of all connections together; more: 503
    int most_connections = 16384;             // more are closed at once
    absl::Duration idle = absl::Seconds(60);  // connections without a request, or with a slow one, are closed
    bool cors = false;                        // TensorFlow Serving's headers (3.1 of the facts), and OPTIONS
  };
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // Listens and serves; `handler` is called by several threads. FAILED_PRECONDITION where the port is taken, with its
  // number; INVALID_ARGUMENT for an address that this machine does not have.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const Options& options, Handler handler);
  virtual ~HttpServer() = default;  // answers requests that were read, then stops
  virtual int port() const = 0;
};

}  // namespace ems

#endif  // EMS_HTTP_SERVER_H_
