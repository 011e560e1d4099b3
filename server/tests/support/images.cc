#include "support/images.h"

// clang-format off: jpeglib.h needs what stdio.h declares
#include <cstdio>
#include <jpeglib.h>
// clang-format on
#include <png.h>

#include <cstdlib>
#include <vector>

namespace ems::testing {

Image Paint(int width, int height, int channels, int (*pixel)(int x, int y, int channel)) {
  Image image{width, height, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int channel = 0; channel < channels; ++channel) {
        image.pixels.push_back(static_cast<char>(pixel(x, y, channel)));
      }
    }
  }
  return image;
}

std::string EncodeJpeg(const Image& image, bool progressive) {
  jpeg_compress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): libjpeg's type
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = image.channels;
  jpeg.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  std::string pixels = image.pixels;
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = reinterpret_cast<JSAMPROW>(pixels.data() +
                                           static_cast<size_t>(jpeg.next_scanline) * image.width * image.channels);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string file(reinterpret_cast<char*>(buffer), size);
  std::free(buffer);  // NOLINT: libjpeg allocates with malloc
  return file;
}

std::string EncodePng(const Image& image) {
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 1 ? PNG_FORMAT_GRAY : image.channels == 4 ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  if (png_image_write_get_memory_size(png, size, 0, image.pixels.data(), 0, nullptr) == 0) std::abort();
  std::string file(size, '\0');
  if (png_image_write_to_memory(&png, file.data(), &size, 0, image.pixels.data(), 0, nullptr) == 0) std::abort();
  file.resize(size);
  return file;
}

std::string EncodePng(const Image& image, const PngKind& kind) {
  std::string file;
  png_struct* png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_info* info = png_create_info_struct(png);
  const auto append = [](png_struct* writer, png_byte* data, size_t size) {
    static_cast<std::string*>(png_get_io_ptr(writer))->append(reinterpret_cast<char*>(data), size);
  };
  png_set_write_fn(png, &file, append, nullptr);
  const int type =
      !kind.palette.empty() ? PNG_COLOR_TYPE_PALETTE : (image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB);
  png_set_IHDR(png, info, image.width, image.height, kind.sixteen_bits ? 16 : 8, type,
               kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (!kind.palette.empty()) {
    png_set_PLTE(png, info, reinterpret_cast<const png_color*>(kind.palette.data()),
                 static_cast<int>(kind.palette.size() / 3));
  }
  png_write_info(png, info);
  if (!kind.chunk.empty()) {
    png_write_chunk(png, reinterpret_cast<const png_byte*>(kind.chunk.data()),
                    reinterpret_cast<const png_byte*>(kind.chunk_data.data()), kind.chunk_data.size());
  }
  std::string samples;
  for (const char pixel : image.pixels) samples.append(1, pixel).append(kind.sixteen_bits ? 1 : 0, '\0');
  std::vector<png_byte*> rows;
  const size_t row_size = samples.size() / image.height;
  for (int y = 0; y < image.height; ++y) rows.push_back(reinterpret_cast<png_byte*>(samples.data()) + y * row_size);
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

}  // namespace ems::testing
