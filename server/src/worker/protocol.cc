#include "worker/protocol.h"

#include <algorithm>
#include <optional>
#include <type_traits>

namespace ems {

namespace {

enum class Kind : uint8_t { kLoad = 1, kUnload = 2, kRun = 3, kReply = 4 };

// Appends fields to a message, in the machine's byte order.
class Writer {
 public:
  explicit Writer(Kind kind, size_t size_hint = 0) {
    text_.reserve(size_hint + 64);
    Number(kind);
  }
  template <typename T>
  void Number(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void Text(std::string_view text) {
    Number<uint64_t>(text.size());
    text_.append(text);
  }
  void Tensors(const TensorMap& tensors) {
    Number<uint64_t>(tensors.size());
    for (const auto& [name, tensor] : tensors) {
      Text(name);
      Number(static_cast<int32_t>(tensor.dtype));
      Number<uint64_t>(tensor.shape.size());
      for (const int64_t size : tensor.shape) Number(size);
      Text(tensor.bytes);
      Number<uint64_t>(tensor.strings.size());
      for (const std::string& element : tensor.strings) Text(element);
    }
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

// Reads fields of a message. After the first that is not there all are empty, and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}
  template <typename T>
  T Number() {
    T value{};
    if (rest_.size() < sizeof value) {
      Fail();
    } else {
      std::copy_n(rest_.begin(), sizeof value, reinterpret_cast<char*>(&value));
      rest_.remove_prefix(sizeof value);
    }
    return value;
  }
  std::string Text() {
    const uint64_t size = Count(1);
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  // Reads a number of items of at least `least` bytes each; more than the message can hold is a failure, so that
  // nobody allocates for them.
  uint64_t Count(uint64_t least) {
    const auto count = Number<uint64_t>();
    if (count <= rest_.size() / least) return count;
    Fail();
    return 0;
  }
  TensorMap Tensors() {
    TensorMap tensors;
    for (uint64_t left = Count(1); left > 0 && ok_; --left) {
      std::string name = Text();
      Tensor tensor = OneTensor();
      if (!ok_ || !IsWhole(tensor) || !tensors.emplace(std::move(name), std::move(tensor)).second) Fail();
    }
    return tensors;
  }
  // Returns whether the message was whole and has no bytes left.
  bool Done() const { return ok_ && rest_.empty(); }

 private:
  Tensor OneTensor() {
    Tensor tensor;
    tensor.dtype = static_cast<DataType>(Number<int32_t>());
    if (Name(tensor.dtype) == Name(DataType::kInvalid)) Fail();
    tensor.shape.resize(Count(sizeof(int64_t)));
    for (int64_t& size : tensor.shape) size = Number<int64_t>();
    tensor.bytes = Text();
    tensor.strings.resize(Count(sizeof(uint64_t)));
    for (std::string& element : tensor.strings) element = Text();
    return tensor;
  }
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

  std::string_view rest_;
  bool ok_ = true;
};

size_t BytesOf(const TensorMap& tensors) {
  size_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    bytes += name.size() + tensor.bytes.size() + 8 * tensor.shape.size() + 48;
    for (const std::string& element : tensor.strings) bytes += element.size() + 8;
  }
  return bytes;
}

std::string EncodeOne(const LoadModel& load) {
  Writer out(Kind::kLoad);
  out.Number(load.model);
  out.Text(load.path);
  out.Number(static_cast<int32_t>(load.options.threads));
  out.Text(load.options.delegate);
  out.Number<uint64_t>(load.options.delegate_options.size());
  for (const auto& [key, value] : load.options.delegate_options) {
    out.Text(key);
    out.Text(value);
  }
  return out.Take();
}

std::string EncodeOne(const UnloadModel& unload) {
  Writer out(Kind::kUnload);
  out.Number(unload.model);
  return out.Take();
}

std::string EncodeOne(const RunModel& run) { return EncodeRun(run.model, run.signature, run.inputs); }

LoadModel DecodeLoad(Reader& in) {
  LoadModel load;
  load.model = in.Number<uint64_t>();
  load.path = in.Text();
  load.options.threads = in.Number<int32_t>();
  load.options.delegate = in.Text();
  load.options.delegate_options.resize(in.Count(2 * sizeof(uint64_t)));
  for (auto& [key, value] : load.options.delegate_options) {
    key = in.Text();
    value = in.Text();
  }
  return load;
}

RunModel DecodeRun(Reader& in) {
  RunModel run;
  run.model = in.Number<uint64_t>();
  run.signature = in.Text();
  run.inputs = in.Tensors();
  return run;
}

std::optional<WorkerRequest> DecodeKind(Kind kind, Reader& in) {
  switch (kind) {
    case Kind::kLoad:
      return DecodeLoad(in);
    case Kind::kUnload:
      return UnloadModel{in.Number<uint64_t>()};
    case Kind::kRun:
      return DecodeRun(in);
    case Kind::kReply:
      break;
  }
  return std::nullopt;
}

}  // namespace

std::string Encode(const WorkerRequest& request) {
  return std::visit([](const auto& one) { return EncodeOne(one); }, request);
}

std::string EncodeRun(uint64_t model, const std::string& signature, const TensorMap& inputs) {
  Writer out(Kind::kRun, signature.size() + BytesOf(inputs));
  out.Number(model);
  out.Text(signature);
  out.Tensors(inputs);
  return out.Take();
}

std::string Encode(const WorkerReply& reply) {
  Writer out(Kind::kReply, reply.status.message().size() + BytesOf(reply.outputs));
  out.Number(static_cast<int32_t>(reply.status.raw_code()));
  out.Text(std::string(reply.status.message()));
  out.Number(reply.arena_bytes);
  out.Number(reply.run_micros);
  out.Tensors(reply.outputs);
  return out.Take();
}

absl::StatusOr<WorkerRequest> DecodeRequest(std::string_view message) {
  Reader in(message);
  std::optional<WorkerRequest> request = DecodeKind(in.Number<Kind>(), in);
  if (!request || !in.Done()) return absl::DataLossError("a request to a worker is broken");
  return *std::move(request);
}

absl::StatusOr<WorkerReply> DecodeReply(std::string_view message) {
  Reader in(message);
  const auto kind = in.Number<Kind>();
  WorkerReply reply;
  const auto code = in.Number<int32_t>();
  const std::string text = in.Text();
  reply.status = absl::Status(static_cast<absl::StatusCode>(code), text);
  reply.arena_bytes = in.Number<uint64_t>();
  reply.run_micros = in.Number<uint64_t>();
  reply.outputs = in.Tensors();
  if (kind != Kind::kReply || !in.Done() || code < 0 || code > static_cast<int>(absl::StatusCode::kUnauthenticated)) {
    return absl::DataLossError("a reply of a worker is broken");
  }
  return reply;
}

}  // namespace ems
