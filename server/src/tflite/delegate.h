// An external delegate: a shared library with the two functions of external_delegate_interface.h.
#ifndef EMS_TFLITE_DELEGATE_H_
#define EMS_TFLITE_DELEGATE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tensorflow/lite/c/common.h"

namespace ems {

class Delegate {
 public:
  // Loads the library and makes a delegate. UNAVAILABLE with the reason of the loader or of the delegate.
  // TfLiteExternalDelegateCreate does the same but drops what the delegate reports.
  static absl::StatusOr<std::unique_ptr<Delegate>> Create(
      const std::string& library, const std::vector<std::pair<std::string, std::string>>& options);
  ~Delegate();
  Delegate(const Delegate&) = delete;
  Delegate& operator=(const Delegate&) = delete;

  TfLiteDelegate* get() const { return delegate_; }

  // Returns what a delegate of this process has reported on this thread since the last call.
  static std::string TakeReport();

 private:
  Delegate() = default;

  // The library stays loaded: libedgetpu has threads and exit handlers that outlive its last delegate.
  TfLiteDelegate* delegate_ = nullptr;
  void (*destroy_)(TfLiteDelegate*) = nullptr;
};

}  // namespace ems

#endif  // EMS_TFLITE_DELEGATE_H_
