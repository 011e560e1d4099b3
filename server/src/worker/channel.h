// Messages over a socket: four bytes of length, then as many bytes. Descriptors may block or not.
#ifndef EMS_WORKER_CHANNEL_H_
#define EMS_WORKER_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ems {

// A message of more bytes is neither sent nor taken: the largest tensors of a board fit many times over.
inline constexpr size_t kMostMessageBytes = size_t{256} << 20;

// Sends one message, as far as the socket takes it.
class MessageWriter {
 public:
  // `message` must live until Write has returned true, and have at most kMostMessageBytes.
  explicit MessageWriter(std::string_view message);

  // Sends what the socket takes now, all of it where the socket blocks. Returns whether the message is out.
  // UNAVAILABLE where the peer is gone.
  absl::StatusOr<bool> Write(int fd);

 private:
  uint32_t length_;
  std::string_view message_;
  size_t sent_ = 0;  // of the length and the message
};

// Receives messages one after the other.
class MessageReader {
 public:
  enum class State : uint8_t { kPartial, kMessage, kEnd };

  // Receives what is there, waiting for it where the socket blocks. kMessage: message() is whole. kEnd: the peer closed
  // its end between two messages. UNAVAILABLE where it broke off within one; DATA_LOSS for a length beyond the bound.
  // Memory grows with the bytes received, not with the length announced.
  absl::StatusOr<State> Read(int fd);

  // The message that Read has just received, until the next call of Read.
  std::string_view message() const { return std::string_view(buffer_).substr(0, whole_ ? length_ : 0); }

  // Ends the message, and frees its memory where that is large. Read does so too.
  void Drop();

  // Returns the bytes of memory for messages.
  size_t capacity() const { return buffer_.capacity(); }

 private:
  absl::StatusOr<State> Receive(int fd, char* to, size_t room, size_t* got) const;

  uint32_t length_ = 0;
  size_t length_bytes_ = 0;  // received of the length
  size_t body_bytes_ = 0;    // received of the body
  bool whole_ = false;
  std::string buffer_;  // of the body; kept for the next one, since new memory costs more than the copy
};

}  // namespace ems

#endif  // EMS_WORKER_CHANNEL_H_
