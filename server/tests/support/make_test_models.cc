// make_test_models DIR: writes the models of the tests in TensorFlow Serving's layout, DIR/NAME/1/model.tflite, and one
// in segments.
#include <iostream>

#include "fake_edgetpu/wrap_model.h"
#include "support/model_maker.h"
#include "support/split_model.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make_test_models DIR\n";
    return 2;
  }
  using namespace ems::testing;  // NOLINT(google-build-using-namespace): every name below is of it
  const std::vector<std::pair<std::string, std::string>> models = {
      {"half_plus_two", HalfPlusTwoModel()},
      {"fixed_batch", FixedBatchModel()},
      {"giant", GiantModel()},
      {"broad", BroadModel()},
      {"two_inputs", TwoInputsModel()},
      {"two_signatures", TwoSignaturesModel()},
      {"string_echo", StringEchoModel()},
      {"int8", Int8Model()},
      {"many_types", ManyTypesModel()},
      {"scalar", ScalarModel()},
      {"image", ImageModel()},
      {"failing", FailingModel()},
      {"crashing", CrashingModel()},
      {"detection", DetectionModel()},
      {"no_signature", NoSignatureModel()},
      {"serving_signatures", ServingSignaturesModel()},
      {"unknown_version", UnknownVersionModel()},
      {"custom_operator", CustomOperatorModel("Mystery", "")},
      {"edgetpu", fake_edgetpu::WrapModel(FixedBatchModel())},
      {"cut", HalfPlusTwoModel().substr(0, 200)},
  };
  for (const auto& [name, file] : models) {
    WriteFile(std::string(argv[1]) + "/" + name + "/1/model.tflite", file);
  }
  const std::vector<std::string> segments = SplitModel(FixedBatchModel(), 2);
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::string name = "model_segment_" + std::to_string(i) + "_of_2_edgetpu.tflite";
    WriteFile(std::string(argv[1]) + "/segments/1/" + name, fake_edgetpu::WrapModel(segments[i]));
  }
  return 0;
}
