#include "worker/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"

namespace ems {

namespace {

// The step by which a body's buffer grows.
constexpr size_t kStep = size_t{1} << 20;

// A larger buffer is not kept for the next message.
constexpr size_t kMostKept = size_t{4} << 20;

}  // namespace

MessageWriter::MessageWriter(std::string_view message)
    : length_(static_cast<uint32_t>(message.size())), message_(message) {}

absl::StatusOr<bool> MessageWriter::Write(int fd) {
  const size_t whole = sizeof length_ + message_.size();
  while (sent_ < whole) {
    const size_t of_length = std::min(sent_, sizeof length_);
    const size_t of_body = sent_ - of_length;
    std::array<iovec, 2> parts{
        iovec{reinterpret_cast<char*>(&length_) + of_length, sizeof length_ - of_length},
        iovec{const_cast<char*>(message_.data()) + of_body, message_.size() - of_body},
    };
    msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = parts.size();
    const ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL);
    if (sent >= 0) {
      sent_ += static_cast<size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return false;
    } else if (errno != EINTR) {
      return absl::UnavailableError(absl::ErrnoToStatus(errno, "cannot send").message());
    }
  }
  return true;
}

absl::StatusOr<MessageReader::State> MessageReader::Receive(int fd, char* to, size_t room, size_t* got) const {
  ssize_t received = -1;
  do {
    received = recv(fd, to, room, 0);
  } while (received < 0 && errno == EINTR);
  if (received > 0) {
    *got = static_cast<size_t>(received);
    return State::kMessage;
  }
  if (received == 0 && length_bytes_ == 0) return State::kEnd;
  if (received == 0) return absl::UnavailableError("the peer broke off within a message");
  if (errno == EAGAIN || errno == EWOULDBLOCK) return State::kPartial;
  return absl::UnavailableError(absl::ErrnoToStatus(errno, "cannot receive").message());
}

absl::StatusOr<MessageReader::State> MessageReader::Read(int fd) {
  if (whole_) Drop();
  while (length_bytes_ < sizeof length_ || body_bytes_ < length_) {
    size_t got = 0;
    if (length_bytes_ < sizeof length_) {
      char* const to = reinterpret_cast<char*>(&length_) + length_bytes_;
      absl::StatusOr<State> state = Receive(fd, to, sizeof length_ - length_bytes_, &got);
      if (!state.ok() || *state != State::kMessage) return state;
      length_bytes_ += got;
      if (length_bytes_ == sizeof length_ && length_ > kMostMessageBytes) {
        return absl::DataLossError(absl::StrCat("a message announces ", length_, " bytes"));
      }
      continue;
    }
    if (body_bytes_ == buffer_.size()) buffer_.resize(std::min<size_t>(length_, buffer_.size() + kStep));
    const size_t room = std::min<size_t>(length_, buffer_.size()) - body_bytes_;
    absl::StatusOr<State> state = Receive(fd, buffer_.data() + body_bytes_, room, &got);
    if (!state.ok() || *state != State::kMessage) return state;
    body_bytes_ += got;
  }
  whole_ = true;
  return State::kMessage;
}

void MessageReader::Drop() {
  length_ = 0;
  length_bytes_ = 0;
  body_bytes_ = 0;
  whole_ = false;
  if (buffer_.size() > kMostKept) std::string().swap(buffer_);  // an assignment would keep the memory
}

}  // namespace ems
