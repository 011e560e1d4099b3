#include "tflite/operators.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "tensorflow/lite/c/common.h"
#include "tensorflow/lite/kernels/register.h"

namespace ems {
namespace {

constexpr int kMostGuardedVersion = 16;  // of the guarded operators; the highest is 3

using Invoke = TfLiteStatus (*)(TfLiteContext*, TfLiteNode*);

template <typename T>
bool Contains(const TfLiteTensor& tensor, T value) {
  const T* data = reinterpret_cast<const T*>(tensor.data.raw);
  return std::find(data, data + tensor.bytes / sizeof(T), value) != data + tensor.bytes / sizeof(T);
}

template <typename T>
TfLiteStatus CheckDivision(TfLiteContext* context, const TfLiteTensor& dividend, const TfLiteTensor& divisor) {
  if (Contains<T>(divisor, 0)) {
    context->ReportError(context, "integer division by zero");
    return kTfLiteError;
  }
  // The lowest number divided by -1 is more than the type holds: the same signal as a zero.
  if (std::is_signed_v<T> && Contains<T>(divisor, static_cast<T>(-1)) &&
      Contains<T>(dividend, std::numeric_limits<T>::min())) {
    context->ReportError(context, "integer division overflows");
    return kTfLiteError;
  }
  return kTfLiteOk;
}

TfLiteStatus CheckDivision(TfLiteContext* context, const TfLiteNode& node) {
  const TfLiteTensor& dividend = context->tensors[node.inputs->data[0]];
  const TfLiteTensor& divisor = context->tensors[node.inputs->data[1]];
  if (dividend.type != divisor.type) return kTfLiteOk;  // the kernel refuses that
  switch (divisor.type) {
    case kTfLiteInt32:
      return CheckDivision<int32_t>(context, dividend, divisor);
    case kTfLiteInt64:
      return CheckDivision<int64_t>(context, dividend, divisor);
    default:
      // Smaller types are divided as int or as real numbers; floats give infinity.
      return kTfLiteOk;
  }
}

// A kernel has no place for data of ours: each operator gets its own function.
template <tflite::BuiltinOperator kOperator>
struct Guard {
  static inline Invoke original = nullptr;

  static TfLiteStatus Run(TfLiteContext* context, TfLiteNode* node) {
    if (CheckDivision(context, *node) != kTfLiteOk) return kTfLiteError;
    return original(context, node);
  }

  static void Add(tflite::MutableOpResolver& resolver) {
    for (int version = 1; version <= kMostGuardedVersion; ++version) {
      const TfLiteRegistration* registration = resolver.FindOp(kOperator, version);
      if (registration == nullptr) continue;
      TfLiteRegistration guarded = *registration;
      original = guarded.invoke;
      guarded.invoke = Run;
      resolver.AddBuiltin(kOperator, &guarded, version);
    }
  }
};

const tflite::MutableOpResolver* MakeResolver() {
  auto* resolver = new tflite::ops::builtin::BuiltinOpResolver();
  Guard<tflite::BuiltinOperator_DIV>::Add(*resolver);
  Guard<tflite::BuiltinOperator_FLOOR_DIV>::Add(*resolver);
  Guard<tflite::BuiltinOperator_FLOOR_MOD>::Add(*resolver);
  return resolver;
}

}  // namespace

const tflite::MutableOpResolver& Operators() {
  static const tflite::MutableOpResolver* const kResolver = MakeResolver();
  return *kResolver;
}

}  // namespace ems
