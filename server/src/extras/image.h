// JPEG and PNG files to pixels.
#ifndef EMS_EXTRAS_IMAGE_H_
#define EMS_EXTRAS_IMAGE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace ems {

// Pixels row by row, `channels` bytes each: 1 grey, 3 red, green, blue.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::string pixels;
};

// The most pixels of an image that a client sends: 16 million, which take 48 MB, and 100 MB while a progressive JPEG is
// decoded.
inline constexpr int64_t kMostPixels = int64_t{16} << 20;

// What the pixels are for.
struct ImageFormat {
  int channels = 3;
  // A JPEG file is decoded at a half, a quarter or an eighth of its size where that is still at least so large. By
  // default every file keeps its size.
  int least_width = 1 << 16;
  int least_height = 1 << 16;
  // The image is turned as the camera says that it was held (Exif's orientation).
  bool upright = true;
};

// Decodes a file of the kind that its first bytes say; also its base64, which clients send where a text is all that
// their protocol carries. Transparent pixels are black. INVALID_ARGUMENT for another kind,
// a broken file, and one of more than kMostPixels.
absl::StatusOr<Image> DecodeImage(std::string_view file, const ImageFormat& format);

// The decoders of the two kinds.
absl::StatusOr<Image> DecodeJpeg(std::string_view file, const ImageFormat& format);
absl::StatusOr<Image> DecodePng(std::string_view file, const ImageFormat& format);

// Scales with a triangle filter: bilinear interpolation where the image grows, averages of all pixels where it shrinks.
// Pixel centres are at halves, as in tf.image.resize and PIL. Both sizes must be positive.
Image Resize(const Image& image, int width, int height);

}  // namespace ems

#endif  // EMS_EXTRAS_IMAGE_H_
