#include "codec/json_examples.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "codec/json_document.h"
#include "codec/json_writer.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/example/feature.pb.h"

namespace ems {

namespace {

using rapidjson::Document;
using rapidjson::Value;
using tensorflow::Example;
using tensorflow::Feature;

std::string KindText(const Feature& feature) {
  switch (feature.kind_case()) {
    case Feature::kBytesList:
      return "bytes";
    case Feature::kFloatList:
      return "float";
    case Feature::kInt64List:
      return "int64";
    case Feature::KIND_NOT_SET:
      break;
  }
  return "UNKNOWN";
}

absl::Status UnexpectedType(const std::string& name, const Value& value) {
  return absl::InvalidArgumentError(
      absl::StrCat("Feature: ", name, " has element with unexpected JSON type: ", TypeText(value)));
}

// Returns the kind of list that a value belongs in; KIND_NOT_SET for null, lists and objects other than {"b64": ...}.
Feature::KindCase KindOf(const Value& value) {
  if (value.IsBool()) return Feature::kInt64List;
  if (value.IsNumber()) return value.IsDouble() ? Feature::kFloatList : Feature::kInt64List;
  return value.IsString() || IsBase64(value) ? Feature::kBytesList : Feature::KIND_NOT_SET;
}

absl::Status AddNumber(const Value& value, const std::string& name, Feature* feature) {
  if (value.IsDouble()) {
    if (!FitsFloat(value)) return LossyError(value, "float");
    feature->mutable_float_list()->add_value(value.GetFloat());
  } else if (value.IsBool()) {
    feature->mutable_int64_list()->add_value(value.GetBool() ? 1 : 0);
  } else if (value.IsInt64()) {
    feature->mutable_int64_list()->add_value(value.GetInt64());
  } else {
    return absl::InvalidArgumentError(absl::StrCat("Feature: ", name, " has uint64 element. Only int64 is supported."));
  }
  return absl::OkStatus();
}

absl::Status AddValue(const Value& value, const std::string& name, Feature* feature) {
  const Feature::KindCase kind = KindOf(value);
  if (kind == Feature::KIND_NOT_SET) return UnexpectedType(name, value);
  if (feature->kind_case() != Feature::KIND_NOT_SET && feature->kind_case() != kind) {
    return absl::InvalidArgumentError(
        absl::StrCat("Unexpected element type in feature: ", name, " expecting type: ", KindText(*feature)));
  }
  if (kind != Feature::kBytesList) return AddNumber(value, name, feature);
  std::string* bytes = feature->mutable_bytes_list()->add_value();
  if (value.IsString()) {
    bytes->assign(StringOf(value));
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> decoded = DecodeBase64(value);
  if (decoded.ok()) *bytes = *std::move(decoded);
  return decoded.status();
}

absl::Status ReadExample(const Value& value, Example* example) {
  if (!value.IsObject()) {
    return absl::InvalidArgumentError("Example must be JSON object but got JSON " + TypeText(value));
  }
  if (absl::Status status = CheckKeys(value); !status.ok()) return status;
  for (const auto& member : value.GetObject()) {
    const std::string name(StringOf(member.name));
    Feature& feature = (*example->mutable_features()->mutable_feature())[name];
    if (!member.value.IsArray()) {
      if (absl::Status status = AddValue(member.value, name, &feature); !status.ok()) return status;
      continue;
    }
    for (const Value& element : member.value.GetArray()) {
      if (absl::Status status = AddValue(element, name, &feature); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

// Checks the member "examples", and returns it.
absl::StatusOr<const Value*> ExamplesOf(const Document& body) {
  const Value* examples = FindMember(body, "examples");
  if (examples == nullptr) {
    return FormatError(body, "When method is classify, key 'examples' is expected and was not found");
  }
  if (!examples->IsArray()) return FormatError(body, "Expecting 'examples' value to be an list/array");
  if (examples->Empty()) return FormatError(body, "'examples' value is an empty array");
  return examples;
}

}  // namespace

absl::StatusOr<ExamplesBody> ParseExamples(std::string_view body) {
  const absl::StatusOr<Document> document = ParseObject(body);
  if (!document.ok()) return document.status();
  absl::StatusOr<std::string> signature_name = SignatureNameOf(*document);
  if (!signature_name.ok()) return signature_name.status();
  ExamplesBody parsed;
  parsed.signature_name = *std::move(signature_name);
  const Value* context = FindMember(*document, "context");
  if (context != nullptr) {
    auto* list = parsed.input.mutable_example_list_with_context();
    if (absl::Status status = ReadExample(*context, list->mutable_context()); !status.ok()) return status;
  }
  const absl::StatusOr<const Value*> examples = ExamplesOf(*document);
  if (!examples.ok()) return examples.status();
  for (const Value& value : (*examples)->GetArray()) {
    Example* example = context != nullptr ? parsed.input.mutable_example_list_with_context()->add_examples()
                                          : parsed.input.mutable_example_list()->add_examples();
    if (absl::Status status = ReadExample(value, example); !status.ok()) return status;
  }
  return parsed;
}

absl::StatusOr<std::string> ClassifyReply(const tensorflow::serving::ClassificationResult& result) {
  if (result.classifications().empty()) {
    return absl::InvalidArgumentError("Cannot convert empty ClassificationResults to JSON");
  }
  JsonWriter writer;
  writer.StartObject();
  writer.Key("results");
  writer.StartArray();
  for (const auto& classification : result.classifications()) {
    writer.OneLine(true);
    writer.StartArray();
    for (const auto& entry : classification.classes()) {
      writer.StartArray();
      writer.String(entry.label());
      writer.Decimal(entry.score());
      writer.EndArray();
    }
    writer.EndArray();
    writer.OneLine(false);
  }
  writer.EndArray();
  writer.EndObject();
  return writer.Take();
}

absl::StatusOr<std::string> RegressReply(const tensorflow::serving::RegressionResult& result) {
  if (result.regressions().empty()) {
    return absl::InvalidArgumentError("Cannot convert empty RegressionResults to JSON");
  }
  JsonWriter writer;
  writer.StartObject();
  writer.Key("results");
  writer.OneLine(true);
  writer.StartArray();
  for (const auto& regression : result.regressions()) writer.Decimal(regression.value());
  writer.EndArray();
  writer.EndObject();
  return writer.Take();
}

}  // namespace ems
