#include "model/rows.h"

#include <gmock/gmock.h>

#include <string>

#include "tensors.h"

namespace ems {
namespace {

using ::testing::ElementsAre;

Signature Takes(const std::map<std::string, Shape>& inputs) {
  Signature signature;
  for (const auto& [key, shape] : inputs) signature.inputs[key] = {DataType::kFloat, shape, "serving_default_" + key};
  return signature;
}

std::string Refusal(const Signature& signature, const TensorMap& inputs) {
  const absl::StatusOr<int64_t> runs = CheckInputs(signature, inputs);
  EXPECT_EQ(runs.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(runs.status().message());
}

// The texts of the first two are TensorFlow Serving's (predict_util.cc).
TEST(CheckInputs, NamesInputsTooManyOrMissing) {
  EXPECT_EQ(
      Refusal(Takes({{"a", {1}}}), {}),
      "input size does not match signature: 0!=1 len({}) != len({a}). Sent extra: {}. Missing but required: {a}.");
  EXPECT_EQ(Refusal(Takes({{"a", {1}}}), {{"a", Floats({1}, {1})}, {"b", Floats({1}, {1})}, {"c", Floats({1}, {1})}}),
            "input size does not match signature: 3!=1 len({a,b,c}) != len({a}). Sent extra: {b,c}. Missing but "
            "required: {}.");
}

TEST(CheckInputs, NamesAnUnknownInput) {
  EXPECT_EQ(Refusal(Takes({{"a", {1}}, {"b", {1}}}), {{"a", Floats({1}, {1})}, {"x", Floats({1}, {1})}}),
            "input tensor alias not found in signature: x. Inputs expected to be in the set {a,b}.");
}

TEST(CheckInputs, NamesDtypes) {
  EXPECT_EQ(Refusal(Takes({{"a", {1}}}), {{"a", MakeTensor(DataType::kInt64, {1})}}),
            "input a is DT_INT64, but the model takes DT_FLOAT");
}

TEST(CheckInputs, NamesShapes) {
  EXPECT_EQ(Refusal(Takes({{"a", {-1, 3}}}), {{"a", Floats({2, 2}, {})}}),
            "input a has shape [2,2], but the model takes [?,3]");
  EXPECT_EQ(Refusal(Takes({{"a", {2, 3}}}), {{"a", Floats({3, 3}, {})}}),
            "input a has shape [3,3], but the model takes [2,3] or several of these along the first dimension");
  EXPECT_EQ(Refusal(Takes({{"a", {}}}), {{"a", Floats({1}, {1})}}), "input a has shape [1], but the model takes []");
  EXPECT_EQ(Refusal(Takes({{"a", {-1, 3}}}), {{"a", Floats({3}, {})}}),
            "input a has shape [3], but the model takes [?,3]");
  EXPECT_EQ(Refusal(Takes({{"a", {-1, -1}}}), {{"a", Floats({2, 0}, {})}}),
            "input a has shape [2,0], which holds no elements");
}

TEST(CheckInputs, CountsRuns) {
  EXPECT_EQ(CheckInputs(Takes({{"a", {-1, 3}}}), {{"a", Floats({5, 3}, {})}}).value(), 1);
  EXPECT_EQ(CheckInputs(Takes({{"a", {1, 3}}}), {{"a", Floats({5, 3}, {})}}).value(), 5);
  EXPECT_EQ(CheckInputs(Takes({{"a", {2, 3}}}), {{"a", Floats({6, 3}, {})}}).value(), 3);
  EXPECT_EQ(CheckInputs(Takes({}), {}).value(), 1);
  const Signature with_scalar = Takes({{"a", {1, 3}}, {"limit", {}}});
  EXPECT_EQ(CheckInputs(with_scalar, {{"a", Floats({5, 3}, {})}, {"limit", Floats({}, {1})}}).value(), 5);
}

TEST(CheckInputs, CountsFiles) {
  Signature signature;
  const auto runs = [&](int64_t fixed, int64_t files) {
    signature.inputs["a"] = {DataType::kUint8, {fixed, 4, 4, 3}, "a", true};
    return CheckInputs(signature, {{"a", MakeTensor(DataType::kString, {files})}});
  };
  EXPECT_EQ(runs(-1, 5).value(), 1);
  EXPECT_EQ(runs(2, 6).value(), 3);
  for (const int64_t fixed : {0, 4}) {  // a damaged file may say 0
    EXPECT_EQ(runs(fixed, 6).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(CheckInputs, RefusesInputsOfDifferentRows) {
  EXPECT_EQ(Refusal(Takes({{"a", {1, 3}}, {"b", {1}}}), {{"a", Floats({2, 3}, {})}, {"b", Floats({3}, {})}}),
            "input b has 3 rows, but input a has 2");
}

TEST(CountRuns, AgreesWithCheckInputs) {
  const Signature signature = Takes({{"a", {2, 3}}, {"limit", {}}});
  const TensorMap inputs = {{"a", Floats({6, 3}, {})}, {"limit", Floats({}, {1})}};
  EXPECT_EQ(CountRuns(signature, inputs), CheckInputs(signature, inputs).value());
  EXPECT_EQ(CountRuns(Takes({{"a", {-1}}}), {{"a", Floats({6}, {})}}), 1);
}

TEST(MatchNames, TakesTheTensorsNames) {
  const Signature signature = Takes({{"a", {1}}, {"b", {1}}, {"c", {1}}});
  EXPECT_THAT(MatchNames(signature, {"c", "serving_default_a:0", "b:0"}).value(), ElementsAre("c", "a", "b"));
  EXPECT_EQ(MatchNames(signature, {"serving_default_a:0", "b", "other"}).status(),
            absl::InvalidArgumentError(
                "input tensor alias not found in signature: other. Inputs expected to be in the set {a,b,c}."));
  EXPECT_EQ(MatchNames(signature, {"other", "serving_default_b"}).status(),
            absl::InvalidArgumentError("input size does not match signature: 2!=3 len({b,other}) != len({a,b,c}). Sent "
                                       "extra: {other}. Missing but required: {a,c}."));
  // A second name of the same input is one too many.
  EXPECT_FALSE(MatchNames(signature, {"a", "a:0", "b"}).ok());
}

TEST(RenameInputs, GivesTheSignaturesNames) {
  const Signature signature = Takes({{"a", {1}}, {"b", {1}}});
  TensorMap inputs = {{"serving_default_b:0", Floats({1}, {2})}, {"a:0", Floats({1}, {1})}};
  ASSERT_EQ(RenameInputs(signature, inputs), absl::OkStatus());
  EXPECT_EQ(inputs.size(), 2);
  EXPECT_THAT(Values(inputs.at("a")), ElementsAre(1));
  EXPECT_THAT(Values(inputs.at("b")), ElementsAre(2));
  inputs = {{"a", {}}, {"other", {}}};
  EXPECT_FALSE(RenameInputs(signature, inputs).ok());
}

TEST(Slice, TakesTheRowsOfARun) {
  Tensor words = MakeTensor(DataType::kString, {4});
  words.strings = {"a", "b", "c", "d"};
  const TensorMap inputs = {
      {"x", Floats({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8})}, {"words", words}, {"limit", Floats({}, {9})}};
  const TensorMap slice = Slice(inputs, 1, 2);
  EXPECT_EQ(slice.at("x").shape, (Shape{2, 2}));
  EXPECT_THAT(Values(slice.at("x")), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(slice.at("words").strings, ElementsAre("c", "d"));
  EXPECT_THAT(Values(slice.at("limit")), ElementsAre(9));
}

TEST(Join, IsTheInverseOfSlice) {
  const TensorMap inputs = {{"x", Floats({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8})}};
  const TensorMap joined = Join({Slice(inputs, 0, 2), Slice(inputs, 1, 2)}).value();
  EXPECT_EQ(joined.at("x").shape, (Shape{4, 2}));
  EXPECT_EQ(joined.at("x").bytes, inputs.at("x").bytes);
}

TEST(RunInWindows, JoinsWhatTheWindowsGive) {
  std::vector<int64_t> counts;
  const auto rows = [&](int64_t first, int64_t count) -> absl::StatusOr<TensorMap> {
    counts.push_back(count);
    return TensorMap{{"y", Floats({count}, std::vector<float>(count, static_cast<float>(first)))}};
  };
  const TensorMap outputs = RunInWindows(2 * kWindow + 5, rows).value();
  EXPECT_THAT(counts, ElementsAre(kWindow, kWindow, 5));
  EXPECT_EQ(outputs.at("y").shape, (Shape{2 * kWindow + 5}));
  EXPECT_EQ(Values(outputs.at("y"))[kWindow], kWindow);
  int calls = 0;
  const auto fails = [&](int64_t, int64_t) -> absl::StatusOr<TensorMap> {
    ++calls;
    return absl::UnavailableError("gone");
  };
  EXPECT_EQ(RunInWindows(2 * kWindow, fails).status(), absl::UnavailableError("gone"));
  EXPECT_EQ(calls, 1);
}

TEST(Join, RefusesWhatHasNoCommonRows) {
  const auto code = [](Tensor first, Tensor second) {
    return Join({{{"y", std::move(first)}}, {{"y", std::move(second)}}}).status().code();
  };
  EXPECT_EQ(code(Floats({}, {1}), Floats({}, {1})), absl::StatusCode::kInternal);
  EXPECT_EQ(code(Floats({1, 2}, {}), Floats({1, 3}, {})), absl::StatusCode::kInternal);
  EXPECT_EQ(code(Floats({2}, {}), Floats({1}, {})), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace ems
