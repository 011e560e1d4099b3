#include "worker/worker.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace ems {

namespace {

// Runs a signature, and returns the outputs or the error, with the time that the run took.
WorkerReply TimedRun(TfliteRunner& runner, const std::string& signature, const TensorMap& inputs) {
  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<TensorMap> outputs = runner.Run(signature, inputs);
  WorkerReply reply;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  reply.run_micros = static_cast<uint64_t>(took.count());
  reply.status = outputs.status();
  if (outputs.ok()) reply.outputs = *std::move(outputs);
  return reply;
}

bool HasFixedShapes(const Signature& signature) {
  return std::all_of(signature.inputs.begin(), signature.inputs.end(),
                     [](const auto& input) { return NumElements(input.second.shape).has_value(); });
}

}  // namespace

WorkerReply Worker::Answer(const WorkerRequest& request) {
  return std::visit([this](const auto& one) { return Do(one); }, request);
}

WorkerReply Worker::Do(const LoadModel& load) {
  runners_.erase(load.model);
  WorkerReply reply;
  absl::StatusOr<OpenModel> opened = open_(load);
  if (!opened.ok()) {
    reply.status = opened.status();
    return reply;
  }
  for (const auto& [key, signature] : opened->signatures) {
    if (!HasFixedShapes(signature)) continue;
    const WorkerReply first = TimedRun(*opened->runner, key, ZeroInputs(signature));
    reply.run_micros = std::max(reply.run_micros, first.run_micros);
    // On the CPU, values that nobody sent prove nothing against a model.
    if (!first.status.ok() && !load.options.delegate.empty()) {
      reply.status = absl::Status(first.status.code(), absl::StrCat("the first run failed: ", first.status.message()));
      return reply;
    }
  }
  reply.arena_bytes = opened->runner->arena_bytes();
  runners_[load.model] = std::move(opened->runner);
  return reply;
}

WorkerReply Worker::Do(const UnloadModel& unload) {
  WorkerReply reply;
  if (runners_.erase(unload.model) == 0) reply.status = absl::NotFoundError("the model is not loaded");
  return reply;
}

WorkerReply Worker::Do(const RunModel& run) {
  const auto found = runners_.find(run.model);
  if (found != runners_.end()) return TimedRun(*found->second, run.signature, run.inputs);
  WorkerReply reply;
  reply.status = absl::NotFoundError("the model is not loaded");
  return reply;
}

absl::Status Worker::Serve(int fd, size_t most_bytes) {
  MessageReader reader;
  while (true) {
    const absl::StatusOr<MessageReader::State> state = reader.Read(fd);
    if (!state.ok()) return state.status();
    if (*state == MessageReader::State::kEnd) return absl::OkStatus();
    const absl::StatusOr<WorkerRequest> request = DecodeRequest(reader.message());
    if (!request.ok()) return request.status();
    std::string message = Encode(Answer(*request));
    if (message.size() > most_bytes) {
      WorkerReply refusal;
      refusal.status = absl::ResourceExhaustedError(absl::StrCat("the outputs take ", message.size(), " bytes"));
      message = Encode(refusal);
    }
    if (const absl::StatusOr<bool> sent = MessageWriter(message).Write(fd); !sent.ok()) return sent.status();
  }
}

}  // namespace ems
