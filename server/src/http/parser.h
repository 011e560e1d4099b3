// An incremental parser of HTTP/1.0 and 1.1 requests, without sockets. It is strict where leniency lets requests be
// smuggled past a proxy (RFC 9112, sections 5 and 6).
#ifndef EMS_HTTP_PARSER_H_
#define EMS_HTTP_PARSER_H_

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

  explicit RequestParser(Limits limits) : limits_(limits) {}

  // Takes bytes up to the end of the request or to the first error, and returns how many.
  size_t Feed(std::string_view bytes);

  State state() const { return state_; }
  // Returns whether the client waits for "100 Continue" before it sends the body; true once.
  bool TakeContinue();
  // Returns the bytes of memory that the body takes.
  size_t buffered() const { return request_.body.capacity(); }

  // After kDone. The parser is ready for the next request after Reset.
  HttpRequest TakeRequest() { return std::move(request_); }
  bool keep_alive() const { return keep_alive_; }
  int minor_version() const { return minor_version_; }
  void Reset() { *this = RequestParser(limits_); }

  // After kError: the code of the reply and its text.
  int error_code() const { return error_code_; }
  const char* error_text() const { return error_text_; }

 private:
  enum class Step { kRequestLine, kHeaders, kLengthBody, kChunkSize, kChunkData, kChunkEnd, kTrailer };

  size_t FeedLine(std::string_view bytes);
  size_t FeedData(std::string_view bytes);
  void Line(std::string_view line);
  void RequestLine(std::string_view line);
  void Target(std::string_view target);
  void HeaderLine(std::string_view line);
  void EndOfHeaders();
  // Reads the headers that say where the body ends and how it is coded. Returns false after an error.
  bool Framing();
  void ChunkSize(std::string_view line);
  void Append(std::string_view bytes);
  void Finish();
  void Fail(int code, const char* text);
  // Returns the value of a header; empty where it is missing.
  const std::string& Header(const char* name) const;

  Limits limits_;
  State state_ = State::kIdle;
  Step step_ = Step::kRequestLine;
  HttpRequest request_;
  std::string line_;         // the start of a line whose end has not come yet
  size_t header_bytes_ = 0;  // so far
  size_t body_bytes_ = 0;    // so far, as sent
  uint64_t left_ = 0;        // bytes of the body or of the chunk that are still to come
  std::unique_ptr<Inflater> inflater_;
  int minor_version_ = 1;
  bool keep_alive_ = true;
  bool wants_continue_ = false;
  int error_code_ = 0;
  const char* error_text_ = "";
};

}  // namespace ems

#endif  // EMS_HTTP_PARSER_H_
