// An incremental parser of HTTP/1.0 and 1.1 requests, without sockets: llhttp reads, and the server's limits hold.
#ifndef EMS_HTTP_PARSER_H_
#define EMS_HTTP_PARSER_H_

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/gzip.h"
#include "http/server.h"

namespace ems {

class RequestParser {
 public:
  struct Limits {
    size_t body = 0;    // as sent and inflated
    size_t header = 0;  // request line and headers, also a trailer's
  };
  enum class State { kIdle, kHeader, kBody, kDone, kError };

  explicit RequestParser(Limits limits);
  // llhttp points back to the object.
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;
  ~RequestParser() = default;

  // Takes bytes up to the end of the request or to the first error, and returns how many.
  size_t Feed(std::string_view bytes);

  State state() const { return state_; }
  // Returns whether the client waits for "100 Continue" before it sends the body; true once.
  bool TakeContinue();
  // Returns the bytes of memory that the request takes, about.
  size_t buffered() const { return kept_bytes_ + request_.body.capacity(); }

  // After kDone. The parser is ready for the next request after Reset.
  HttpRequest TakeRequest() { return std::move(request_); }
  bool keep_alive() const { return keep_alive_; }
  void Reset();

  // After kError: the code of the reply and its text.
  int error_code() const { return error_code_; }
  const char* error_text() const { return error_text_; }

 private:
  struct Callbacks;
  static const llhttp_settings_t& Settings();

  // Each returns whether the request is still good.
  bool Count(size_t bytes);
  bool EndOfHeader();
  bool EndOfHeaders();
  bool CheckVersion();
  bool CheckTarget();
  bool CheckLength();
  bool CheckCoding();
  bool CheckExpectation();
  bool Append(std::string_view bytes);
  bool Finish();
  // Keeps the first failure, and returns false.
  bool Fail(int code, const char* text);
  void FailByParser();
  // Returns the value of a header; empty where it is missing.
  const std::string& Header(const char* name) const;

  Limits limits_;
  llhttp_t llhttp_;
  State state_ = State::kIdle;
  HttpRequest request_;
  std::string name_;   // of the header that is being read
  std::string value_;  // of that header
  size_t header_bytes_ = 0;
  size_t kept_bytes_ = 0;  // memory of the request line and the headers
  size_t body_bytes_ = 0;  // so far, as sent
  std::unique_ptr<Inflater> inflater_;
  bool keep_alive_ = true;
  bool wants_continue_ = false;
  int error_code_ = 0;
  const char* error_text_ = "";
};

}  // namespace ems

#endif  // EMS_HTTP_PARSER_H_
