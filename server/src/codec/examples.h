// Examples (Classify, Regress, MultiInference) to the inputs of a signature, and its outputs to results. Texts of
// TensorFlow Serving's classifier.cc@155a929e, regressor.cc@1c4fab79 and util.cc@0483edb6.
#ifndef EMS_CODEC_EXAMPLES_H_
#define EMS_CODEC_EXAMPLES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/tensor.h"
#include "model/servable.h"
#include "tensorflow_serving/apis/classification.pb.h"
#include "tensorflow_serving/apis/input.pb.h"
#include "tensorflow_serving/apis/regression.pb.h"

namespace ems {

// Checks that a signature has the outputs of a classification: "classes", "scores" or both, and no others.
// INVALID_ARGUMENT or FAILED_PRECONDITION. The method name is not checked: models of TensorFlow Lite have no other than
// predict, and TensorFlow Serving checks it only with --enable_signature_method_name_check.
absl::Status CheckClassifySignature(const Signature& signature);

// Checks that a signature has one output, "outputs". Errors as above.
absl::Status CheckRegressSignature(const Signature& signature);

// Returns the number of examples.
int64_t CountExamples(const tensorflow::serving::Input& input);

// Converts examples to the inputs of a signature. The context's features are those of each example without its own.
//
// A signature whose only input is a DT_STRING takes serialized examples: shape [n]. Otherwise each input takes the
// feature of its name: shape [n, ...], where the other dimensions are the signature's; one of them may be unknown. A
// whole number becomes a float where that is exact.
// INVALID_ARGUMENT "Input is empty."; a feature that is missing, of another kind, of another size than the signature's,
// or has a number that the dtype does not hold, with the names of feature and example. FAILED_PRECONDITION for an input
// without a dimension for examples, or with more than one unknown size.
absl::StatusOr<TensorMap> InputsOfExamples(const tensorflow::serving::Input& input, const Signature& signature);

// Converts the outputs "classes" (DT_STRING) and "scores" (DT_FLOAT), [examples, number of classes] each.
// INVALID_ARGUMENT for other dtypes and shapes.
absl::StatusOr<tensorflow::serving::ClassificationResult> Classifications(const TensorMap& outputs, int64_t examples);

// Converts the output "outputs" (DT_FLOAT), [examples] or [examples, 1]. INVALID_ARGUMENT for other dtypes and shapes.
absl::StatusOr<tensorflow::serving::RegressionResult> Regressions(const TensorMap& outputs, int64_t examples);

}  // namespace ems

#endif  // EMS_CODEC_EXAMPLES_H_
