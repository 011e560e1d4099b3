#include <png.h>

#include "absl/strings/str_cat.h"
#include "extras/image.h"

namespace ems {
namespace {

// libpng's own structure, freed in any case.
class PngFile {
 public:
  PngFile() { png_.version = PNG_IMAGE_VERSION; }
  ~PngFile() { png_image_free(&png_); }
  PngFile(const PngFile&) = delete;
  PngFile& operator=(const PngFile&) = delete;
  png_image& operator*() { return png_; }

 private:
  png_image png_ = {};
};

absl::Status Broken(std::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat("the PNG file cannot be read: ", std::string(reason)));
}

}  // namespace

absl::StatusOr<Image> DecodePng(std::string_view file, const ImageFormat& format) {
  PngFile owner;
  png_image& png = *owner;
  if (png_image_begin_read_from_memory(&png, file.data(), file.size()) == 0) return Broken(png.message);
  if (static_cast<int64_t>(png.width) * png.height > kMostPixels) {
    return Broken(absl::StrCat(png.width, " x ", png.height, " pixels are more than ", kMostPixels));
  }
  // Such as of a colour profile that does not fit: libpng reads the image without it.
  png.warning_or_error = 0;
  // PNG's default is sRGB, whatever the depth; libpng takes 16 bits without a colour space for linear light.
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  png.format = format.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  Image image{static_cast<int>(png.width), static_cast<int>(png.height), format.channels, {}};
  image.pixels.resize(PNG_IMAGE_SIZE(png));
  const png_color black = {};
  if (png_image_finish_read(&png, &black, image.pixels.data(), 0, nullptr) == 0) return Broken(png.message);
  // A warning about pixels is a file that ends early or has damaged parts: an answer about half an image would be
  // wrong.
  if (png.warning_or_error != 0) return Broken(png.message);
  return image;
}

}  // namespace ems
