#include "tflite/reporter.h"

#include <cstdio>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace ems {
namespace {

// A graph of many bad nodes reports each; a status needs the first ones.
constexpr size_t kMostText = 1000;

}  // namespace

int Reporter::Report(const char* format, va_list args) {
  if (text_.size() > kMostText) return 0;
  char line[512];
  const int size = std::vsnprintf(line, sizeof(line), format, args);
  if (size < 0) return size;
  if (!text_.empty()) text_ += "; ";
  absl::StrAppend(&text_, absl::StripAsciiWhitespace(line));
  return size;
}

std::string Reporter::Take(const std::string& otherwise) {
  std::string text = std::exchange(text_, {});
  return text.empty() ? otherwise : text;
}

}  // namespace ems
