// Where the gRPC server listens, and with which settings of gRPC.
#ifndef EMS_GRPC_LISTEN_H_
#define EMS_GRPC_LISTEN_H_

#include <map>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ems {

// Returns "ADDRESS:PORT", with brackets around an IPv6 address.
std::string HostPort(const std::string& address, int port);

// Returns an error where nobody could listen there now: gRPC itself only logs the reason.
// FAILED_PRECONDITION: the port is taken, not permitted or not an address of this machine; INVALID_ARGUMENT: no
// address. `flag` is the one that sets the port.
absl::Status CheckPort(const std::string& address, int port, const std::string& flag);

// The same for a Unix socket. A socket that a server left behind is not an error; gRPC replaces it.
absl::Status CheckSocket(const std::string& path);

// Settings of gRPC by name, such as "grpc.max_concurrent_streams".
using ChannelArguments = std::map<std::string, std::variant<int, std::string>>;

// Parses --grpc_channel_arguments, "key=value,key=value"; a value that is an int32 is passed on as such, as TensorFlow
// Serving does. INVALID_ARGUMENT for an element without "=".
absl::StatusOr<ChannelArguments> ParseChannelArguments(const std::string& text);

}  // namespace ems

#endif  // EMS_GRPC_LISTEN_H_
