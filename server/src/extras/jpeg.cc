// clang-format off: jpeglib.h needs what stdio.h declares
#include <cstdio>
#include <jpeglib.h>
// clang-format on
#include <csetjmp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "extras/image.h"
#include "extras/orientation.h"

namespace ems {
namespace {

// A file of a few kilobytes can ask for thousands of passes over a large image.
constexpr int kMostScans = 100;
constexpr int kExifMarker = JPEG_APP0 + 1;

// libjpeg leaves by longjmp, so nothing that has a destructor lives in the function that it leaves.
struct Decoder {
  jpeg_decompress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf on_error;
  char message[JMSG_LENGTH_MAX];
  int orientation;
};

Decoder& DecoderOf(j_common_ptr jpeg) { return *static_cast<Decoder*>(jpeg->client_data); }

void Leave(j_common_ptr jpeg) {
  Decoder& decoder = DecoderOf(jpeg);
  jpeg->err->format_message(jpeg, decoder.message);
  std::longjmp(decoder.on_error, 1);  // NOLINT(cert-err52-cpp): libjpeg has no other way
}

void LimitScans(j_common_ptr jpeg) {
  Decoder& decoder = DecoderOf(jpeg);
  if (decoder.jpeg.input_scan_number <= kMostScans) return;
  std::snprintf(decoder.message, sizeof(decoder.message), "more than %d scans", kMostScans);
  std::longjmp(decoder.on_error, 1);  // NOLINT(cert-err52-cpp)
}

void Start(Decoder& decoder, std::string_view file) {
  decoder.jpeg.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = Leave;
  // Warnings are files that end early or have damaged parts: an answer about half an image would be wrong.
  decoder.errors.emit_message = [](j_common_ptr jpeg, int level) {
    if (level < 0) Leave(jpeg);
  };
  decoder.jpeg.client_data = &decoder;
  jpeg_create_decompress(&decoder.jpeg);
  decoder.jpeg.client_data = &decoder;
  decoder.progress.progress_monitor = LimitScans;
  decoder.jpeg.progress = &decoder.progress;
  jpeg_mem_src(&decoder.jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
}

// Returns the orientation of the first marker that is Exif's.
int OrientationOf(const jpeg_decompress_struct& jpeg) {
  for (jpeg_saved_marker_ptr marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const int orientation = ExifOrientation({reinterpret_cast<const char*>(marker->data), marker->data_length});
    if (orientation != 1) return orientation;
  }
  return 1;
}

// Reads the head and prepares the size. Returns false with a message on failure.
bool ReadHead(Decoder& decoder, std::string_view file, const ImageFormat& format) {
  if (setjmp(decoder.on_error) != 0) return false;  // NOLINT(cert-err52-cpp)
  Start(decoder, file);
  jpeg_decompress_struct& jpeg = decoder.jpeg;
  jpeg_save_markers(&jpeg, kExifMarker, 0xFFFF);
  jpeg_read_header(&jpeg, TRUE);
  if (static_cast<int64_t>(jpeg.image_width) * jpeg.image_height > kMostPixels) {
    std::snprintf(decoder.message, sizeof(decoder.message), "%u x %u pixels are more than %lld", jpeg.image_width,
                  jpeg.image_height, static_cast<long long>(kMostPixels));
    return false;
  }
  jpeg.out_color_space = format.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  decoder.orientation = format.upright ? OrientationOf(jpeg) : 1;
  auto least_width = static_cast<JDIMENSION>(format.least_width);
  auto least_height = static_cast<JDIMENSION>(format.least_height);
  if (IsTurned(decoder.orientation)) std::swap(least_width, least_height);
  jpeg.scale_num = 1;
  jpeg.scale_denom = 8;
  while (jpeg.scale_denom > 1 &&
         (jpeg.image_width / jpeg.scale_denom < least_width || jpeg.image_height / jpeg.scale_denom < least_height)) {
    jpeg.scale_denom /= 2;
  }
  jpeg_calc_output_dimensions(&jpeg);
  return true;
}

bool ReadPixels(Decoder& decoder, char* pixels, size_t row_size) {
  if (setjmp(decoder.on_error) != 0) return false;  // NOLINT(cert-err52-cpp)
  jpeg_start_decompress(&decoder.jpeg);
  while (decoder.jpeg.output_scanline < decoder.jpeg.output_height) {
    auto* row = reinterpret_cast<JSAMPROW>(pixels + decoder.jpeg.output_scanline * row_size);
    jpeg_read_scanlines(&decoder.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&decoder.jpeg);
  return true;
}

}  // namespace

absl::StatusOr<Image> DecodeJpeg(std::string_view file, const ImageFormat& format) {
  Decoder decoder = {};
  Image image;
  bool ok = ReadHead(decoder, file, format);
  if (ok) {
    image.width = static_cast<int>(decoder.jpeg.output_width);
    image.height = static_cast<int>(decoder.jpeg.output_height);
    image.channels = format.channels;
    const size_t row_size = static_cast<size_t>(image.width) * image.channels;
    image.pixels.resize(row_size * image.height);
    ok = ReadPixels(decoder, image.pixels.data(), row_size);
  }
  jpeg_destroy_decompress(&decoder.jpeg);
  if (ok) return Upright(std::move(image), decoder.orientation);
  return absl::InvalidArgumentError(absl::StrCat("the JPEG file cannot be read: ", decoder.message));
}

}  // namespace ems
