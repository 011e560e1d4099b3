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

}  // namespace ems::testing

#endif  // EMS_TESTS_SUPPORT_IMAGES_H_
