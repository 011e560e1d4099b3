#include "grpc/listen.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/fd.h"

namespace ems {

namespace {

Fd NewSocket(int family) { return Fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

absl::Status CannotListen(const std::string& where, int error, const std::string& fix) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the text is copied at once
  return absl::FailedPreconditionError(absl::StrCat("cannot listen on ", where, ": ", strerror(error), "; ", fix));
}

std::string PortFix(int error, const std::string& flag) {
  switch (error) {
    case EADDRINUSE:
      return absl::StrCat("stop the other program, or choose another port with ", flag);
    case EACCES:
      return absl::StrCat("ports below 1024 need CAP_NET_BIND_SERVICE; choose another with ", flag);
    default:
      return "give an address of this machine with --listen";
  }
}

}  // namespace

std::string HostPort(const std::string& address, int port) {
  if (absl::StrContains(address, ':') && address.front() != '[') return absl::StrCat("[", address, "]:", port);
  return absl::StrCat(address, ":", port);
}

absl::Status CheckPort(const std::string& address, int port, const std::string& flag) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const std::string host(absl::StripSuffix(absl::StripPrefix(address, "["), "]"));
  const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (failed != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", HostPort(address, port), ": ", gai_strerror(failed)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, &freeaddrinfo);
  const Fd probe = NewSocket(list->ai_family);
  if (probe.get() < 0) return CannotListen(HostPort(address, port), errno, PortFix(errno, flag));
  const int on = 1;
  setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(probe.get(), list->ai_addr, list->ai_addrlen) != 0) {
    return CannotListen(HostPort(address, port), errno, PortFix(errno, flag));
  }
  return absl::OkStatus();
}

absl::Status CheckSocket(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot listen on ", path, ": the path of a socket has at most ",
                                                   sizeof(address.sun_path) - 1, " characters"));
  }
  path.copy(address.sun_path, path.size());
  struct stat status = {};
  if (lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      return CannotListen(path, EEXIST, "it is no socket; remove it, or choose another path with --grpc_socket_path");
    }
    const Fd probe = NewSocket(AF_UNIX);
    if (probe.get() < 0) return CannotListen(path, errno, "raise the limit of open files");
    if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      return CannotListen(path, EADDRINUSE, "stop the other program, or choose another path with --grpc_socket_path");
    }
    return absl::OkStatus();
  }
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (access(folder.c_str(), W_OK) != 0) {
    return CannotListen(path, errno, absl::StrCat("the server must be allowed to write in ", folder));
  }
  return absl::OkStatus();
}

absl::StatusOr<ChannelArguments> ParseChannelArguments(const std::string& text) {
  ChannelArguments arguments;
  for (const absl::string_view element : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(absl::StripAsciiWhitespace(element), absl::MaxSplits('=', 1));
    if (pair.first.empty() || pair.second.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--grpc_channel_arguments: \"", element,
                                                     "\" is not of the form key=value, such as "
                                                     "grpc.max_concurrent_streams=8"));
    }
    int32_t number = 0;
    if (absl::SimpleAtoi(pair.second, &number)) {
      arguments[pair.first] = number;
    } else {
      arguments[pair.first] = pair.second;
    }
  }
  return arguments;
}

}  // namespace ems
