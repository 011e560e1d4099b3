#include "tflite/delegate.h"

#include <dlfcn.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ems {
namespace {

using CreateFunction = TfLiteDelegate* (*)(const char* const*, const char* const*, size_t, void (*)(const char*));
using DestroyFunction = void (*)(TfLiteDelegate*);

// The interface's callback has no argument for the caller, hence a variable of the thread.
std::string& Reported() {
  thread_local std::string text;
  return text;
}

void Report(const char* message) {
  if (message == nullptr) return;
  std::string& text = Reported();
  if (!text.empty()) text += "; ";
  text += message;
}

}  // namespace

std::string Delegate::TakeReport() { return std::exchange(Reported(), {}); }

absl::StatusOr<std::unique_ptr<Delegate>> Delegate::Create(
    const std::string& library, const std::vector<std::pair<std::string, std::string>>& options) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("cannot load the delegate ", library, ": ", dlerror(), "; install it or correct --delegate"));
  }
  const auto create = reinterpret_cast<CreateFunction>(dlsym(handle, "tflite_plugin_create_delegate"));
  const auto destroy = reinterpret_cast<DestroyFunction>(dlsym(handle, "tflite_plugin_destroy_delegate"));
  if (create == nullptr || destroy == nullptr) {
    dlclose(handle);
    return absl::UnavailableError(absl::StrCat(
        library, " is no TensorFlow Lite delegate: it has no tflite_plugin_create_delegate; correct --delegate"));
  }
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  TakeReport();
  std::unique_ptr<Delegate> delegate(new Delegate());
  delegate->destroy_ = destroy;
  delegate->delegate_ = create(keys.data(), values.data(), keys.size(), Report);
  if (delegate->delegate_ != nullptr) return delegate;
  const std::string reason = TakeReport();
  return absl::UnavailableError(
      absl::StrCat("the delegate ", library, " did not start: ", reason.empty() ? "it gives no reason" : reason,
                   " (its options: ", options.empty() ? "none" : absl::StrJoin(options, ", ", absl::PairFormatter("=")),
                   "); connect the device, end other programs that use it, or correct --device or --delegate_option"));
}

Delegate::~Delegate() {
  if (delegate_ != nullptr) destroy_(delegate_);
}

}  // namespace ems
