#include "http/parser.h"

#include <utility>

#include "base/text.h"

namespace ems {

constexpr size_t kHeaderCost = 112;  // bytes of a map's node for a header, beside long names and values

// The functions that llhttp calls. A result other than 0 ends the parsing.
struct RequestParser::Callbacks {
  static RequestParser& Of(llhttp_t* parser) { return *static_cast<RequestParser*>(parser->data); }
  static int Result(bool good) { return good ? HPE_OK : HPE_USER; }

  static int Begin(llhttp_t* parser) {
    Of(parser).state_ = State::kHeader;
    return HPE_OK;
  }
  static int Url(llhttp_t* parser, const char* bytes, size_t size) {
    Of(parser).request_.target.append(bytes, size);
    return Result(Of(parser).Count(size));
  }
  static int Name(llhttp_t* parser, const char* bytes, size_t size) {
    Of(parser).name_.append(bytes, size);
    return Result(Of(parser).Count(size));
  }
  static int ChunkExtension(llhttp_t* parser, const char* /*bytes*/, size_t size) {
    return Result(Of(parser).Count(size));
  }
  static int Value(llhttp_t* parser, const char* bytes, size_t size) {
    Of(parser).value_.append(bytes, size);
    return Result(Of(parser).Count(size));
  }
  static int ValueComplete(llhttp_t* parser) { return Result(Of(parser).EndOfHeader()); }
  static int HeadersComplete(llhttp_t* parser) {
    parser->upgrade = 0;  // no protocol is changed to: the request is answered as one of HTTP/1.1
    return Of(parser).EndOfHeaders() ? 0 : -1;
  }
  static int Body(llhttp_t* parser, const char* bytes, size_t size) { return Result(Of(parser).Append({bytes, size})); }
  static int Chunk(llhttp_t* parser) {
    RequestParser& request = Of(parser);
    const bool fits = parser->content_length <= request.limits_.body - request.body_bytes_;
    return Result(fits || request.Fail(413, "The request's body is too large."));
  }
  // The bytes of the next request, if any, wait until this one is answered.
  static int MessageComplete(llhttp_t* parser) { return Of(parser).Finish() ? HPE_PAUSED : HPE_USER; }
};

const llhttp_settings_t& RequestParser::Settings() {
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_message_begin = Callbacks::Begin;
    settings.on_url = Callbacks::Url;
    settings.on_header_field = Callbacks::Name;
    settings.on_header_value = Callbacks::Value;
    settings.on_header_value_complete = Callbacks::ValueComplete;
    settings.on_headers_complete = Callbacks::HeadersComplete;
    settings.on_body = Callbacks::Body;
    settings.on_chunk_header = Callbacks::Chunk;
    settings.on_chunk_extension_name = Callbacks::ChunkExtension;
    settings.on_chunk_extension_value = Callbacks::ChunkExtension;
    settings.on_message_complete = Callbacks::MessageComplete;
    return settings;
  }();
  return kSettings;
}

RequestParser::RequestParser(Limits limits) : limits_(limits) { Reset(); }

void RequestParser::Reset() {
  llhttp_init(&llhttp_, HTTP_REQUEST, &Settings());
  llhttp_.data = this;
  state_ = State::kIdle;
  request_ = HttpRequest();
  name_.clear();
  value_.clear();
  header_bytes_ = 0;
  kept_bytes_ = 0;
  body_bytes_ = 0;
  inflater_.reset();
  keep_alive_ = true;
  wants_continue_ = false;
  error_code_ = 0;
  error_text_ = "";
}

size_t RequestParser::Feed(std::string_view bytes) {
  if (bytes.empty() || state_ == State::kDone || state_ == State::kError) return 0;
  if (llhttp_execute(&llhttp_, bytes.data(), bytes.size()) == HPE_OK) return bytes.size();
  const char* stop = llhttp_get_error_pos(&llhttp_);
  if (state_ != State::kDone) FailByParser();
  return stop == nullptr ? bytes.size() : static_cast<size_t>(stop - bytes.data());
}

bool RequestParser::Count(size_t bytes) {
  header_bytes_ += bytes;
  if (state_ != State::kBody) kept_bytes_ += bytes;
  return header_bytes_ <= limits_.header || Fail(431, "The request's headers are too large.");
}

bool RequestParser::EndOfHeader() {
  // A name and a value without bytes cost memory too.
  if (!Count(4)) return false;
  const std::string_view value = Trim(value_);
  if (state_ != State::kBody) {  // a trailer is read, and not kept
    auto [header, is_new] = request_.headers.try_emplace(Lower(name_), value);
    if (is_new) kept_bytes_ += kHeaderCost;
    if (!is_new) header->second.append(", ").append(value);
  }
  name_.clear();
  value_.clear();
  return true;
}

