// What TensorFlow Lite reports while it works, kept for the text of a status.
#ifndef EMS_TFLITE_REPORTER_H_
#define EMS_TFLITE_REPORTER_H_

#include <cstdarg>
#include <string>

#include "tensorflow/lite/core/api/error_reporter.h"

namespace ems {

// Keeps the messages instead of writing them to stderr. Not thread-safe, as an interpreter is not.
class Reporter : public tflite::ErrorReporter {
 public:
  int Report(const char* format, va_list args) override;

  // Returns the messages since the last call, joined by "; ", or `otherwise` where there are none.
  std::string Take(const std::string& otherwise);

 private:
  std::string text_;
};

}  // namespace ems

#endif  // EMS_TFLITE_REPORTER_H_
