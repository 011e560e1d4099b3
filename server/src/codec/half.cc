#include "codec/half.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ems {

namespace {

constexpr uint32_t kSign = 0x8000;
constexpr uint32_t kExponent = 0x7c00;
constexpr uint32_t kMantissa = 0x03ff;
constexpr int kBias = 15;
constexpr int kMantissaBits = 10;

}  // namespace

float HalfToFloat(uint16_t half) {
  const int exponent = static_cast<int>((half & kExponent) >> kMantissaBits);
  const uint32_t mantissa = half & kMantissa;
  float value = 0;
  if (exponent == 0x1f) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), 1 - kBias - kMantissaBits);
  } else {
    value = std::ldexp(static_cast<float>(mantissa | (kMantissa + 1)), exponent - kBias - kMantissaBits);
  }
  return (half & kSign) != 0 ? -value : value;
}

uint16_t FloatToHalf(float value) {
  const uint32_t sign = std::signbit(value) ? kSign : 0;
  if (std::isnan(value)) return static_cast<uint16_t>(sign | kExponent | (kMantissa + 1) / 2);
  const float size = std::fabs(value);
  if (size == 0) return static_cast<uint16_t>(sign);
  const int exponent = std::max(std::ilogb(size), 1 - kBias);
  if (exponent > kBias) return static_cast<uint16_t>(sign | kExponent);
  // In units of the last place; nearbyint rounds ties to even, and a carry runs into the exponent as it should.
  const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, kMantissaBits - exponent)));
  const uint32_t bits = (static_cast<uint32_t>(exponent + kBias - 1) << kMantissaBits) + units;
  return static_cast<uint16_t>(sign | bits);
}

}  // namespace ems
