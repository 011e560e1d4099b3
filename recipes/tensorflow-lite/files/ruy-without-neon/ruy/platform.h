// Stands before Debian's ruy/platform.h where libruy is built without NEON (armhf) and TensorFlow Lite with it: the
// headers must choose the code paths that the library has, not those that this compiler's flags allow.
#include_next <ruy/platform.h>

#undef RUY_PLATFORM_NEON
#define RUY_PLATFORM_NEON 0
