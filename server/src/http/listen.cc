#include "http/listen.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace ems {
namespace {

absl::Status ListenError(int error, const std::string& address, int port) {
  const std::string text = absl::StrCat("cannot listen on ", address, " port ", port, ": ");
  if (error == EADDRINUSE) {
    return absl::FailedPreconditionError(
        absl::StrCat(text, "another program listens there. Stop it, or choose another port."));
  }
  if (error == EACCES) return absl::PermissionDeniedError(absl::StrCat(text, "ports below 1024 need a privilege."));
  return absl::InvalidArgumentError(absl::StrCat(text, std::strerror(error)));
}

// Returns the socket, or the negative errno. SO_REUSEPORT is not set: a second server must notice the first.
int ListenAt(const sockaddr* address, socklen_t size) {
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address->sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(fd, address, size) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
  const int error = errno;
  close(fd);
  return -error;
}

}  // namespace

absl::StatusOr<int> Listen(const std::string& address, int port) {
  if (address.empty()) {
    const absl::StatusOr<int> both = Listen("::", port);
    // As TensorFlow Serving: IPv4 alone where there is no IPv6 (3.1 of the facts).
    return absl::IsInvalidArgument(both.status()) ? Listen("0.0.0.0", port) : both;
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  const std::string host(absl::StripSuffix(absl::StripPrefix(address, "["), "]"));
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cannot listen on ", address, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
  const int fd = ListenAt(list->ai_addr, list->ai_addrlen);
  if (fd < 0) return ListenError(-fd, address, port);
  return fd;
}

int PortOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

}  // namespace ems
