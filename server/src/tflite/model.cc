#include "tflite/model.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/lite/model_builder.h"
#include "tensorflow/lite/schema/schema_utils.h"
#include "tensorflow/lite/version.h"
#include "tflite/operators.h"
#include "tflite/signatures.h"

namespace ems {
namespace {

constexpr char kEdgeTpuOperator[] = "edgetpu-custom-op";
constexpr int kMostVersion = 64;  // of an operator; the highest of TensorFlow Lite 2.14 is 12

absl::Status Invalid(const std::string& path, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", text));
}

// Reads size and identifier, so that the message says what the file is instead of "not a valid Flatbuffer".
absl::StatusOr<uint64_t> CheckHead(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  struct stat facts = {};
  char head[8] = {};
  const bool read_ok = fstat(file, &facts) == 0 && pread(file, head, sizeof(head), 0) == sizeof(head);
  close(file);
  if (!read_ok) return Invalid(path, "the file is cut or no TensorFlow Lite model: copy it again");
  if (std::memcmp(head + 4, tflite::ModelIdentifier(), 4) != 0) {
    return Invalid(path, "this is no TensorFlow Lite model (its first bytes have no \"TFL3\"): export a .tflite file");
  }
  return static_cast<uint64_t>(facts.st_size);
}

// Returns the highest version of a builtin operator that the runtime has, 0 for none.
int HighestVersion(tflite::BuiltinOperator op) {
  for (int version = kMostVersion; version > 0; --version) {
    if (Operators().FindOp(op, version) != nullptr) return version;
  }
  return 0;
}

absl::Status CheckBuiltin(tflite::BuiltinOperator op, int version) {
  if (Operators().FindOp(op, version) != nullptr) return absl::OkStatus();
  const char* name = tflite::EnumNameBuiltinOperator(op);
  const int highest = HighestVersion(op);
  if (highest == 0) {
    return absl::InvalidArgumentError(absl::StrCat("TensorFlow Lite ", TFLITE_VERSION_STRING, " has no operator ", name,
                                                   " (number ", static_cast<int>(op),
                                                   "): convert the model without it"));
  }
  return absl::InvalidArgumentError(absl::StrCat("operator ", name, " has version ", version, ", but TensorFlow Lite ",
                                                 TFLITE_VERSION_STRING, " knows it up to ", highest,
                                                 ": convert the model with TensorFlow 2.14 or older"));
}

absl::Status CheckShape(const tflite::Model& model) {
  if (model.version() != TFLITE_SCHEMA_VERSION) {
    return absl::InvalidArgumentError(absl::StrCat("the model has schema version ", model.version(),
                                                   ", but this server reads version ", TFLITE_SCHEMA_VERSION,
                                                   ": convert the model with TensorFlow 2.14 or older"));
  }
  if (model.subgraphs() == nullptr || model.subgraphs()->size() == 0) {
    return absl::InvalidArgumentError("the model has no graph: convert it again");
  }
  return absl::OkStatus();
}

}  // namespace

TfliteModel::TfliteModel() = default;
TfliteModel::~TfliteModel() = default;

absl::StatusOr<std::shared_ptr<const TfliteModel>> TfliteModel::Open(const std::string& path) {
  const absl::StatusOr<uint64_t> bytes = CheckHead(path);
  if (!bytes.ok()) return bytes.status();
  const std::shared_ptr<TfliteModel> model(new TfliteModel());
  model->file_bytes_ = *bytes;
  model->flatbuffer_ =
      tflite::FlatBufferModel::VerifyAndBuildFromFile(path.c_str(), /*extra_verifier=*/nullptr, &model->reporter_);
  if (model->flatbuffer_ == nullptr) {
    return Invalid(path, absl::StrCat("the model is cut or damaged (", model->reporter_.Take("no reason given"),
                                      "): copy it again"));
  }
  const tflite::Model& content = *model->flatbuffer_->GetModel();
  absl::Status status = CheckShape(content);
  if (status.ok()) status = model->ReadOperators();
  if (status.ok()) status = ReadSignatures(content, model->signatures_, model->tensors_);
  if (!status.ok()) return Invalid(path, std::string(status.message()));
  return std::shared_ptr<const TfliteModel>(model);
}

absl::Status TfliteModel::ReadOperators() {
  const auto* codes = flatbuffer_->GetModel()->operator_codes();
  if (codes == nullptr) return absl::OkStatus();
  for (const tflite::OperatorCode* code : *codes) {
    const tflite::BuiltinOperator op = tflite::GetBuiltinCode(code);
    has_resources_ = has_resources_ || op == tflite::BuiltinOperator_VAR_HANDLE;
    if (op != tflite::BuiltinOperator_CUSTOM) {
      if (absl::Status status = CheckBuiltin(op, code->version()); !status.ok()) return status;
      continue;
    }
    const std::string name = code->custom_code() == nullptr ? "" : code->custom_code()->str();
    if (absl::StartsWith(name, "Flex")) {
      return absl::InvalidArgumentError(
          absl::StrCat("operator ", name, " is TensorFlow's own: convert the model without SELECT_TF_OPS"));
    }
    if (Operators().FindOp(name.c_str(), code->version()) == nullptr) custom_operators_.push_back(name);
    has_edgetpu_op_ = has_edgetpu_op_ || name == kEdgeTpuOperator;
  }
  std::sort(custom_operators_.begin(), custom_operators_.end());
  custom_operators_.erase(std::unique(custom_operators_.begin(), custom_operators_.end()), custom_operators_.end());
  return absl::OkStatus();
}

Quantisation TfliteModel::quantisation(int subgraph, int tensor) const {
  const auto* parameters = flatbuffer_->GetModel()->subgraphs()->Get(subgraph)->tensors()->Get(tensor)->quantization();
  if (parameters == nullptr || parameters->scale() == nullptr || parameters->scale()->size() != 1) return {};
  Quantisation quantisation;
  quantisation.scale = parameters->scale()->Get(0);
  if (parameters->zero_point() != nullptr && parameters->zero_point()->size() != 0) {
    quantisation.zero_point = parameters->zero_point()->Get(0);
  }
  return quantisation;
}

QuantisationMap TfliteModel::quantisations() const {
  QuantisationMap all;
  for (const auto& [key, tensors] : tensors_) {
    SignatureQuantisation& of = all[key];
    for (const auto& [name, tensor] : tensors.inputs) of.inputs[name] = quantisation(tensors.subgraph, tensor);
    for (const auto& [name, tensor] : tensors.outputs) of.outputs[name] = quantisation(tensors.subgraph, tensor);
  }
  return all;
}

}  // namespace ems
