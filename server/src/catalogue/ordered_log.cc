#include "catalogue/ordered_log.h"

namespace ems {

void OrderedLog::Add(std::string line) {
  if (!write_) return;
  const std::lock_guard lock(mu_);
  lines_.push_back(std::move(line));
}

void OrderedLog::Flush() {
  const std::lock_guard order(writing_);
  std::vector<std::string> lines;
  {
    const std::lock_guard lock(mu_);
    lines.swap(lines_);
  }
  for (const std::string& line : lines) write_(line);
}

}  // namespace ems
