// A delegate that never starts and says why: with the plug-in interface of external_delegate_interface.h.
#include <cstddef>
#include <string>

struct TfLiteDelegate;

extern "C" __attribute__((visibility("default"))) TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* keys, const char* const* values, size_t count, void (*report_error)(const char*)) {
  std::string device = "of no name";
  for (size_t i = 0; i < count; ++i) {
    if (std::string(keys[i]) == "device") device = values[i];
  }
  report_error(("no device " + device).c_str());
  return nullptr;
}

extern "C" __attribute__((visibility("default"))) void tflite_plugin_destroy_delegate(TfLiteDelegate* /*delegate*/) {}
