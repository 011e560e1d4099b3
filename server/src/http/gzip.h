// gzip, both ways.
#ifndef EMS_HTTP_GZIP_H_
#define EMS_HTTP_GZIP_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct z_stream_s;

namespace ems {

// Inflates a body as it arrives, so that a small body of much content is refused at its limit.
class Inflater {
 public:
  enum class Result { kOk, kTooLarge, kBroken, kNoMemory };

  Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater();

  // Appends what `bytes` inflate to. `*out` never becomes longer than `most`; kTooLarge where it would.
  Result Append(std::string_view bytes, size_t most, std::string* out);
  // Returns whether the last member is complete, with a right checksum.
  bool done() const { return done_; }

 private:
  std::unique_ptr<z_stream_s> stream_;
  bool ready_;
  bool done_ = false;
};

// Returns `bytes` as a gzip member, compressed fast rather than small; nothing where zlib gets no memory.
std::optional<std::string> Deflate(std::string_view bytes);

// Returns whether a header Accept-Encoding admits gzip.
bool AcceptsGzip(std::string_view accept_encoding);

}  // namespace ems

#endif  // EMS_HTTP_GZIP_H_
