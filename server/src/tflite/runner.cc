#include "tflite/runner.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>

#include "absl/strings/str_cat.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/logger.h"
#include "tensorflow/lite/model_builder.h"
#include "tensorflow/lite/string_util.h"
#include "tflite/delegate.h"
#include "tflite/operators.h"

namespace ems {
namespace {

// An input or output of a signature, found once.
struct Binding {
  std::string key;
  int index = 0;
  DataType dtype = DataType::kInvalid;
};

// A signature with its subgraph, ready to run.
struct Prepared {
  tflite::Subgraph* graph = nullptr;
  std::vector<Binding> inputs;
  std::vector<Binding> outputs;
  bool has_variables = false;
};

std::vector<Binding> Bind(const std::map<std::string, int>& tensors, const std::map<std::string, TensorSpec>& specs) {
  std::vector<Binding> bindings;
  bindings.reserve(tensors.size());
  for (const auto& [key, index] : tensors) bindings.push_back({key, index, specs.at(key).dtype});
  return bindings;
}

bool SameShape(const TfLiteIntArray& dims, const Shape& shape) {
  return static_cast<size_t>(dims.size) == shape.size() && std::equal(shape.begin(), shape.end(), dims.data);
}

void ReadStrings(const TfLiteTensor& from, Tensor& to) {
  const int count = from.data.raw == nullptr ? 0 : tflite::GetStringCount(&from);
  to.strings.reserve(count);
  for (int i = 0; i < count; ++i) {
    const tflite::StringRef text = tflite::GetString(&from, i);
    to.strings.emplace_back(text.str, text.len);
  }
}

class Runner final : public TfliteRunner {
 public:
  Runner(std::shared_ptr<const TfliteModel> model, std::unique_ptr<Delegate> delegate)
      : model_(std::move(model)), delegate_(std::move(delegate)) {}

  absl::Status Build(const RunnerOptions& options);
  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs) override;
  // Tells that an allocation failed, with what the tensors take.
  absl::Status OutOfMemory() const;
  uint64_t arena_bytes() const override;

 private:
  absl::Status Prepare();
  absl::StatusOr<TensorMap> RunPrepared(Prepared& prepared, const TensorMap& inputs);
  absl::Status Allocate(Prepared& prepared);
  absl::Status SetShapes(Prepared& prepared, const TensorMap& inputs);
  absl::Status SetValues(const Prepared& prepared, const TensorMap& inputs);
  absl::Status SetStrings(const Tensor& from, const std::string& key, TfLiteTensor& to);
  absl::StatusOr<TensorMap> Outputs(const Prepared& prepared);
  absl::StatusOr<Tensor> Output(tflite::Subgraph& graph, const Binding& binding);
  std::string Reason();