const std::string& RequestParser::Header(const char* name) const {
  static const std::string kNone;
  const auto found = request_.headers.find(name);
  return found == request_.headers.end() ? kNone : found->second;
}

bool RequestParser::EndOfHeaders() {
  request_.method = llhttp_method_name(static_cast<llhttp_method_t>(llhttp_get_method(&llhttp_)));
  keep_alive_ = llhttp_should_keep_alive(&llhttp_) != 0;
  if (!CheckVersion() || !CheckTarget() || !CheckLength() || !CheckCoding() || !CheckExpectation()) return false;
  const bool has_body = llhttp_.content_length > 0 || (llhttp_.flags & F_CHUNKED) != 0;
  wants_continue_ = has_body && llhttp_.http_minor == 1 && !Header("expect").empty();
  state_ = State::kBody;
  header_bytes_ = 0;  // a trailer has the limit for itself
  return true;
}

bool RequestParser::CheckVersion() {
  if (llhttp_.http_major != 1) return Fail(505, "Only HTTP/1.0 and HTTP/1.1 are served.");
  const bool has_host = llhttp_.http_minor == 0 || request_.headers.count("host") != 0;
  return has_host || Fail(400, "The header Host is missing.");
}

bool RequestParser::CheckTarget() {
  std::string& target = request_.target;
  // Clients that take the server for a proxy send a whole URL (RFC 9112, section 3.2.2).
  const size_t scheme = target.find("://");
  if (target.front() != '/' && scheme != std::string::npos) {
    const size_t path = target.find('/', scheme + 3);
    target = path == std::string::npos ? "/" : target.substr(path);
  }
  return target.front() == '/' || target == "*" || Fail(400, "The request's target is malformed.");
}

bool RequestParser::CheckLength() {
  if (request_.headers.count("content-length") != 0 && llhttp_.content_length > limits_.body) {
    return Fail(413, "The request's body is too large.");
  }
  // llhttp reads other codings up to the end of the connection, and has no word on HTTP/1.0 (RFC 9112, section 6.1).
  const std::string& transfer = Header("transfer-encoding");
  if (transfer.empty() || (llhttp_.http_minor == 1 && EqualsIgnoreCase(transfer, "chunked"))) return true;
  return Fail(llhttp_.http_minor == 0 ? 400 : 501, "Only the transfer encoding chunked is read.");
}

bool RequestParser::CheckCoding() {
  const std::string& coding = Header("content-encoding");
  if (EqualsIgnoreCase(coding, "gzip") || EqualsIgnoreCase(coding, "x-gzip")) {
    inflater_ = std::make_unique<Inflater>();
    return true;
  }
  return coding.empty() || EqualsIgnoreCase(coding, "identity") || Fail(415, "Only the content encoding gzip is read.");
}

bool RequestParser::CheckExpectation() {
  const std::string& expect = Header("expect");
  return expect.empty() || EqualsIgnoreCase(expect, "100-continue") ||
         Fail(417, "Only the expectation 100-continue is met.");
}

bool RequestParser::Append(std::string_view bytes) {
  body_bytes_ += bytes.size();
  if (inflater_ == nullptr) {
    request_.body.append(bytes);
    return true;
  }
  switch (inflater_->Append(bytes, limits_.body, &request_.body)) {
    case Inflater::Result::kOk:
      return true;
    case Inflater::Result::kTooLarge:
      return Fail(413, "The request's body is too large.");
    case Inflater::Result::kNoMemory:
      return Fail(503, "The server has no memory to inflate the request's body. Try again.");
    case Inflater::Result::kBroken:
      break;
  }
  return Fail(400, "The request's body is not valid gzip.");
}

bool RequestParser::Finish() {
  if (inflater_ != nullptr && body_bytes_ > 0 && !inflater_->done()) {
    return Fail(400, "The request's body is not valid gzip.");
  }
  state_ = State::kDone;
  return true;
}

bool RequestParser::TakeContinue() { return std::exchange(wants_continue_, false); }

void RequestParser::FailByParser() {
  switch (llhttp_get_errno(&llhttp_)) {
    case HPE_INVALID_METHOD:
      Fail(501, "The method is unknown.");
      return;
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
      Fail(505, "Only HTTP/1.0 and HTTP/1.1 are served.");
      return;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
      Fail(400, "The body's length is malformed.");
      return;
    case HPE_INVALID_CHUNK_SIZE:
      Fail(400, "A chunk of the body has no valid size.");
      return;
    default:
      Fail(400, state_ == State::kBody ? "The request's body is malformed." : "The request is malformed.");
  }
}

bool RequestParser::Fail(int code, const char* text) {
  if (state_ == State::kError) return false;
  state_ = State::kError;
  error_code_ = code;
  error_text_ = text;
  keep_alive_ = false;
  return false;
}

}  // namespace ems
