#include "http/parser.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "base/text.h"

namespace ems {
namespace {

// A size in hexadecimal with an extension that nobody reads.
constexpr size_t kMostChunkLine = 256;

bool IsTokenChar(unsigned char c) {
  return std::isalnum(c) != 0 ||
         std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
}

bool IsToken(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenChar); }

// Returns whether a value has a control character, which no header and no target may have.
bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

bool IsKnownMethod(std::string_view method) {
  static constexpr std::array<std::string_view, 9> kMethods = {"GET",     "HEAD",  "POST",  "PUT",    "DELETE",
                                                               "OPTIONS", "PATCH", "TRACE", "CONNECT"};
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

// Parses digits only: no sign, no space, no overflow.
bool ParseSize(std::string_view text, int base, uint64_t* value) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, *value, base);
  return !text.empty() && error == std::errc() && stop == end;
}

// Returns whether a list such as "keep-alive, Upgrade" has a member.
bool HasMember(std::string_view list, std::string_view member) {
  const std::vector<std::string_view> members = Split(list, ',');
  return std::any_of(members.begin(), members.end(),
                     [&](std::string_view text) { return EqualsIgnoreCase(Trim(text), member); });
}

}  // namespace

size_t RequestParser::Feed(std::string_view bytes) {
  size_t taken = 0;
  while (taken < bytes.size() && state_ != State::kDone && state_ != State::kError) {
    const std::string_view rest = bytes.substr(taken);
    const bool data = step_ == Step::kLengthBody || step_ == Step::kChunkData;
    taken += data ? FeedData(rest) : FeedLine(rest);
  }
  return taken;
}

size_t RequestParser::FeedLine(std::string_view bytes) {
  if (state_ == State::kIdle) state_ = State::kHeader;
  const size_t end = bytes.find('\n');
  const size_t size = end == std::string_view::npos ? bytes.size() : end + 1;
  const bool chunk = step_ == Step::kChunkSize || step_ == Step::kChunkEnd;
  if (chunk && line_.size() + size > kMostChunkLine) {
    Fail(400, "A chunk of the body has no valid size.");
    return size;
  }
  if (!chunk) header_bytes_ += size;
  if (header_bytes_ > limits_.header) {
    Fail(431, "The request's headers are too large.");
    return size;
  }
  line_.append(bytes.substr(0, size));
  if (end == std::string_view::npos) return size;
  std::string line = std::move(line_);
  line_.clear();
  line.pop_back();
  if (!line.empty() && line.back() == '\r') line.pop_back();
  Line(line);
  return size;
}

void RequestParser::Line(std::string_view line) {
  switch (step_) {
    case Step::kRequestLine:
      // An empty line between requests is passed over (RFC 9112, section 2.2).
      if (!line.empty()) RequestLine(line);
      return;
    case Step::kHeaders:
      return line.empty() ? EndOfHeaders() : HeaderLine(line);
    case Step::kChunkSize:
      return ChunkSize(line);
    case Step::kChunkEnd:
      if (!line.empty()) return Fail(400, "A chunk of the body is longer than its size.");
      step_ = Step::kChunkSize;
      return;
    case Step::kTrailer:
      if (line.empty()) Finish();
      return;
    case Step::kLengthBody:
    case Step::kChunkData:
      return;  // not lines
  }
}

void RequestParser::RequestLine(std::string_view line) {
  const std::vector<std::string_view> parts = Split(line, ' ');
  if (parts.size() != 3 || !IsToken(parts[0]) || parts[1].empty() || HasControl(line)) {
    return Fail(400, "The request line is malformed.");
  }
  if (!StartsWith(parts[2], "HTTP/")) return Fail(400, "The request line is malformed.");
  if (parts[2] != "HTTP/1.0" && parts[2] != "HTTP/1.1") return Fail(505, "Only HTTP/1.0 and HTTP/1.1 are served.");
  if (!IsKnownMethod(parts[0])) return Fail(501, "The method is unknown.");
  minor_version_ = parts[2].back() - '0';
  keep_alive_ = minor_version_ == 1;
  request_.method = std::string(parts[0]);
  Target(parts[1]);
  step_ = Step::kHeaders;
}

