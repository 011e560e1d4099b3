#include "extras/image.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "extras/orientation.h"

namespace ems {
namespace {

constexpr std::string_view kJpegStart = "\xFF\xD8\xFF";
constexpr std::string_view kPngStart = "\x89PNG\r\n\x1A\n";

// The same in base64.
constexpr std::string_view kJpegText = "/9j/";
constexpr std::string_view kPngText = "iVBORw0KGgo";

// Rows that grow take a float for each channel of at most so many pixels, as many bytes as the largest image.
constexpr int64_t kMostGrownPixels = kMostPixels / 4;

// The orientation in which rows are columns.
constexpr int kTransposed = 5;

bool IsBase64(std::string_view file) {
  return file.substr(0, kJpegText.size()) == kJpegText || file.substr(0, kPngText.size()) == kPngText;
}

// The pixels of the source that make a pixel of the result, along one dimension.
struct Taps {
  int first = 0;
  std::vector<float> weights;  // their sum is 1
};

std::vector<Taps> MakeTaps(int from, int to) {
  const double scale = static_cast<double>(from) / to;
  const double radius = std::max(scale, 1.0);
  std::vector<Taps> all(to);
  for (int i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    Taps& taps = all[i];
    taps.first = std::max(0, static_cast<int>(std::floor(centre - radius)));
    const int end = std::min(from, static_cast<int>(std::ceil(centre + radius)));
    double sum = 0;
    for (int source = taps.first; source < end; ++source) {
      const double weight = std::max(0.0, 1 - std::abs(source + 0.5 - centre) / radius);
      taps.weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (float& weight : taps.weights) weight = static_cast<float>(weight / sum);
  }
  return all;
}

// Scales the rows; the result has a float for each channel.
std::vector<float> ResizeRows(const Image& image, const std::vector<Taps>& taps) {
  const int channels = image.channels;
  std::vector<float> result(static_cast<size_t>(image.height) * taps.size() * channels);
  size_t at = 0;
  for (int y = 0; y < image.height; ++y) {
    const auto* row =
        reinterpret_cast<const unsigned char*>(image.pixels.data()) + static_cast<size_t>(y) * image.width * channels;
    for (const Taps& tap : taps) {
      for (int channel = 0; channel < channels; ++channel) {
        float sum = 0;
        for (size_t i = 0; i < tap.weights.size(); ++i)
          sum += tap.weights[i] * row[(tap.first + i) * channels + channel];
        result[at++] = sum;
      }
    }
  }
  return result;
}

Image RowsThenColumns(const Image& image, int width, int height) {
  const std::vector<float> rows = ResizeRows(image, MakeTaps(image.width, width));
  const size_t row_size = static_cast<size_t>(width) * image.channels;
  Image result{width, height, image.channels, std::string(row_size * height, '\0')};
  std::vector<float> sums(row_size);
  auto* out = reinterpret_cast<unsigned char*>(result.pixels.data());
  for (const Taps& tap : MakeTaps(image.height, height)) {
    std::fill(sums.begin(), sums.end(), 0.5F);  // for rounding
    for (size_t i = 0; i < tap.weights.size(); ++i) {
      const float* row = rows.data() + (tap.first + i) * row_size;
      for (size_t x = 0; x < row_size; ++x) sums[x] += tap.weights[i] * row[x];
    }
    for (const float sum : sums) *out++ = static_cast<unsigned char>(std::clamp(sum, 0.0F, 255.0F));
  }
  return result;
}

}  // namespace

absl::StatusOr<Image> DecodeImage(std::string_view file, const ImageFormat& format) {
  if (file.substr(0, kJpegStart.size()) == kJpegStart) return DecodeJpeg(file, format);
  if (file.substr(0, kPngStart.size()) == kPngStart) return DecodePng(file, format);
  std::string decoded;
  if (IsBase64(file) && absl::Base64Unescape({file.data(), file.size()}, &decoded) && !IsBase64(decoded))
    return DecodeImage(decoded, format);
  return absl::InvalidArgumentError(
      absl::StrCat("the ", file.size(), " bytes are neither a JPEG nor a PNG file: send one of these"));
}

Image Resize(const Image& image, int width, int height) {
  if (image.width == width && image.height == height) return image;
  // A file of a few kilobytes may have a million rows of one pixel: longer rows would take gigabytes.
  const bool grows = width > image.width && height < image.height;
  if (grows && static_cast<int64_t>(width) * image.height > kMostGrownPixels) {
    // NOLINTNEXTLINE(readability-suspicious-call-argument): rows are columns
    return Upright(RowsThenColumns(Upright(image, kTransposed), height, width), kTransposed);
  }
  return RowsThenColumns(image, width, height);
}

}  // namespace ems
