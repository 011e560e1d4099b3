// The socket that a server listens on.
#ifndef EMS_HTTP_LISTEN_H_
#define EMS_HTTP_LISTEN_H_

#include <string>

#include "absl/status/statusor.h"

namespace ems {

// Returns a socket that listens on TCP and does not block. An address may stand in brackets, as in a URL. An empty one
// is all of them by IPv6 and IPv4, or by IPv4 where the machine has no IPv6. FAILED_PRECONDITION where the port is
// taken; INVALID_ARGUMENT for an unknown address; PERMISSION_DENIED for a port that needs a privilege.
absl::StatusOr<int> Listen(const std::string& address, int port);

// Returns the port of a listening socket.
int PortOf(int fd);

}  // namespace ems

#endif  // EMS_HTTP_LISTEN_H_
