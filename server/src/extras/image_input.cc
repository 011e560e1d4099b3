#include "extras/image_input.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/clock.h"

namespace ems {
namespace {

// The most elements of a decoded request: as much as a large body of floats.
constexpr int64_t kMostElements = int64_t{64} << 20;

bool HasImageShape(const Shape& shape) {
  return shape.size() == 4 && shape[1] > 0 && shape[2] > 0 && (shape[3] == 1 || shape[3] == 3) &&
         shape[1] * shape[2] <= kMostPixels;
}

bool HasImageType(DataType dtype) {
  return dtype == DataType::kUint8 || dtype == DataType::kInt8 || dtype == DataType::kFloat;
}

// Sets scale and offset: real = (pixel - mean) / std, stored as real / scale + zero_point by integers.
void SetScale(const Quantisation& quantisation, const ImageInput& settings, ImageInputPlan& plan) {
  const float std = settings.std() > 0 ? settings.std() : 1;
  const bool quantised = plan.dtype != DataType::kFloat && quantisation.scale > 0;
  const float unit = quantised ? quantisation.scale : 1;
  plan.scale = 1 / (std * unit);
  plan.offset = -settings.mean() / (std * unit) + (quantised ? static_cast<float>(quantisation.zero_point) : 0);
  plan.padding = static_cast<int>(std::clamp(settings.mean(), 0.0F, 255.0F));
}

template <typename T>
T Store(float value) {
  if constexpr (std::is_same_v<T, float>) return value;
  return static_cast<T>(
      std::clamp<float>(std::round(value), std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

template <typename T>
void StorePixels(const ImageInputPlan& plan, const std::string& pixels, T* to) {
  std::array<T, 256> table;
  for (int pixel = 0; pixel < 256; ++pixel) {
    table[pixel] = Store<T>(static_cast<float>(pixel) * plan.scale + plan.offset);
  }
  for (const char pixel : pixels) *to++ = table[static_cast<unsigned char>(pixel)];
}

void StoreAny(const ImageInputPlan& plan, const std::string& pixels, int64_t index, Tensor& tensor) {
  const int64_t from = index * static_cast<int64_t>(pixels.size());
  if (plan.dtype == DataType::kFloat) return StorePixels(plan, pixels, tensor.data<float>() + from);
  if (plan.dtype == DataType::kInt8) return StorePixels(plan, pixels, tensor.data<int8_t>() + from);
  StorePixels(plan, pixels, tensor.data<uint8_t>() + from);
}

// Shrinks or grows to fit and fills the rest.
Image Fit(const Image& image, const ImageInputPlan& plan) {
  const double factor =
      std::min(static_cast<double>(plan.width) / image.width, static_cast<double>(plan.height) / image.height);
  const int width = std::clamp(static_cast<int>(std::lround(image.width * factor)), 1, plan.width);
  const int height = std::clamp(static_cast<int>(std::lround(image.height * factor)), 1, plan.height);
  const Image small = Resize(image, width, height);
  const size_t row_size = static_cast<size_t>(plan.width) * plan.channels;
  Image padded{plan.width, plan.height, plan.channels,
               std::string(row_size * plan.height, static_cast<char>(plan.padding))};
  const size_t small_row = static_cast<size_t>(width) * plan.channels;
  for (int y = 0; y < height; ++y) {
    std::memcpy(padded.pixels.data() + y * row_size, small.pixels.data() + y * small_row, small_row);
  }
  return padded;
}

}  // namespace

absl::StatusOr<std::optional<ImageInputPlan>> PlanImageInput(const std::string& name, const TensorSpec& spec,
                                                             const Quantisation& quantisation,
                                                             const ImageInput* settings) {
  if (settings != nullptr && settings->disabled()) return std::nullopt;
  if (!HasImageShape(spec.shape) || !HasImageType(spec.dtype)) {
    if (settings == nullptr) return std::nullopt;
    return absl::InvalidArgumentError(absl::StrCat("the input ", name, " cannot take images: it is ",
                                                   std::string(Name(spec.dtype)), " ", ToString(spec.shape),
                                                   ", not [n, height, width, 1 or 3] of uint8, int8 or float"));
  }
  if (settings == nullptr && spec.dtype == DataType::kFloat) return std::nullopt;
  ImageInputPlan plan;
  plan.dtype = spec.dtype;
  plan.height = static_cast<int>(spec.shape[1]);
  plan.width = static_cast<int>(spec.shape[2]);
  plan.channels = static_cast<int>(spec.shape[3]);
  if (settings != nullptr) {
    plan.keep_aspect = settings->keep_aspect();
    plan.upright = !settings->as_stored();
    SetScale(quantisation, *settings, plan);
  } else if (plan.dtype == DataType::kInt8) {
    // Converters give int8 images this form, whatever the model's real range is.
    plan.offset = -128;
  }
  return plan;
}

absl::StatusOr<Tensor> DecodeImages(const ImageInputPlan& plan, const Tensor& files, absl::Time deadline) {
  const auto count = static_cast<int64_t>(files.strings.size());
  const int64_t size = static_cast<int64_t>(plan.height) * plan.width * plan.channels;
  if (count > kMostElements / size) {
    return absl::InvalidArgumentError(
        absl::StrCat(count, " images are too many for a request: send ", kMostElements / size, " at most"));
  }
  Tensor tensor = MakeTensor(plan.dtype, {count, plan.height, plan.width, plan.channels});
  for (int64_t i = 0; i < count; ++i) {
    if (SteadyNow() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("the deadline passed when ", i, " of ", count, " images were decoded"));
    }
    // Half the size again is left for the filter, which makes better small images than the decoder.
    const absl::StatusOr<Image> image =
        DecodeImage(files.strings[i], {plan.channels, plan.width * 3 / 2, plan.height * 3 / 2, plan.upright});
    if (!image.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("image ", i, ": ", image.status().message()));
    }
    const Image fitted = plan.keep_aspect ? Fit(*image, plan) : Resize(*image, plan.width, plan.height);
    StoreAny(plan, fitted.pixels, i, tensor);
  }
  return tensor;
}

}  // namespace ems
