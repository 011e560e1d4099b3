// JPEG and PNG files made in memory.
#ifndef EMS_TESTS_SUPPORT_IMAGES_H_
#define EMS_TESTS_SUPPORT_IMAGES_H_

#include <string>

#include "extras/image.h"

namespace ems::testing {

// Returns an image of this size whose pixels all have the value that `pixel` gives for their place.
Image Paint(int width, int height, int channels, int (*pixel)(int x, int y, int channel));

std::string EncodeJpeg(const Image& image, bool progressive = false);
std::string EncodePng(const Image& image);

// What EncodePng does not make.
struct PngKind {
  bool sixteen_bits = false;  // a pixel of 0x80 becomes 0x8000
  bool interlaced = false;
  std::string palette;     // red, green, blue of each colour; the pixels are then numbers of colours
  std::string chunk;       // the name of one more chunk before the pixels
  std::string chunk_data;  // and its content
};
std::string EncodePng(const Image& image, const PngKind& kind);

}  // namespace ems::testing

#endif  // EMS_TESTS_SUPPORT_IMAGES_H_
