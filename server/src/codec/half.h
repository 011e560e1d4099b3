// IEEE 754 half precision numbers, which C++17 has no type for.
#ifndef EMS_CODEC_HALF_H_
#define EMS_CODEC_HALF_H_

#include <cstdint>

namespace ems {

// From here on a number rounds to infinity.
inline constexpr float kHalfLimit = 65520.0F;

// Returns the value of the half with these bits; exact.
float HalfToFloat(uint16_t half);

// Returns the bits of the half nearest to `value`, ties to even; infinity where it is too large. A NaN stays a NaN.
uint16_t FloatToHalf(float value);

}  // namespace ems

#endif  // EMS_CODEC_HALF_H_
