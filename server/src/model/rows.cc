#include "model/rows.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace ems {
namespace {

template <typename Map>
std::vector<std::string> Keys(const Map& map) {
  std::vector<std::string> keys;
  keys.reserve(map.size());
  for (const auto& entry : map) keys.push_back(entry.first);
  return keys;
}

std::string Difference(const std::vector<std::string>& left, const std::vector<std::string>& right) {
  std::vector<std::string> rest;
  std::set_difference(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(rest));
  return absl::StrJoin(rest, ",");
}

// TensorFlow Serving's text (predict_util.cc), as the next.
absl::Status WrongNumber(const Signature& signature, std::vector<std::string> sent) {
  std::sort(sent.begin(), sent.end());
  const std::vector<std::string> required = Keys(signature.inputs);
  return absl::InvalidArgumentError(
      absl::StrCat("input size does not match signature: ", sent.size(), "!=", required.size(), " len({",
                   absl::StrJoin(sent, ","), "}) != len({", absl::StrJoin(required, ","), "}). Sent extra: {",
                   Difference(sent, required), "}. Missing but required: {", Difference(required, sent), "}."));
}

absl::Status UnknownName(const Signature& signature, const std::string& name) {
  return absl::InvalidArgumentError(absl::StrCat("input tensor alias not found in signature: ", name,
                                                 ". Inputs expected to be in the set {",
                                                 absl::StrJoin(Keys(signature.inputs), ","), "}."));
}

bool HasTheSignaturesNames(const Signature& signature, const TensorMap& inputs) {
  return std::equal(inputs.begin(), inputs.end(), signature.inputs.begin(), signature.inputs.end(),
                    [](const auto& input, const auto& spec) { return input.first == spec.first; });
}

absl::Status WrongShape(const std::string& key, const TensorSpec& spec, const Tensor& tensor) {
  const bool rows = !spec.shape.empty() && spec.shape.front() >= 0;
  return absl::InvalidArgumentError(absl::StrCat("input ", key, " has shape ", ToString(tensor.shape),
                                                 ", but the model takes ", ToString(spec.shape),
                                                 rows ? " or several of these along the first dimension" : ""));
}

// Returns how many times the spec's first dimension the tensor has: 0 where any number fits (scalars), nothing where
// the shapes do not fit.
absl::StatusOr<int64_t> RunsOf(const std::string& key, const TensorSpec& spec, const Tensor& tensor) {
  if (spec.shape.size() != tensor.shape.size()) return WrongShape(key, spec, tensor);
  if (spec.shape.empty()) return 0;
  for (size_t i = 1; i < spec.shape.size(); ++i) {
    if (spec.shape[i] >= 0 && spec.shape[i] != tensor.shape[i]) return WrongShape(key, spec, tensor);
  }
  // Kernels divide by sizes and take addresses of first elements: what is empty never reaches them.
  if (NumElements(tensor.shape).value_or(0) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("input ", key, " has shape ", ToString(tensor.shape), ", which holds no elements"));
  }
  const int64_t fixed = spec.shape.front();
  if (fixed < 0) return 1;
  if (fixed == 0 || tensor.shape.front() % fixed != 0) return WrongShape(key, spec, tensor);
  return tensor.shape.front() / fixed;
}

// The same for files at an image input.
absl::StatusOr<int64_t> RunsOfFiles(const std::string& key, const TensorSpec& spec, const Tensor& tensor) {
  const auto files = static_cast<int64_t>(tensor.strings.size());
  const int64_t fixed = spec.shape.front();
  if (tensor.shape.size() <= 1 && files > 0 && (fixed < 0 || (fixed > 0 && files % fixed == 0)))
    return fixed < 0 ? 1 : files / fixed;
  return absl::InvalidArgumentError(absl::StrCat("input ", key, " has image files of shape ", ToString(tensor.shape),
                                                 ", but takes them one after the other, as many as the first dimension "
                                                 "of ",
                                                 ToString(spec.shape)));
}

void Append(const Tensor& from, Tensor& to) {
  to.bytes += from.bytes;
  to.strings.insert(to.strings.end(), from.strings.begin(), from.strings.end());
  to.shape.front() += from.shape.front();
}

