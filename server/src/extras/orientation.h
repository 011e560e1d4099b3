// Which way up a camera held an image: phones store the pixels as the sensor lies, and the turn beside them (Exif 2.3,
// tag 0x0112).
#ifndef EMS_EXTRAS_ORIENTATION_H_
#define EMS_EXTRAS_ORIENTATION_H_

#include <string_view>

#include "extras/image.h"

namespace ems {

// Returns the orientation, 1 to 8, that the content of a JPEG file's APP1 marker names; 1, upright, where it names
// none.
int ExifOrientation(std::string_view app1);

// Returns whether width and height of an image of this orientation change places.
inline bool IsTurned(int orientation) { return orientation >= 5; }

// Returns the image upright.
Image Upright(Image image, int orientation);

}  // namespace ems

#endif  // EMS_EXTRAS_ORIENTATION_H_
