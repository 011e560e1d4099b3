// Bytes of an HTTP connection: the first byte chooses in which pieces they come.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "check.h"
#include "http/parser.h"

namespace {

using State = ems::RequestParser::State;

constexpr ems::RequestParser::Limits kLimits = {1000, 500};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t piece = 1 + data[0] % 64;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  ems::RequestParser parser(kLimits);
  while (!rest.empty()) {
    const size_t taken = parser.Feed(rest.substr(0, piece));
    ems::Check(taken <= std::min(piece, rest.size()));
    rest.remove_prefix(taken);
    if (parser.state() == State::kError) {
      ems::Check(parser.error_code() >= 400);
      return 0;
    }
    if (parser.state() == State::kDone) {
      ems::Check(parser.TakeRequest().body.size() <= kLimits.body);
      parser.Reset();
    } else {
      ems::Check(taken > 0);
    }
  }
  return 0;
}