void RequestParser::Target(std::string_view target) {
  // Clients that take the server for a proxy send a whole URL (RFC 9112, section 3.2.2).
  const size_t scheme = target.find("://");
  if (target.front() != '/' && scheme != std::string_view::npos) {
    const size_t path = target.find('/', scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  if (target.front() != '/' && target != "*") return Fail(400, "The request's target is malformed.");
  request_.target = std::string(target);
}

void RequestParser::HeaderLine(std::string_view line) {
  const size_t colon = line.find(':');
  // A folded line and a space before the colon are read differently by different servers.
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) return Fail(400, "A header is malformed.");
  const std::string_view value = Trim(line.substr(colon + 1));
  if (HasControl(value)) return Fail(400, "A header is malformed.");
  auto [header, is_new] = request_.headers.try_emplace(Lower(line.substr(0, colon)), value);
  if (!is_new) header->second.append(", ").append(value);
}

const std::string& RequestParser::Header(const char* name) const {
  static const std::string kNone;
  const auto found = request_.headers.find(name);
  return found == request_.headers.end() ? kNone : found->second;
}

void RequestParser::EndOfHeaders() {
  if (minor_version_ == 1 && request_.headers.count("host") == 0) return Fail(400, "The header Host is missing.");
  const std::string& connection = Header("connection");
  if (HasMember(connection, "close")) keep_alive_ = false;
  if (minor_version_ == 0 && HasMember(connection, "keep-alive")) keep_alive_ = true;
  if (!Framing()) return;
  const std::string& expect = Header("expect");
  if (!expect.empty() && !EqualsIgnoreCase(expect, "100-continue")) {
    return Fail(417, "Only the expectation 100-continue is met.");
  }
  if (state_ == State::kBody) wants_continue_ = minor_version_ == 1 && !expect.empty();
}

bool RequestParser::Framing() {
  const bool has_length = request_.headers.count("content-length") != 0;
  const std::string& transfer = Header("transfer-encoding");
  uint64_t length = 0;
  // Two lengths, or a length beside chunks: a proxy in front may have taken the other.
  if (has_length && (!transfer.empty() || !ParseSize(Header("content-length"), 10, &length))) {
    Fail(400, "The body's length is malformed.");
  } else if (length > limits_.body) {
    Fail(413, "The request's body is too large.");
  } else if (!transfer.empty() && (minor_version_ == 0 || !EqualsIgnoreCase(transfer, "chunked"))) {
    Fail(minor_version_ == 0 ? 400 : 501, "Only the transfer encoding chunked is read.");
  }
  const std::string& coding = Header("content-encoding");
  if (EqualsIgnoreCase(coding, "gzip") || EqualsIgnoreCase(coding, "x-gzip")) {
    inflater_ = std::make_unique<Inflater>();
  } else if (!coding.empty() && !EqualsIgnoreCase(coding, "identity") && state_ != State::kError) {
    Fail(415, "Only the content encoding gzip is read.");
  }
  if (state_ == State::kError) return false;
  if (transfer.empty() && length == 0) {
    Finish();
    return state_ != State::kError;
  }
  state_ = State::kBody;
  step_ = transfer.empty() ? Step::kLengthBody : Step::kChunkSize;
  left_ = length;
  return true;
}

void RequestParser::ChunkSize(std::string_view line) {
  const std::string_view digits = Trim(line.substr(0, line.find(';')));
  if (!ParseSize(digits, 16, &left_)) return Fail(400, "A chunk of the body has no valid size.");
  if (left_ > limits_.body - body_bytes_) return Fail(413, "The request's body is too large.");
  header_bytes_ = 0;  // a trailer has the limit for itself
  step_ = left_ == 0 ? Step::kTrailer : Step::kChunkData;
}

size_t RequestParser::FeedData(std::string_view bytes) {
  const size_t size = std::min<uint64_t>(bytes.size(), left_);
  Append(bytes.substr(0, size));
  left_ -= size;
  body_bytes_ += size;
  if (left_ == 0 && state_ != State::kError) {
    if (step_ == Step::kChunkData) {
      step_ = Step::kChunkEnd;
    } else {
      Finish();
    }
  }
  return size;
}

void RequestParser::Append(std::string_view bytes) {
  std::string& body = request_.body;
  if (inflater_ == nullptr) {
    // Grown as the bytes arrive, as a length alone must not take memory; but never beyond that length.
    const size_t size = body.size() + bytes.size();
    const size_t most = step_ == Step::kLengthBody ? body.size() + left_ : limits_.body;
    if (size > body.capacity()) body.reserve(std::max(size, std::min(2 * size, most)));
    body.append(bytes);
    return;
  }
  switch (inflater_->Append(bytes, limits_.body, &body)) {
    case Inflater::Result::kOk:
      return;
    case Inflater::Result::kTooLarge:
      return Fail(413, "The request's body is too large.");
    case Inflater::Result::kBroken:
      return Fail(400, "The request's body is not valid gzip.");
  }
}

void RequestParser::Finish() {
  if (inflater_ != nullptr && body_bytes_ > 0 && !inflater_->done()) {
    return Fail(400, "The request's body is not valid gzip.");
  }
  state_ = State::kDone;
}

bool RequestParser::TakeContinue() { return std::exchange(wants_continue_, false); }

void RequestParser::Fail(int code, const char* text) {
  state_ = State::kError;
  error_code_ = code;
  error_text_ = text;
  keep_alive_ = false;
}

}  // namespace ems
