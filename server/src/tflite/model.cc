#include "tflite/model.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

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

// Opens a file and reads its identifier, so that the message says what the file is instead of "not a valid Flatbuffer".
absl::StatusOr<Fd> OpenFile(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  char head[8] = {};
  if (pread(file.get(), head, sizeof(head), 0) != sizeof(head)) {
    return Invalid(path, "the file is cut or no TensorFlow Lite model: copy it again");
  }
  if (std::memcmp(head + 4, tflite::ModelIdentifier(), 4) != 0) {
    return Invalid(path, "this is no TensorFlow Lite model (its first bytes have no \"TFL3\"): export a .tflite file");
  }
  return file;
}

// Returns memory with the first `size` bytes of a file, or fewer where it has become shorter.
absl::StatusOr<Fd> CopyToMemory(const Fd& file, size_t size, const std::string& path) {
  Fd copy(memfd_create("model", MFD_CLOEXEC));
  if (copy.get() < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot copy ", path, " to memory"));
  for (off_t done = 0; static_cast<size_t>(done) < size;) {
    const ssize_t sent = sendfile(copy.get(), file.get(), &done, size - static_cast<size_t>(done));
    if (sent < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
    if (sent == 0) break;
  }
  posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);  // nobody reads it twice
  return copy;
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

TfliteModel::TfliteModel(std::string path) : path_(std::move(path)) {}
TfliteModel::~TfliteModel() = default;

absl::StatusOr<std::shared_ptr<const TfliteModel>> TfliteModel::Open(const std::string& path,
                                                                     const std::shared_ptr<MemoryBudget>& budget) {
  const absl::StatusOr<Fd> file = OpenFile(path);
  if (!file.ok()) return file.status();
  struct stat facts = {};
  if (fstat(file->get(), &facts) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  const auto size = static_cast<uint64_t>(facts.st_size);
  const std::shared_ptr<TfliteModel> model(new TfliteModel(path));
  if (absl::Status status = CheckFree(size); !status.ok()) return status;
  if (budget != nullptr) {
    absl::StatusOr<std::unique_ptr<MemoryBudget::Share>> share = budget->Take(size);
    if (!share.ok()) return share.status();
    model->share_ = *std::move(share);
  }
  absl::StatusOr<Fd> copy = CopyToMemory(*file, size, path);
  if (!copy.ok()) return copy.status();
  model->copy_ = *std::move(copy);
  if (absl::Status status = model->Read(model->shared_path()); !status.ok()) return status;
  return std::shared_ptr<const TfliteModel>(model);
}

absl::StatusOr<std::shared_ptr<const TfliteModel>> TfliteModel::Map(const std::string& path) {
  if (const absl::StatusOr<Fd> file = OpenFile(path); !file.ok()) return file.status();
  const std::shared_ptr<TfliteModel> model(new TfliteModel(path));
  if (absl::Status status = model->Read(path); !status.ok()) return status;
  return std::shared_ptr<const TfliteModel>(model);
}

std::string TfliteModel::shared_path() const {
  return copy_.get() < 0 ? path_ : absl::StrCat("/proc/", getpid(), "/fd/", copy_.get());
}

absl::Status TfliteModel::Read(const std::string& path) {
  flatbuffer_ = tflite::FlatBufferModel::VerifyAndBuildFromFile(path.c_str(), /*extra_verifier=*/nullptr, &reporter_);
  if (flatbuffer_ == nullptr) {
    return Invalid(
        path_, absl::StrCat("the model is cut or damaged (", reporter_.Take("no reason given"), "): copy it again"));
  }
  const tflite::Model& content = *flatbuffer_->GetModel();
  absl::Status status = CheckShape(content);
  if (status.ok()) status = ReadOperators();
  if (status.ok()) status = ReadSignatures(content, signatures_, tensors_);
  return status.ok() ? status : Invalid(path_, std::string(status.message()));
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
