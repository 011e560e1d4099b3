#include "http/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "base/text.h"

namespace ems {
namespace {

constexpr int kGzipOnly = 15 + 16;  // zlib: the largest window, with gzip's header

Bytef* Bytes(std::string_view text) {
  // zlib's type of input is not const, but it does not write to it.
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

// Returns the weight of a member of Accept-Encoding: 1, or its parameter q; 0 where that is no number.
double Quality(const std::vector<std::string_view>& parts) {
  double quality = 1;
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string_view parameter = Trim(parts[i]);
    if (parameter.size() < 2 || !EqualsIgnoreCase(parameter.substr(0, 2), "q=")) continue;
    const std::string value(parameter.substr(2));
    char* end = nullptr;
    quality = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != '\0') return 0;
  }
  return quality;
}

}  // namespace

// zlib fails here only for want of memory.
Inflater::Inflater() : stream_(std::make_unique<z_stream>()), ready_(inflateInit2(stream_.get(), kGzipOnly) == Z_OK) {}

Inflater::~Inflater() {
  if (ready_) inflateEnd(stream_.get());
}

Inflater::Result Inflater::Append(std::string_view bytes, size_t most, std::string* out) {
  if (!ready_) return Result::kNoMemory;
  std::array<char, 16384> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): zlib fills it
  stream_->next_in = Bytes(bytes);
  stream_->avail_in = bytes.size();
  do {
    if (done_) {
      if (stream_->avail_in == 0) return Result::kOk;
      inflateReset(stream_.get());  // members may follow each other (RFC 1952, section 2.2)
      done_ = false;
    }
    stream_->next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream_->avail_out = buffer.size();
    const int result = inflate(stream_.get(), Z_NO_FLUSH);
    if (result == Z_MEM_ERROR) return Result::kNoMemory;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return Result::kBroken;
    const size_t size = buffer.size() - stream_->avail_out;
    if (size > most - out->size()) return Result::kTooLarge;
    out->append(buffer.data(), size);
    done_ = result == Z_STREAM_END;
    if (result == Z_BUF_ERROR) return Result::kOk;  // all input is used
  } while (stream_->avail_in > 0 || stream_->avail_out == 0);
  return Result::kOk;
}

std::optional<std::string> Deflate(std::string_view bytes) {
  z_stream stream = {};
  // Level 1: a reply of numbers shrinks to half either way, and a small CPU needs five times as long at level 6.
  if (deflateInit2(&stream, 1, Z_DEFLATED, kGzipOnly, 8, Z_DEFAULT_STRATEGY) != Z_OK) return std::nullopt;
  const std::unique_ptr<z_stream, decltype(&deflateEnd)> owner(&stream, &deflateEnd);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = Bytes(bytes);
  stream.avail_in = bytes.size();
  stream.next_out = Bytes(out);
  stream.avail_out = out.size();
  deflate(&stream, Z_FINISH);  // the bound is enough for one call
  out.resize(stream.total_out);
  return out;
}

bool AcceptsGzip(std::string_view accept_encoding) {
  bool any = false;
  for (const std::string_view member : Split(accept_encoding, ',')) {
    const std::vector<std::string_view> parts = Split(member, ';');
    const std::string_view name = Trim(parts[0]);
    if (EqualsIgnoreCase(name, "gzip")) return Quality(parts) > 0;
    if (name == "*") any = Quality(parts) > 0;
  }
  return any;
}

}  // namespace ems
