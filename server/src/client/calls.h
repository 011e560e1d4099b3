// The gRPC calls of the client, in the server's own words: tensors, signatures, statuses.
#ifndef EMS_CLIENT_CALLS_H_
#define EMS_CLIENT_CALLS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/tensor.h"
#include "model/servable.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace ems {

struct ServerAddress {
  std::string target = "localhost:8500";  // as gRPC takes it
  double timeout_seconds = 10;            // of each call
  std::string ca_file;                    // TLS where one of the three is set
  std::string cert_file;
  std::string key_file;
};

// Which version is asked for: the latest, a number or a label.
struct VersionChoice {
  std::string model;
  std::optional<int64_t> version;
  std::string label;
};

// A line of the state of a model.
struct VersionLine {
  int64_t version = 0;
  std::string state;  // "AVAILABLE"
  std::string error;  // empty: none
};

// A server. Errors are the server's own; UNAVAILABLE where none answers, DEADLINE_EXCEEDED after the timeout.
class Server {
 public:
  // INVALID_ARGUMENT for a certificate that cannot be read. Connects at the first call.
  static absl::StatusOr<std::unique_ptr<Server>> Connect(const ServerAddress& address);

  // Returns whether the server says that it serves.
  absl::StatusOr<bool> Health() const;
  absl::StatusOr<std::vector<VersionLine>> Status(const VersionChoice& choice) const;
  absl::StatusOr<SignatureMap> Metadata(const VersionChoice& choice) const;
  absl::StatusOr<TensorMap> Predict(const VersionChoice& choice, const std::string& signature,
                                    const TensorMap& inputs) const;

 private:
  Server(std::shared_ptr<grpc::Channel> channel, double timeout_seconds)
      : channel_(std::move(channel)), timeout_seconds_(timeout_seconds) {}

  std::shared_ptr<grpc::Channel> channel_;
  double timeout_seconds_;
};

}  // namespace ems

#endif  // EMS_CLIENT_CALLS_H_
