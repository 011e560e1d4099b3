#include "codec/examples.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "codec/feature_reader.h"
#include "codec/tensor_proto.h"
#include "tensorflow/core/example/example.pb.h"

namespace ems {

namespace {

using tensorflow::Example;
using tensorflow::Feature;
using tensorflow::serving::ClassificationResult;
using tensorflow::serving::Input;
using tensorflow::serving::RegressionResult;

// TensorFlow's names of the outputs (tensorflow/cc/saved_model/signature_constants.h).
constexpr const char* kClasses = "classes";
constexpr const char* kScores = "scores";
constexpr const char* kOutputs = "outputs";

const google::protobuf::RepeatedPtrField<Example>& ExamplesOf(const Input& input) {
  return input.has_example_list_with_context() ? input.example_list_with_context().examples()
                                               : input.example_list().examples();
}

absl::Status ContextTooLarge() {
  return absl::InvalidArgumentError(absl::StrCat("The context takes more than ", kMostRepeatedBytes >> 20,
                                                 " MiB when each example has it. Send fewer examples."));
}

absl::StatusOr<Tensor> Serialized(const Input& input) {
  const auto& examples = ExamplesOf(input);
  // Parsers of protocol buffers merge messages that follow each other.
  const std::string context = input.example_list_with_context().context().SerializeAsString();
  if (static_cast<int64_t>(context.size()) > kMostRepeatedBytes / examples.size()) return ContextTooLarge();
  Tensor tensor = MakeTensor(DataType::kString, {examples.size()});
  for (int i = 0; i < examples.size(); ++i) tensor.strings[i] = context + examples[i].SerializeAsString();
  return tensor;
}

const Feature* FindFeature(const Example& example, const std::string& name) {
  const auto found = example.features().feature().find(name);
  return found == example.features().feature().end() ? nullptr : &found->second;
}

// Reads the feature `name` of all examples. `*budget`: the bytes that features of the context may still take.
absl::StatusOr<Tensor> ReadFeatures(const Input& input, const std::string& name, const TensorSpec& spec,
                                    int64_t* budget) {
  absl::StatusOr<FeatureReader> reader = FeatureReader::Create(name, spec);
  if (!reader.ok()) return reader.status();
  const Feature* shared = FindFeature(input.example_list_with_context().context(), name);
  int index = 0;
  for (const Example& example : ExamplesOf(input)) {
    const Feature* own = FindFeature(example, name);
    const int64_t before = reader->bytes();
    absl::Status status = reader->Add(own != nullptr ? own : shared, index++);
    if (!status.ok()) return status;
    if (own == nullptr) *budget -= reader->bytes() - before;
    if (*budget < 0) return ContextTooLarge();
  }
  return std::move(*reader).Take(index);
}

std::string Names(const std::map<std::string, TensorSpec>& specs) {
  const auto append_name = [](std::string* text, const auto& entry) { text->append(entry.first); };
  return absl::StrCat("{", absl::StrJoin(specs, ", ", append_name), "}");
}

const Tensor* Find(const TensorMap& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  return found == tensors.end() ? nullptr : &found->second;
}

// Checks an output of a classification; absent is fine.
absl::Status CheckClassOutput(const Tensor* tensor, std::string_view name, DataType dtype, int64_t examples) {
  if (tensor == nullptr) return absl::OkStatus();
  if (tensor->shape.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("Expected Tensor shape: [batch_size num_classes] but got ", ToString(tensor->shape)));
  }
  if (tensor->dtype != dtype) {
    return absl::InvalidArgumentError(absl::StrCat("Expected ", std::string(name), " Tensor of ",
                                                   std::string(Name(dtype)),
                                                   ". Got: ", std::string(Name(tensor->dtype))));
  }
  if (tensor->shape[0] == examples) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("Expected ", std::string(name), " output batch size of ", examples, ". Got: ", tensor->shape[0]));
}

