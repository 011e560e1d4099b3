// TensorFlow Serving's JSON of Classify and Regress (g3doc/api_rest.md@00e459f1, json_tensor.cc@00f8ba53).
#ifndef EMS_CODEC_JSON_EXAMPLES_H_
#define EMS_CODEC_JSON_EXAMPLES_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tensorflow_serving/apis/classification.pb.h"
#include "tensorflow_serving/apis/input.pb.h"
#include "tensorflow_serving/apis/regression.pb.h"

namespace ems {

struct ExamplesBody {
  std::string signature_name;  // empty where the body has none
  tensorflow::serving::Input input;
};

// Parses {"signature_name": ..., "context": {...}, "examples": [{...}, ...]}. A feature is a value or a list of them:
// decimals become a float_list, whole numbers and bools an int64_list, strings and {"b64": ...} a bytes_list.
// INVALID_ARGUMENT as PredictBody::Parse, and with TensorFlow Serving's texts for anything else.
absl::StatusOr<ExamplesBody> ParseExamples(std::string_view body);

// Returns {"results": [[["label", score], ...], ...]}. INVALID_ARGUMENT for no results.
absl::StatusOr<std::string> ClassifyReply(const tensorflow::serving::ClassificationResult& result);

// Returns {"results": [value, ...]}. INVALID_ARGUMENT for no results.
absl::StatusOr<std::string> RegressReply(const tensorflow::serving::RegressionResult& result);

}  // namespace ems

#endif  // EMS_CODEC_JSON_EXAMPLES_H_
