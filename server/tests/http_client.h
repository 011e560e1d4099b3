// A client on a raw socket, which can send what no proper client sends.
#ifndef EMS_TESTS_HTTP_CLIENT_H_
#define EMS_TESTS_HTTP_CLIENT_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "base/text.h"

namespace ems {

struct ClientReply {
  int code = 0;  // 0: the connection ended instead
  std::map<std::string, std::string> headers;
  std::string body;
};

class Client {
 public:
  explicit Client(int port, int receive_buffer = 0) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const timeval most = {20, 0};  // so that a test that fails ends
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { Close(); }

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  // Closes so that the server sees a reset.
  void Reset() {
    const linger hard = {1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    Close();
  }
  void EndSending() { shutdown(fd_, SHUT_WR); }

  // Returns false where the server does not take it all.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(sent);
    }
    return true;
  }

  // Reads a line without its end; what there is at the end of the connection.
  std::string ReadLine() {
    while (buffer_.find("\r\n") == std::string::npos && Fill()) {
    }
    const size_t end = buffer_.find("\r\n");
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end == std::string::npos ? end : end + 2);
    return line;
  }

  // Reads a reply; without a body where the request was HEAD.
  ClientReply Read(bool head = false) {
    ClientReply reply;
    const std::string status = ReadLine();
    if (!StartsWith(status, "HTTP/1.1 ")) return reply;
    reply.code = std::atoi(status.c_str() + 9);
    for (std::string line = ReadLine(); !line.empty(); line = ReadLine()) {
      const size_t colon = line.find(':');
      reply.headers[Lower(line.substr(0, colon))] = std::string(Trim(std::string_view(line).substr(colon + 1)));
    }
    const size_t size = head ? 0 : std::strtoul(reply.headers["content-length"].c_str(), nullptr, 10);
    while (buffer_.size() < size && Fill()) {
    }
    reply.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return reply;
  }

  ClientReply Call(std::string_view bytes) {
    Send(bytes);
    return Read();
  }

  // Returns whether the server has closed the connection, once it has sent all; blocks until it does.
  bool AtEnd() { return buffer_.empty() && !Fill(); }

 private:
  bool Fill() {
    char bytes[65536];
    const ssize_t size = recv(fd_, bytes, sizeof bytes, 0);
    if (size > 0) buffer_.append(bytes, size);
    return size > 0;
  }

  int fd_;
  std::string buffer_;
};

}  // namespace ems

#endif  // EMS_TESTS_HTTP_CLIENT_H_
