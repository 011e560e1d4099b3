// A TensorFlow Lite delegate that behaves as libedgetpu.so.1 does, on fake devices (device.h): it takes the nodes of
// the custom operator edgetpu-custom-op. Their custom options hold a whole .tflite model (wrap_model.h), which
// TensorFlow Lite computes on the CPU: the answers are real.
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fake_edgetpu/device.h"
#include "tensorflow/lite/c/c_api.h"
#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/delegates/external/external_delegate_interface.h"

namespace fake_edgetpu {

namespace {

struct Delegate : TfLiteDelegate {
  std::shared_ptr<Device> device;
};

// One operator: the model within it and its tensors in the outer graph.
class Operator {
 public:
  Operator(std::string model, const TfLiteIntArray& inputs, const TfLiteIntArray& outputs)
      : bytes_(std::move(model)),
        hash_(std::hash<std::string>()(bytes_)),
        inputs_(inputs.data, inputs.data + inputs.size),
        outputs_(outputs.data, outputs.data + outputs.size),
        model_(TfLiteModelCreate(bytes_.data(), bytes_.size()), TfLiteModelDelete),
        interpreter_(model_ ? Build(model_.get()) : nullptr, TfLiteInterpreterDelete) {}

  bool Prepare() { return interpreter_ && TfLiteInterpreterAllocateTensors(interpreter_.get()) == kTfLiteOk; }

  bool Run(const TfLiteContext& context) {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const TfLiteTensor& outer = context.tensors[inputs_[i]];
      TfLiteTensor* const inner = TfLiteInterpreterGetInputTensor(interpreter_.get(), static_cast<int32_t>(i));
      if (TfLiteTensorCopyFromBuffer(inner, outer.data.raw, outer.bytes) != kTfLiteOk) return false;
    }
    if (TfLiteInterpreterInvoke(interpreter_.get()) != kTfLiteOk) return false;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const TfLiteTensor& outer = context.tensors[outputs_[i]];
      const TfLiteTensor* const inner = TfLiteInterpreterGetOutputTensor(interpreter_.get(), static_cast<int32_t>(i));
      if (TfLiteTensorCopyToBuffer(inner, outer.data.raw, outer.bytes) != kTfLiteOk) return false;
    }
    return true;
  }

  size_t hash() const { return hash_; }

 private:
  static TfLiteInterpreter* Build(const TfLiteModel* model) {
    const std::unique_ptr<TfLiteInterpreterOptions, decltype(&TfLiteInterpreterOptionsDelete)> options(
        TfLiteInterpreterOptionsCreate(), TfLiteInterpreterOptionsDelete);
    TfLiteInterpreterOptionsSetNumThreads(options.get(), 1);
    return TfLiteInterpreterCreate(model, options.get());
  }

  const std::string bytes_;
  const size_t hash_;
  const std::vector<int> inputs_;
  const std::vector<int> outputs_;
  const std::unique_ptr<TfLiteModel, decltype(&TfLiteModelDelete)> model_;
  const std::unique_ptr<TfLiteInterpreter, decltype(&TfLiteInterpreterDelete)> interpreter_;
};

// What takes the place of some operators in the graph.
struct Kernel {
  std::shared_ptr<Device> device;
  std::vector<std::unique_ptr<Operator>> operators;
};

void* Init(TfLiteContext* context, const char* buffer, size_t) {
  const auto* const params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  auto kernel = std::make_unique<Kernel>();
  kernel->device = static_cast<Delegate*>(params->delegate)->device;
  for (int i = 0; i < params->nodes_to_replace->size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, params->nodes_to_replace->data[i], &node, &registration) !=
        kTfLiteOk) {
      return nullptr;
    }
    std::string model(static_cast<const char*>(node->custom_initial_data), node->custom_initial_data_size);
    kernel->operators.push_back(std::make_unique<Operator>(std::move(model), *node->inputs, *node->outputs));
  }
  return kernel.release();
}

void Free(TfLiteContext*, void* kernel) { delete static_cast<Kernel*>(kernel); }

TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* node) {
  auto* const kernel = static_cast<Kernel*>(node->user_data);
  if (kernel == nullptr) return kTfLiteError;
  for (const auto& op : kernel->operators) {
    if (op->Prepare()) continue;
    context->ReportError(context, "fake_edgetpu: the compiled model is broken");
    return kTfLiteError;
  }
  return kTfLiteOk;
}

TfLiteStatus Invoke(TfLiteContext* context, TfLiteNode* node) {
  auto* const kernel = static_cast<Kernel*>(node->user_data);
  for (const auto& op : kernel->operators) {
    std::string error;
    if (kernel->device->Run(op->hash(), [&] { return op->Run(*context); }, &error)) continue;
    context->ReportError(context, "fake_edgetpu: %s", error.c_str());
    return kTfLiteError;
  }
  return kTfLiteOk;
}

TfLiteStatus TakeNodes(TfLiteContext* context, TfLiteDelegate* delegate) {
  TfLiteIntArray* plan = nullptr;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  std::vector<int> ours{0};  // a TfLiteIntArray: its size, then the nodes
  for (int i = 0; i < plan->size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* found = nullptr;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &found) != kTfLiteOk) return kTfLiteError;
    if (found->custom_name == nullptr || std::strcmp(found->custom_name, "edgetpu-custom-op") != 0) continue;
    ours.push_back(plan->data[i]);
    ++ours[0];
  }
  TfLiteRegistration registration{};
  registration.init = Init;
  registration.free = Free;
  registration.prepare = Prepare;
  registration.invoke = Invoke;
  registration.custom_name = "FakeEdgeTpu";
  registration.version = 1;
  return context->ReplaceNodeSubsetsWithDelegateKernels(context, registration,
                                                        reinterpret_cast<const TfLiteIntArray*>(ours.data()), delegate);
}

// Opens the device that the options name, or the first that nobody has.
std::shared_ptr<Device> OpenDevice(const std::string& name, std::string* error) {
  if (!name.empty()) return Device::Open(name, error);
  *error = "there is no device";
  for (const std::string& one : DeviceNames()) {
    if (std::shared_ptr<Device> device = Device::Open(one, error)) return device;
  }
  return nullptr;
}

}  // namespace

}  // namespace fake_edgetpu

extern "C" {

TfLiteDelegate* tflite_plugin_create_delegate(const char* const* options_keys, const char* const* options_values,
                                              size_t num_options, void (*report_error)(const char*)) {
  std::string name;
  std::string error;
  for (size_t i = 0; i < num_options; ++i) {
    if (std::string_view(options_keys[i]) == "device") {
      name = options_values[i];
    } else {
      error = std::string("there is no option ") + options_keys[i];
    }
  }
  std::shared_ptr<fake_edgetpu::Device> device;
  if (error.empty()) device = fake_edgetpu::OpenDevice(name, &error);
  if (!device) {
    if (report_error != nullptr) report_error(error.c_str());
    return nullptr;
  }
  auto* const delegate = new fake_edgetpu::Delegate{};
  delegate->device = std::move(device);
  delegate->Prepare = fake_edgetpu::TakeNodes;
  // As libedgetpu: else TensorFlow Lite 2.14 prepares the custom operator first, and does not know it.
  delegate->flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) { delete static_cast<fake_edgetpu::Delegate*>(delegate); }

}  // extern "C"
