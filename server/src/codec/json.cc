#include "codec/json.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "codec/json_document.h"
#include "codec/json_tensor.h"

namespace ems {

namespace {

using rapidjson::Document;
using rapidjson::Value;
using RowsByInput = std::map<std::string, JsonRows, std::less<>>;

// An object of inputs; an object that stands for a string is none.
bool IsInputObject(const Value& value) { return value.IsObject() && !IsBase64(value); }

RowsByInput RowsOf(const Signature& signature) {
  RowsByInput rows;
  for (const auto& [name, spec] : signature.inputs) rows.emplace(name, JsonRows(spec.dtype, spec.image));
  return rows;
}

// Adds an element of "instances" that is an object: exactly the inputs' names.
absl::Status AddObject(const Value& element, int64_t index, RowsByInput* rows) {
  if (absl::Status status = CheckKeys(element); !status.ok()) return status;
  for (const auto& member : element.GetObject()) {
    const std::string name(StringOf(member.name));
    const auto found = rows->find(name);
    const absl::Status status = found == rows->end()
                                    ? absl::InvalidArgumentError("JSON object: does not have named input: " + name)
                                    : found->second.Add(member.value);
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("Failed to process element: ", index, " key: ", name,
                                                     " of 'instances' list. Error: ", status.ToString()));
    }
  }
  if (element.MemberCount() == rows->size()) return absl::OkStatus();
  const auto append_name = [](std::string* text, const auto& entry) { text->append(entry.first); };
  return absl::InvalidArgumentError(absl::StrCat("Failed to process element: ", index,
                                                 " of 'instances' list. JSON object: ", ValueText(element),
                                                 " keys must be equal to: ", absl::StrJoin(*rows, ",", append_name)));
}

// Adds an element of "instances" that is the value of the only input.
absl::Status AddPlain(const Value& element, int64_t index, JsonRows* rows) {
  absl::Status status = rows->Add(element);
  if (status.ok()) return status;
  return absl::InvalidArgumentError(
      absl::StrCat("Failed to process element: ", index, " of 'instances' list. Error: ", status.ToString()));
}

absl::StatusOr<TensorMap> InputsOfRows(const Value& instances, const Signature& signature) {
  if (signature.inputs.size() > 1 && !instances[0].IsObject()) {
    return absl::InvalidArgumentError(
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map");
  }
  const bool objects = IsInputObject(instances[0]);
  RowsByInput rows = RowsOf(signature);
  int64_t index = 0;
  for (const Value& element : instances.GetArray()) {
    if (IsInputObject(element) != objects) {
      return absl::InvalidArgumentError(
          objects ? absl::StrCat("Expecting object but got list at item ", index, " of input list")
                  : absl::StrCat("Expecting value/list but got object at item ", index, " of input list"));
    }
    absl::Status status = objects ? AddObject(element, index, &rows) : AddPlain(element, index, &rows.begin()->second);
    if (!status.ok()) return status;
    ++index;
  }
  TensorMap inputs;
  for (auto& [name, input] : rows) {
    // Elements {"b64": ...} give only the first of several inputs; the check of the inputs then names the others.
    if (input.rows() > 0) inputs.emplace(name, std::move(input).Rows());
  }
  return inputs;
}

absl::StatusOr<Tensor> InputOf(const Value& value, const TensorSpec& spec) {
  JsonRows rows(spec.dtype, spec.image);
  if (absl::Status status = rows.Add(value); !status.ok()) return status;
  return std::move(rows).Single();
}

absl::StatusOr<TensorMap> InputsOfColumns(const Value& columns, const Signature& signature) {
  const bool object = IsInputObject(columns);
  if (!object && signature.inputs.size() > 1) {
    return absl::InvalidArgumentError(
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
        "tensorinfo_map");
  }
  if (object) {
    if (absl::Status status = CheckKeys(columns); !status.ok()) return status;
  }
  TensorMap inputs;
  for (const auto& [name, spec] : signature.inputs) {
    const Value* value = object ? FindMember(columns, name) : &columns;
    if (value == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("Missing named input: ", name, " in 'inputs' object."));
    }
    absl::StatusOr<Tensor> tensor = InputOf(*value, spec);
    if (!tensor.ok()) return tensor.status();
    inputs.emplace(name, *std::move(tensor));
  }
  return inputs;
}

// Checks the members "instances" and "inputs": exactly one of them.
absl::Status CheckBody(const Value& body, const Value* instances, const Value* inputs) {
  if (instances == nullptr) {
    return inputs != nullptr ? absl::OkStatus() : absl::InvalidArgumentError("Missing 'inputs' or 'instances' key");
  }
  if (inputs != nullptr) {
    return FormatError(body, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ");
  }
  if (!instances->IsArray()) return FormatError(body, "Excepting 'instances' to be an list/array");
  if (instances->Empty()) return FormatError(body, "No values in 'instances' array");
  return absl::OkStatus();
}

}  // namespace

class PredictBody::Impl {
 public:
  Impl(Document document, std::string signature_name)
      : document_(std::move(document)), signature_name_(std::move(signature_name)) {}

  const std::string& signature_name() const { return signature_name_; }

  JsonForm form() const { return FindMember(document_, "instances") != nullptr ? JsonForm::kRow : JsonForm::kColumn; }

  absl::StatusOr<TensorMap> Inputs(const Signature& signature) const {
    if (signature.inputs.empty()) {
      return absl::InvalidArgumentError("Failed to get input map for signature: " +
                                        (signature_name_.empty() ? "DEFAULT" : signature_name_));
    }
    const Value* instances = FindMember(document_, "instances");
    const Value* inputs = FindMember(document_, "inputs");
    if (absl::Status status = CheckBody(document_, instances, inputs); !status.ok()) return status;
    return instances != nullptr ? InputsOfRows(*instances, signature) : InputsOfColumns(*inputs, signature);
  }

 private:
  Document document_;
  std::string signature_name_;
};

absl::StatusOr<PredictBody> PredictBody::Parse(std::string_view body) {
  absl::StatusOr<Document> document = ParseObject(body);
  if (!document.ok()) return document.status();
  absl::StatusOr<std::string> signature_name = SignatureNameOf(*document);
  if (!signature_name.ok()) return signature_name.status();
  return PredictBody(std::make_unique<Impl>(*std::move(document), *std::move(signature_name)));
}

PredictBody::PredictBody(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PredictBody::PredictBody(PredictBody&&) noexcept = default;
PredictBody& PredictBody::operator=(PredictBody&&) noexcept = default;
PredictBody::~PredictBody() = default;

const std::string& PredictBody::signature_name() const { return impl_->signature_name(); }

JsonForm PredictBody::form() const { return impl_->form(); }

absl::StatusOr<TensorMap> PredictBody::Inputs(const Signature& signature) const { return impl_->Inputs(signature); }

}  // namespace ems
