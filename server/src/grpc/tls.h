// Credentials of the gRPC server, from --ssl_config_file.
#ifndef EMS_GRPC_TLS_H_
#define EMS_GRPC_TLS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/server_credentials.h"

namespace ems {

// Returns the credentials that a text file of message ems.SslConfig describes; its fields hold PEM text, not paths.
// gRPC itself only logs what is wrong with a certificate, so it is checked here: NOT_FOUND or PERMISSION_DENIED for
// the file; INVALID_ARGUMENT, with the field, for what does not parse, a key that does not belong to the certificate,
// an expired certificate, or client_verify without custom_ca.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ReadTlsCredentials(const std::string& path);

}  // namespace ems

#endif  // EMS_GRPC_TLS_H_
