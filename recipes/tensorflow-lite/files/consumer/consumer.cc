// Load a model and print its operators through the C++ API; includes what delegates and custom operators include.
#include <tensorflow/lite/builtin_op_data.h>
#include <tensorflow/lite/context_util.h>
#include <tensorflow/lite/external_cpu_backend_context.h>
#include <tensorflow/lite/interpreter.h>
#include <tensorflow/lite/kernels/cpu_backend_context.h>
#include <tensorflow/lite/kernels/internal/tensor_ctypes.h>
#include <tensorflow/lite/kernels/kernel_util.h>
#include <tensorflow/lite/kernels/register.h>
#include <tensorflow/lite/model.h>
#include <tensorflow/lite/schema/schema_generated.h>

#include <iostream>
#include <memory>

int main(int argc, char** argv) {
  const auto model = tflite::FlatBufferModel::BuildFromFile(argc > 1 ? argv[1] : "");
  if (!model) return 1;
  for (const auto* code : *model->GetModel()->operator_codes()) {
    std::cout << tflite::EnumNameBuiltinOperator(code->builtin_code()) << "\n";
  }
  std::unique_ptr<tflite::Interpreter> interpreter;
  const tflite::ops::builtin::BuiltinOpResolver resolver;
  if (tflite::InterpreterBuilder(*model, resolver)(&interpreter) != kTfLiteOk) return 1;
  tflite::ExternalCpuBackendContext context;
  context.set_internal_backend_context(std::make_unique<tflite::CpuBackendContext>());
  interpreter->SetExternalContext(kTfLiteCpuBackendContext, &context);
  const bool failed = interpreter->AllocateTensors() != kTfLiteOk ||
                      tflite::NumElements(interpreter->input_tensor(0)) < 1;
  return failed;
}