bool Joinable(const Tensor& first, const Tensor& other) {
  return !other.shape.empty() && other.dtype == first.dtype && other.shape.size() == first.shape.size() &&
         std::equal(first.shape.begin() + 1, first.shape.end(), other.shape.begin() + 1);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> MatchNames(const Signature& signature, std::vector<std::string> sent) {
  for (const auto& [key, spec] : signature.inputs) {
    if (std::find(sent.begin(), sent.end(), key) != sent.end()) continue;
    const absl::string_view tensor_name = absl::StripSuffix(spec.tensor_name, ":0");
    const auto found = std::find_if(sent.begin(), sent.end(), [&, &alias = key](const std::string& whole) {
      const absl::string_view name = absl::StripSuffix(whole, ":0");
      return signature.inputs.count(whole) == 0 && (name == tensor_name || name == alias);
    });
    if (found != sent.end()) *found = key;
  }
  if (sent.size() != signature.inputs.size()) return WrongNumber(signature, std::move(sent));
  for (const std::string& name : sent) {
    if (signature.inputs.count(name) == 0) return UnknownName(signature, name);
  }
  return sent;
}

absl::Status RenameInputs(const Signature& signature, TensorMap& inputs) {
  if (HasTheSignaturesNames(signature, inputs)) return absl::OkStatus();
  const absl::StatusOr<std::vector<std::string>> names = MatchNames(signature, Keys(inputs));
  if (!names.ok()) return names.status();
  TensorMap renamed;
  auto name = names->begin();
  for (auto& [sent, tensor] : inputs) renamed.emplace(*name++, std::move(tensor));
  inputs = std::move(renamed);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> CheckInputs(const Signature& signature, const TensorMap& inputs) {
  if (inputs.size() != signature.inputs.size()) return WrongNumber(signature, Keys(inputs));
  int64_t runs = 0;
  std::string counted;
  for (const auto& [key, tensor] : inputs) {
    const auto found = signature.inputs.find(key);
    if (found == signature.inputs.end()) return UnknownName(signature, key);
    const bool files = found->second.image && tensor.dtype == DataType::kString;
    if (!files && tensor.dtype != found->second.dtype) {
      return absl::InvalidArgumentError(absl::StrCat("input ", key, " is ", std::string(Name(tensor.dtype)),
                                                     ", but the model takes ", std::string(Name(found->second.dtype))));
    }
    const absl::StatusOr<int64_t> own =
        files ? RunsOfFiles(key, found->second, tensor) : RunsOf(key, found->second, tensor);
    if (!own.ok()) return own.status();
    if (runs != 0 && *own != 0 && *own != runs) {
      return absl::InvalidArgumentError(
          absl::StrCat("input ", key, " has ", *own, " rows, but input ", counted, " has ", runs));
    }
    if (*own == 0) continue;
    runs = *own;
    counted = key;
  }
  return std::max<int64_t>(runs, 1);
}

int64_t CountRuns(const Signature& signature, const TensorMap& inputs) {
  for (const auto& [key, tensor] : inputs) {
    const Shape& shape = signature.inputs.at(key).shape;
    if (!shape.empty()) return shape.front() > 0 ? tensor.shape.front() / shape.front() : 1;
  }
  return 1;
}

TensorMap Slice(const TensorMap& inputs, int64_t run, int64_t runs) {
  TensorMap slice;
  for (const auto& [key, tensor] : inputs) {
    Tensor& part = slice[key];
    if (tensor.shape.empty()) {
      part = tensor;
      continue;
    }
    part.dtype = tensor.dtype;
    part.shape = tensor.shape;
    part.shape.front() /= runs;
    const size_t bytes = tensor.bytes.size() / runs;
    part.bytes.assign(tensor.bytes, run * bytes, bytes);
    const auto strings = static_cast<std::ptrdiff_t>(tensor.strings.size() / runs);
    const auto from = tensor.strings.begin() + run * strings;
    part.strings.assign(from, from + strings);
  }
  return slice;
}

absl::StatusOr<TensorMap> Join(std::vector<TensorMap> outputs) {
  if (outputs.empty()) return TensorMap{};
  TensorMap joined = std::move(outputs.front());
  if (outputs.size() == 1) return joined;
  for (auto& [key, tensor] : joined) {
    if (tensor.shape.empty()) {
      return absl::InternalError(absl::StrCat("output ", key, " has no rows to join: send one row in each request"));
    }
    tensor.bytes.reserve(tensor.bytes.size() * outputs.size());
    for (size_t i = 1; i < outputs.size(); ++i) {
      const auto found = outputs[i].find(key);
      if (found == outputs[i].end() || !Joinable(tensor, found->second)) {
        return absl::InternalError(
            absl::StrCat("output ", key, " differs in shape from row to row: send one row in each request"));
      }
      Append(found->second, tensor);
    }
  }
  return joined;
}

absl::StatusOr<TensorMap> RunInWindows(
    int64_t runs, const std::function<absl::StatusOr<TensorMap>(int64_t first, int64_t count)>& run) {
  std::vector<TensorMap> windows;
  for (int64_t first = 0; first < runs; first += kWindow) {
    absl::StatusOr<TensorMap> outputs = run(first, std::min(kWindow, runs - first));
    if (!outputs.ok()) return outputs.status();
    windows.push_back(*std::move(outputs));
  }
  return Join(std::move(windows));
}

absl::Status NoMemoryForARow() { return absl::ResourceExhaustedError("there is no memory for a row: send fewer rows"); }

}  // namespace ems
