#include "http/connection.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "http/loop.h"

namespace ems {
namespace {

// A client that keeps this rate is not too slow, however long its body or its reply is.
constexpr size_t kLeastBytesPerSecond = 4096;
// How long a client may go on sending after its request was refused, and how long it may take a reply during the end.
constexpr Clock::duration kLinger = std::chrono::seconds(2);

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Connection::Connection(Loop& loop, uint64_t id, int fd)
    : loop_(loop),
      id_(id),
      fd_(fd),
      readable_(event_new(
          loop.base(), fd, EV_READ | EV_PERSIST,
          [](evutil_socket_t, short, void* self) { static_cast<Connection*>(self)->OnReadable(); },  // NOLINT
          this)),
      writable_(event_new(
          loop.base(), fd, EV_WRITE,
          [](evutil_socket_t, short, void* self) { static_cast<Connection*>(self)->Flush(); },  // NOLINT
          this)),
      parser_({loop.context().options.most_body_bytes, loop.context().options.most_header_bytes}),
      charge_(loop.context().budget) {
  event_add(readable_.get(), nullptr);
}

Connection::~Connection() {
  readable_.reset();
  writable_.reset();
  close(fd_);
}

Clock::time_point Connection::deadline() const {
  if (state_ == State::kAnswering) return Clock::time_point::max();
  Clock::duration most = absl::ToChronoNanoseconds(loop_.context().options.idle);
  if (state_ == State::kLingering || loop_.draining()) most = std::min(most, kLinger);
  if (state_ == State::kLingering) return since_ + most;
  return std::min(moved_ + most, since_ + most + std::chrono::seconds(progress_ / kLeastBytesPerSecond));
}

void Connection::Expire() {
  if (state_ == State::kReading && parser_.state() != RequestParser::State::kIdle) {
    return Refuse(408, "The request did not come in time.");
  }
  Close();
}

void Connection::OnReadable() {
  if (state_ == State::kAnswering || state_ == State::kWriting) {
    // The next request, or the client's end. Both wait until the reply is written.
    event_del(readable_.get());
    reading_ = false;
    return;
  }
  std::vector<char>& buffer = loop_.scratch();
  const ssize_t size = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return Close();
  if (state_ == State::kReading) Pump({buffer.data(), static_cast<size_t>(size)});
}

void Connection::Pump(std::string_view bytes) {
  if (parser_.state() == RequestParser::State::kIdle) {
    since_ = Clock::now();
    progress_ = 0;
  }
  const size_t taken = parser_.Feed(bytes);
  Progress(taken);
  ahead_ = std::string(bytes.substr(taken));
  if (parser_.state() == RequestParser::State::kError) return Refuse(parser_.error_code(), parser_.error_text());
  if (!charge_.Resize(parser_.buffered())) return Refuse(503, "The server has too many large requests. Try again.");
  if (parser_.state() == RequestParser::State::kDone) return Dispatch();
  // A client that waits has an empty connection, so the few bytes go out at once.
  if (parser_.TakeContinue()) send(fd_, kContinue.data(), kContinue.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Connection::Dispatch() {
  const ServerContext& context = loop_.context();
  Enter(State::kAnswering);
  Question question{id_, parser_.TakeRequest(), {}, std::move(charge_)};
  const HttpRequest& request = question.request;
  question.options.keep_alive = parser_.keep_alive();
  question.options.head_only = request.method == "HEAD";
  question.options.cors = context.options.cors;
  const auto accept = request.headers.find("accept-encoding");
  question.options.gzip = accept != request.headers.end() && AcceptsGzip(accept->second);
  charge_.Resize(ahead_.size());  // a scratch buffer's part at most, so it is not refused
  loop_.Ask(std::move(question));
}

void Connection::Refuse(int code, const char* text) {
  cut_off_ = true;
  // Its memory is others' while the client reads why.
  {
    const HttpRequest dropped = parser_.TakeRequest();
  }
  charge_.Resize(0);
  ReplyOptions options;
  options.cors = loop_.context().options.cors;
  Send(MakeReply(ErrorResponse(code, text), options));
}

void Connection::Send(Reply reply) {
  reply_ = std::move(reply);
  // A client that reads slowly, or not at all, keeps the memory of its reply. A small one is counted only where the
  // socket does not take it at once.
  if (reply_.body.size() > Budget::kSmall && !ChargeReply()) {
    ReplyOptions options;
    options.keep_alive = reply_.keep_alive;
    options.cors = loop_.context().options.cors;
    reply_ = MakeReply(ErrorResponse(503, "The server has too many large replies. Try again."), options);
    charge_.Resize(ahead_.size());
  }
  written_ = 0;
  Enter(State::kWriting);
  Flush();
}

bool Connection::ChargeReply() {
  return charge_.Resize(ahead_.size() + reply_.head.capacity() + reply_.body.capacity());
}

void Connection::Flush() {
  const size_t size = reply_.head.size() + reply_.body.size();
  while (written_ < size) {
    std::array<iovec, 2> parts;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    const size_t head = std::min(written_, reply_.head.size());
    const size_t body = written_ - head;
    parts[0] = {reply_.head.data() + head, reply_.head.size() - head};
    parts[1] = {reply_.body.data() + body, reply_.body.size() - body};
    msghdr message = {};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t sent = sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      if (!ChargeReply()) return Close();  // no reply would get through
      event_add(writable_.get(), nullptr);
      return;
    }
    if (sent < 0) return Close();
    written_ += sent;
    Progress(sent);
  }
  EndReply();
}

void Connection::EndReply() {
  const bool keep_alive = reply_.keep_alive && !loop_.draining();
  reply_ = {};
  charge_.Resize(ahead_.size());
  if (!keep_alive) {
    if (loop_.draining() && !cut_off_) return Close();
    shutdown(fd_, SHUT_WR);
    return Enter(State::kLingering);
  }
  parser_.Reset();
  Enter(State::kReading);
  if (!ahead_.empty()) Pump(std::exchange(ahead_, {}));
}

void Connection::Progress(size_t bytes) {
  progress_ += bytes;
  moved_ = Clock::now();
}

void Connection::Enter(State state) {
  state_ = state;
  since_ = moved_ = Clock::now();
  progress_ = 0;
  if (!reading_ && (state == State::kReading || state == State::kLingering)) {
    event_add(readable_.get(), nullptr);
    reading_ = true;
  }
}

void Connection::Close() { loop_.Close(id_); }

}  // namespace ems
