// Replies on the wire.
#ifndef EMS_HTTP_REPLY_H_
#define EMS_HTTP_REPLY_H_

#include <string>
#include <string_view>

#include "http/server.h"

namespace ems {

// What a connection writes, and whether it reads another request afterwards.
struct Reply {
  std::string head;
  std::string body;
  bool keep_alive = false;
};

struct ReplyOptions {
  bool keep_alive = false;
  bool head_only = false;  // the request was HEAD: the length is told, the body is not sent
  bool gzip = false;       // the client accepts gzip
  bool cors = false;
};

// Adds status line and headers; compresses a body of text that is worth it.
Reply MakeReply(HttpResponse response, const ReplyOptions& options);

// Returns a response {"error": text}; `text` has no character that JSON escapes.
HttpResponse ErrorResponse(int code, std::string_view text);

}  // namespace ems

#endif  // EMS_HTTP_REPLY_H_