  // The order counts: the interpreter goes first, then the delegate, then what both point to.
  std::shared_ptr<const TfliteModel> model_;
  Reporter reporter_;
  std::unique_ptr<Delegate> delegate_;
  std::unique_ptr<tflite::Interpreter> interpreter_;
  std::map<std::string, Prepared> prepared_;
};

std::string Runner::Reason() {
  std::string reason = reporter_.Take("");
  const std::string reported = delegate_ ? Delegate::TakeReport() : "";
  if (!reason.empty() && !reported.empty()) reason += "; ";
  reason += reported;
  return reason.empty() ? "no reason given" : reason;
}

absl::Status Runner::Build(const RunnerOptions& options) {
  const tflite::FlatBufferModel& file = model_->flatbuffer();
  tflite::InterpreterBuilder builder(file.GetModel(), Operators(), &reporter_, nullptr, file.allocation());
  if (builder.SetNumThreads(options.threads) != kTfLiteOk || builder(&interpreter_) != kTfLiteOk) {
    return absl::InvalidArgumentError(absl::StrCat("TensorFlow Lite refuses the model: ", Reason()));
  }
  if (delegate_ && interpreter_->ModifyGraphWithDelegate(delegate_->get()) != kTfLiteOk) {
    return absl::UnavailableError(absl::StrCat("the delegate ", options.delegate, " does not accept the model: ",
                                               Reason(), "; compile the model again for this device"));
  }
  return Prepare();
}

absl::Status Runner::Prepare() {
  // The main graph first: with it, delegates that are on by default are applied to all graphs.
  if (interpreter_->AllocateTensors() != kTfLiteOk) {
    return absl::InvalidArgumentError(absl::StrCat("TensorFlow Lite cannot prepare the model: ", Reason()));
  }
  for (const auto& [key, tensors] : model_->tensors()) {
    const Signature& signature = model_->signatures().at(key);
    Prepared prepared;
    prepared.graph = interpreter_->subgraph(tensors.subgraph);
    prepared.inputs = Bind(tensors.inputs, signature.inputs);
    prepared.outputs = Bind(tensors.outputs, signature.outputs);
    prepared.has_variables = !prepared.graph->variables().empty();
    if (absl::Status status = Allocate(prepared); !status.ok()) return status;
    prepared_[key] = std::move(prepared);
  }
  return absl::OkStatus();
}

absl::Status Runner::Allocate(Prepared& prepared) {
  if (prepared.graph->AllocateTensors() == kTfLiteOk) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the model refuses the shapes: ", Reason()));
}

absl::Status Runner::SetShapes(Prepared& prepared, const TensorMap& inputs) {
  for (const Binding& binding : prepared.inputs) {
    const auto found = inputs.find(binding.key);
    if (found == inputs.end() || found->second.dtype != binding.dtype) {
      return absl::InvalidArgumentError(absl::StrCat("input ", binding.key, " is missing or of another dtype"));
    }
    const Shape& shape = found->second.shape;
    if (SameShape(*prepared.graph->tensor(binding.index)->dims, shape)) continue;
    if (std::any_of(shape.begin(), shape.end(), [](int64_t size) { return size > std::numeric_limits<int>::max(); })) {
      return absl::InvalidArgumentError(absl::StrCat("input ", binding.key, " is too large: ", ToString(shape)));
    }
    if (prepared.graph->ResizeInputTensor(binding.index, {shape.begin(), shape.end()}) != kTfLiteOk) {
      return absl::InvalidArgumentError(absl::StrCat("the model refuses the shape of ", binding.key, ": ", Reason()));
    }
  }
  // Does nothing where nothing was resized, and repairs what a refused request has left.
  return Allocate(prepared);
}

absl::Status Runner::SetStrings(const Tensor& from, const std::string& key, TfLiteTensor& to) {
  tflite::DynamicBuffer buffer;
  for (const std::string& text : from.strings) {
    if (buffer.AddString(text.data(), text.size()) != kTfLiteOk) {
      return absl::InvalidArgumentError(absl::StrCat("the strings of input ", key, " are too long together"));
    }
  }
  buffer.WriteToTensor(&to, TfLiteIntArrayCopy(to.dims));
  return absl::OkStatus();
}

absl::Status Runner::SetValues(const Prepared& prepared, const TensorMap& inputs) {
  for (const Binding& binding : prepared.inputs) {
    const Tensor& from = inputs.at(binding.key);
    TfLiteTensor& to = *prepared.graph->tensor(binding.index);
    if (from.dtype == DataType::kString) {
      if (absl::Status status = SetStrings(from, binding.key, to); !status.ok()) return status;
      continue;
    }
    if (to.bytes != from.bytes.size() || to.data.raw == nullptr) {
      return absl::InternalError(absl::StrCat("input ", binding.key, " has ", from.bytes.size(),
                                              " bytes, but the model has room for ", to.bytes));
    }
    std::memcpy(to.data.raw, from.bytes.data(), to.bytes);
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Runner::Output(tflite::Subgraph& graph, const Binding& binding) {
  if (graph.EnsureTensorDataIsReadable(binding.index) != kTfLiteOk) {
    return absl::InternalError(absl::StrCat("cannot read output ", binding.key, ": ", Reason()));
  }
  const TfLiteTensor& from = *graph.tensor(binding.index);
  Tensor to;
  to.dtype = binding.dtype;
  to.shape.assign(from.dims->data, from.dims->data + from.dims->size);
  if (to.dtype == DataType::kString) {
    ReadStrings(from, to);
  } else if (from.data.raw != nullptr) {
    to.bytes.assign(from.data.raw, from.bytes);
  }
  if (IsWhole(to)) return to;
  return absl::InternalError(
      absl::StrCat("the model gives output ", binding.key, " of shape ", ToString(to.shape), " with other elements"));
}

absl::StatusOr<TensorMap> Runner::Outputs(const Prepared& prepared) {
  TensorMap outputs;
  for (const Binding& binding : prepared.outputs) {
    absl::StatusOr<Tensor> output = Output(*prepared.graph, binding);
    if (!output.ok()) return output.status();
    outputs.emplace_hint(outputs.end(), binding.key, *std::move(output));
  }
  return outputs;
}

absl::StatusOr<TensorMap> Runner::Run(const std::string& signature, const TensorMap& inputs) {
  const auto found = prepared_.find(signature);
  if (found == prepared_.end()) return absl::InvalidArgumentError(absl::StrCat("no signature ", signature));
  reporter_.Take("");
  // TensorFlow Lite reports nothing where memory ends; the next run allocates again.
  try {
    return RunPrepared(found->second, inputs);
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
}

absl::Status Runner::OutOfMemory() const {
  uint64_t bytes = 0;
  for (size_t i = 0; interpreter_ && i < interpreter_->subgraphs_size(); ++i) {
    const tflite::Subgraph& graph = *interpreter_->subgraph(static_cast<int>(i));
    for (size_t t = 0; t < graph.tensors_size(); ++t) {
      if (graph.tensor(static_cast<int>(t))->allocation_type == kTfLiteArenaRw) {
        bytes += graph.tensor(static_cast<int>(t))->bytes;
      }
    }
  }
  return absl::ResourceExhaustedError(absl::StrCat("there is no memory for the model's tensors, which take ",
                                                   bytes >> 20U,
                                                   " MB: send fewer rows, or serve fewer or smaller models"));
}

absl::StatusOr<TensorMap> Runner::RunPrepared(Prepared& prepared, const TensorMap& inputs) {
  if (absl::Status status = SetShapes(prepared, inputs); !status.ok()) return status;
  // A request must not depend on what another client sent before.
  if (prepared.has_variables && prepared.graph->ResetVariableTensors() != kTfLiteOk) {
    return absl::InternalError(absl::StrCat("cannot reset the model's state: ", Reason()));
  }
  if (absl::Status status = SetValues(prepared, inputs); !status.ok()) return status;
  if (prepared.graph->Invoke() != kTfLiteOk) {
    return absl::InternalError(absl::StrCat("the model failed: ", Reason()));
  }
  return Outputs(prepared);
}

uint64_t Runner::arena_bytes() const {
  uint64_t bytes = 0;
  for (int i = 0; i < static_cast<int>(interpreter_->subgraphs_size()); ++i) {
    tflite::Subgraph::SubgraphAllocInfo info;
    interpreter_->subgraph(i)->GetMemoryAllocInfo(&info);
    bytes += info.arena_size + info.arena_persist_size + info.dynamic_size + info.resource_size;
  }
  return bytes;
}

absl::Status CheckCustomOperators(const TfliteModel& model, const RunnerOptions& options) {
  if (!options.delegate.empty() || model.custom_operators().empty()) return absl::OkStatus();
  const std::string& name = model.custom_operators().front();
  const char* fix = model.has_edgetpu_op()
                        ? "the model is compiled for the Edge TPU: connect one and set --delegate and --device"
                        : "set --delegate to the library that computes it";
  return absl::InvalidArgumentError(absl::StrCat("the CPU cannot compute the custom operator ", name, ": ", fix));
}

// TensorFlow Lite writes a line for each delegate that it makes; errors come through the reporters.
void SilenceTensorFlowLite() {
  static std::once_flag once;
  std::call_once(once, [] { tflite::LoggerOptions::SetMinimumLogSeverity(tflite::TFLITE_LOG_ERROR); });
}

}  // namespace

absl::StatusOr<std::unique_ptr<TfliteRunner>> TfliteRunner::Create(std::shared_ptr<const TfliteModel> model,
                                                                   const RunnerOptions& options) {
  SilenceTensorFlowLite();
  if (absl::Status status = CheckCustomOperators(*model, options); !status.ok()) return status;
  std::unique_ptr<Delegate> delegate;
  if (!options.delegate.empty()) {
    absl::StatusOr<std::unique_ptr<Delegate>> made = Delegate::Create(options.delegate, options.delegate_options);
    if (!made.ok()) return made.status();
    delegate = *std::move(made);
  }
  auto runner = std::make_unique<Runner>(std::move(model), std::move(delegate));
  try {
    if (absl::Status status = runner->Build(options); !status.ok()) return status;
  } catch (const std::bad_alloc&) {
    return runner->OutOfMemory();
  }
  return runner;
}

TensorMap ZeroInputs(const Signature& signature) {
  TensorMap inputs;
  for (const auto& [key, spec] : signature.inputs) {
    Shape shape = spec.shape;
    std::replace(shape.begin(), shape.end(), int64_t{-1}, int64_t{1});
    inputs[key] = MakeTensor(spec.dtype, std::move(shape));
  }
  return inputs;
}

}  // namespace ems
