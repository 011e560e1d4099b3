// JPEG and PNG files: the first byte chooses what they are decoded for.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "check.h"
#include "extras/image.h"

namespace {

bool IsWhole(const ems::Image& image, int channels) {
  return image.width > 0 && image.height > 0 && image.channels == channels &&
         image.pixels.size() == size_t{1} * image.width * image.height * channels;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  ems::ImageFormat format;
  format.channels = (data[0] & 1) != 0 ? 1 : 3;
  if ((data[0] & 2) != 0) format.least_width = format.least_height = 2;
  const std::string_view file(reinterpret_cast<const char*>(data) + 1, size - 1);
  const absl::StatusOr<ems::Image> image = ems::DecodeImage(file, format);
  if (!image.ok()) return 0;
  ems::Check(IsWhole(*image, format.channels));
  ems::Check(IsWhole(ems::Resize(*image, 3, 5), format.channels));
  return 0;
}
