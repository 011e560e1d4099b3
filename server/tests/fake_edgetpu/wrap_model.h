// Models "compiled" for the fake Edge TPU.
#ifndef EMS_TESTS_FAKE_EDGETPU_WRAP_MODEL_H_
#define EMS_TESTS_FAKE_EDGETPU_WRAP_MODEL_H_

#include <string>

namespace fake_edgetpu {

// Returns a .tflite model of one operator edgetpu-custom-op that holds `model`, a whole .tflite file; inputs, outputs
// and signatures are those of `model`.
std::string WrapModel(const std::string& model);

}  // namespace fake_edgetpu

#endif  // EMS_TESTS_FAKE_EDGETPU_WRAP_MODEL_H_