absl::Status CheckRegressOutput(const Tensor& tensor, int64_t examples) {
  const Shape& shape = tensor.shape;
  if (shape.size() != 1 && !(shape.size() == 2 && shape[1] == 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got ", ToString(shape)));
  }
  if (shape[0] != examples) {
    return absl::InvalidArgumentError(
        absl::StrCat("Input batch size did not match output batch size: ", examples, " vs. ", shape[0]));
  }
  if (tensor.dtype == DataType::kFloat) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("Expected output Tensor of DT_FLOAT.  Got: ", std::string(Name(tensor.dtype))));
}

}  // namespace

absl::Status CheckClassifySignature(const Signature& signature) {
  const size_t count = signature.outputs.size();
  if (count != 1 && count != 2) {
    return absl::InvalidArgumentError(absl::StrCat("Expected one or two output Tensors, found ", count));
  }
  if (signature.outputs.count(kClasses) + signature.outputs.count(kScores) > 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("Expected classification signature outputs to contain at least one of \"classes\" or \"scores\". "
                   "Signature was: ",
                   Names(signature.outputs)));
}

absl::Status CheckRegressSignature(const Signature& signature) {
  if (signature.outputs.size() != 1) return absl::InvalidArgumentError("Expected one output Tensor.");
  if (signature.outputs.count(kOutputs) > 0) return absl::OkStatus();
  return absl::FailedPreconditionError("No regression outputs found in SignatureDef: " + Names(signature.outputs));
}

int64_t CountExamples(const Input& input) { return ExamplesOf(input).size(); }

absl::StatusOr<TensorMap> InputsOfExamples(const Input& input, const Signature& signature) {
  if (CountExamples(input) == 0) return absl::InvalidArgumentError("Input is empty.");
  TensorMap inputs;
  int64_t budget = kMostRepeatedBytes;
  const bool serialized = signature.inputs.size() == 1 && signature.inputs.begin()->second.dtype == DataType::kString;
  for (const auto& [name, spec] : signature.inputs) {
    absl::StatusOr<Tensor> tensor = serialized ? Serialized(input) : ReadFeatures(input, name, spec, &budget);
    if (!tensor.ok()) return tensor.status();
    inputs.emplace(name, *std::move(tensor));
  }
  return inputs;
}

absl::StatusOr<ClassificationResult> Classifications(const TensorMap& outputs, int64_t examples) {
  const Tensor* classes = Find(outputs, kClasses);
  const Tensor* scores = Find(outputs, kScores);
  if (absl::Status status = CheckClassOutput(classes, kClasses, DataType::kString, examples); !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckClassOutput(scores, kScores, DataType::kFloat, examples); !status.ok()) return status;
  if (classes != nullptr && scores != nullptr && classes->shape[1] != scores->shape[1]) {
    return absl::InvalidArgumentError(absl::StrCat("Tensors class and score should match in dim_size(1). Got ",
                                                   classes->shape[1], " vs. ", scores->shape[1]));
  }
  const Tensor* any = classes != nullptr ? classes : scores;
  const int64_t entries = any == nullptr ? 0 : any->shape[1];
  ClassificationResult result;
  for (int64_t example = 0; example < examples; ++example) {
    auto* classification = result.add_classifications();
    for (int64_t i = example * entries; i < (example + 1) * entries; ++i) {
      auto* entry = classification->add_classes();
      if (classes != nullptr) entry->set_label(classes->strings[i]);
      if (scores != nullptr) entry->set_score(scores->data<float>()[i]);
    }
  }
  return result;
}

absl::StatusOr<RegressionResult> Regressions(const TensorMap& outputs, int64_t examples) {
  const Tensor* tensor = Find(outputs, kOutputs);
  if (tensor == nullptr) return absl::InvalidArgumentError("Could not find output tensor 'outputs'");
  if (absl::Status status = CheckRegressOutput(*tensor, examples); !status.ok()) return status;
  RegressionResult result;
  for (int64_t i = 0; i < examples; ++i) result.add_regressions()->set_value(tensor->data<float>()[i]);
  return result;
}

}  // namespace ems
