#include "extras/orientation.h"

#include <cstdint>
#include <cstring>
#include <utility>

namespace ems {
namespace {

constexpr std::string_view kExif("Exif\0\0", 6);
constexpr uint64_t kEntrySize = 12;
constexpr uint64_t kOrientationTag = 0x0112;
constexpr uint64_t kShort = 3;  // the type of an unsigned number of two bytes

// Reads numbers of a TIFF header, whose first bytes tell their order. What is beyond the end is 0.
class Tiff {
 public:
  explicit Tiff(std::string_view bytes) : bytes_(bytes), little_(bytes.substr(0, 2) == "II") {}

  uint64_t Number(uint64_t offset, int size) const {
    if (offset + size > bytes_.size()) return 0;
    uint64_t number = 0;
    for (int i = 0; i < size; ++i) {
      const int place = little_ ? size - 1 - i : i;
      number = number << 8U | static_cast<unsigned char>(bytes_[offset + place]);
    }
    return number;
  }

 private:
  const std::string_view bytes_;
  const bool little_;
};

// The place of a pixel of the file that stands at `x`, `y` of the upright image; `width` and `height` are the file's.
std::pair<int, int> Source(int orientation, int width, int height, int x, int y) {
  switch (orientation) {
    case 2:
      return {width - 1 - x, y};
    case 3:
      return {width - 1 - x, height - 1 - y};
    case 4:
      return {x, height - 1 - y};
    case 5:
      return {y, x};
    case 6:
      return {y, height - 1 - x};
    case 7:
      return {width - 1 - y, height - 1 - x};
    case 8:
      return {width - 1 - y, x};
    default:
      return {x, y};
  }
}

}  // namespace

int ExifOrientation(std::string_view app1) {
  if (app1.substr(0, kExif.size()) != kExif) return 1;
  const Tiff tiff(app1.substr(kExif.size()));
  const uint64_t directory = tiff.Number(4, 4);
  const uint64_t entries = tiff.Number(directory, 2);
  for (uint64_t i = 0; i < entries; ++i) {
    const uint64_t entry = directory + 2 + i * kEntrySize;
    if (tiff.Number(entry, 2) != kOrientationTag || tiff.Number(entry + 2, 2) != kShort) continue;
    const uint64_t orientation = tiff.Number(entry + 8, 2);
    return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
  }
  return 1;
}

Image Upright(Image image, int orientation) {
  if (orientation <= 1) return image;
  Image upright{image.width, image.height, image.channels, std::string(image.pixels.size(), '\0')};
  if (IsTurned(orientation)) std::swap(upright.width, upright.height);
  char* to = upright.pixels.data();
  for (int y = 0; y < upright.height; ++y) {
    for (int x = 0; x < upright.width; ++x, to += image.channels) {
      const auto [from_x, from_y] = Source(orientation, image.width, image.height, x, y);
      const size_t from = (static_cast<size_t>(from_y) * image.width + from_x) * image.channels;
      std::memcpy(to, image.pixels.data() + from, image.channels);
    }
  }
  return upright;
}

}  // namespace ems
