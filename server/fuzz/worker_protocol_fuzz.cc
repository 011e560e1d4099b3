// Messages between the server and a worker, in both directions.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "check.h"
#include "worker/protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  if (const absl::StatusOr<ems::WorkerRequest> request = ems::DecodeRequest(message); request.ok()) {
    if (const auto* run = std::get_if<ems::RunModel>(&*request)) ems::CheckWhole(run->inputs);
    ems::Check(ems::DecodeRequest(ems::Encode(*request)).ok());
  }
  if (const absl::StatusOr<ems::WorkerReply> reply = ems::DecodeReply(message); reply.ok()) {
    ems::CheckWhole(reply->outputs);
    ems::Check(ems::DecodeReply(ems::Encode(*reply)).ok());
  }
  return 0;
}
