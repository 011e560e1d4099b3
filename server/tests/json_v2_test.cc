// Facts: kserve/open-inference-protocol inference_rest.md@011728e1, Triton's extension_binary_data.md@02c5c956.
#include "codec/json_v2.h"

#include <gmock/gmock.h>

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "codec/json.h"

namespace ems {
namespace {

using testing::ElementsAre;

template <typename T>
std::vector<T> Elements(const Tensor& tensor) {
  EXPECT_EQ(sizeof(T), ElementSize(tensor.dtype));
  return std::vector<T>(tensor.data<T>(), tensor.data<T>() + tensor.bytes.size() / sizeof(T));
}

// A request of one input "x" with these members.
std::string X(const std::string& members) { return R"({"inputs": [{"name": "x", )" + members + "}]}"; }

InferRequest Parse(const std::string& body, std::optional<size_t> json_bytes = std::nullopt) {
  absl::StatusOr<InferRequest> request = ParseInfer(body, json_bytes);
  EXPECT_TRUE(request.ok()) << body << request.status();
  return request.ok() ? *std::move(request) : InferRequest();
}

Tensor Input(const std::string& members) {
  const InferRequest request = Parse(X(members));
  if (request.inputs.count("x") == 0) return {};
  EXPECT_TRUE(IsWhole(request.inputs.at("x")));
  return request.inputs.at("x");
}

TEST(ParseInfer, ReadsEachDatatype) {
  const auto pair = [](const std::string& datatype, const std::string& data) {
    return Input(R"("shape": [2], "datatype": ")" + datatype + R"(", "data": [)" + data + "]");
  };
  EXPECT_THAT(Elements<bool>(pair("BOOL", "true, false")), ElementsAre(true, false));
  EXPECT_THAT(Elements<uint8_t>(pair("UINT8", "0, 255")), ElementsAre(0, 255));
  EXPECT_THAT(Elements<uint16_t>(pair("UINT16", "0, 65535")), ElementsAre(0, 65535));
  EXPECT_THAT(Elements<uint32_t>(pair("UINT32", "0, 4294967295")), ElementsAre(0, 4294967295U));
  EXPECT_THAT(Elements<uint64_t>(pair("UINT64", "0, 18446744073709551615")), ElementsAre(0, 18446744073709551615U));
  EXPECT_THAT(Elements<int8_t>(pair("INT8", "-128, 127")), ElementsAre(-128, 127));
  EXPECT_THAT(Elements<int16_t>(pair("INT16", "-32768, 32767")), ElementsAre(-32768, 32767));
  EXPECT_THAT(Elements<int32_t>(pair("INT32", "-1, 1")), ElementsAre(-1, 1));
  EXPECT_THAT(Elements<int64_t>(pair("INT64", "-1, 1")), ElementsAre(-1, 1));
  EXPECT_THAT(Elements<uint16_t>(pair("FP16", "1, -2.0")), ElementsAre(0x3c00, 0xc000));
  EXPECT_THAT(Elements<float>(pair("FP32", "1, 0.5")), ElementsAre(1, 0.5));
  EXPECT_THAT(Elements<double>(pair("FP64", "1, 0.1")), ElementsAre(1, 0.1));
  EXPECT_THAT(pair("BYTES", "\"a\", \"\"").strings, ElementsAre("a", ""));
}

TEST(ParseInfer, ReadsFlatAndNestedData) {
  for (const char* data : {"[1, 2, 3, 4]", "[[1, 2], [3, 4]]"}) {
    const Tensor tensor = Input(std::string(R"("shape": [2, 2], "datatype": "INT8", "data": )") + data);
    EXPECT_EQ(tensor.shape, Shape({2, 2}));
    EXPECT_THAT(Elements<int8_t>(tensor), ElementsAre(1, 2, 3, 4));
  }
  EXPECT_EQ(Input(R"("shape": [], "datatype": "INT8", "data": [7])").shape, Shape({}));
  EXPECT_EQ(Input(R"("shape": [0, 3], "datatype": "INT8", "data": [])").shape, Shape({0, 3}));
  EXPECT_EQ(Input(R"("shape": [2, 0], "datatype": "INT8", "data": [[], []])").shape, Shape({2, 0}));
}

TEST(ParseInfer, ReadsTheRest) {
  const InferRequest request = Parse(R"({"id": "42", "inputs": [], "parameters": {"signature_name": "s",
      "binary_data_output": true, "unknown": 1}, "outputs": [{"name": "a"},
      {"name": "b", "parameters": {"binary_data": false}}]})");
  EXPECT_EQ(request.id, "42");
  EXPECT_EQ(request.signature_name, "s");
  EXPECT_TRUE(request.binary);
  ASSERT_EQ(request.outputs.size(), 2);
  EXPECT_EQ(request.outputs[0].name, "a");
  EXPECT_TRUE(request.outputs[0].binary);
  EXPECT_EQ(request.outputs[1].name, "b");
  EXPECT_FALSE(request.outputs[1].binary);
}

// The extension's own example, with BYTES besides.
TEST(ParseInfer, ReadsBinaryData) {
  const std::string json = R"({"inputs": [
      {"name": "a", "shape": [2, 2], "datatype": "UINT32", "parameters": {"binary_data_size": 16}},
      {"name": "b", "shape": [1], "datatype": "INT8", "data": [5]},
      {"name": "c", "shape": [3], "datatype": "BOOL", "parameters": {"binary_data_size": 3}},
      {"name": "d", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 10}}]})";
  const std::vector<uint32_t> numbers = {1, 2, 3, 4};
  const std::string binary = std::string(reinterpret_cast<const char*>(numbers.data()), 16) + std::string("\1\0\1", 3) +
                             std::string("\2\0\0\0hi\0\0\0\0", 10);
  const InferRequest request = Parse(json + binary, json.size());
  EXPECT_THAT(Elements<uint32_t>(request.inputs.at("a")), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Elements<int8_t>(request.inputs.at("b")), ElementsAre(5));
  EXPECT_THAT(Elements<bool>(request.inputs.at("c")), ElementsAre(true, false, true));
  EXPECT_THAT(request.inputs.at("d").strings, ElementsAre("hi", ""));
}

TEST(ParseInfer, LimitsTheStringsOfAllInputs) {
  constexpr int kCount = kMostValues / 2 + 1;
  const auto input = [](const char* name) {
    return absl::StrCat(R"({"name": ")", name, R"(", "datatype": "BYTES", "shape": [)", kCount,
                        R"(], "parameters": {"binary_data_size": )", 4 * kCount, "}}");
  };
  const std::string json = absl::StrCat(R"({"inputs": [)", input("x"), ",", input("y"), "]}");
  EXPECT_EQ(ParseInfer(json + std::string(8 * kCount, '\0'), json.size()).status(),
            absl::InvalidArgumentError(absl::StrCat("input 'y': more than ", kMostValues, " elements")));
}

struct Refusal {
  std::string body;
  std::string text;
  std::string binary = {};
};

TEST(ParseInfer, RefusesOtherBodies) {
  const std::string no_data = "input 'x': needs either 'data' or the parameter 'binary_data_size'";
  const auto binary = [](const std::string& shape, const std::string& datatype, const std::string& size) {
    return X("\"shape\": " + shape + ", \"datatype\": \"" + datatype +
             "\", \"parameters\": {\"binary_data_size\": " + size + "}");
  };
  const std::vector<Refusal> refusals = {
      {"", "JSON Parse error: The document is empty"},
      {"{}", "'inputs' must be a list of objects"},
      {R"({"inputs": {}})", "'inputs' must be a list of objects"},
      {R"({"inputs": [1]})", "'inputs' must be a list of objects"},
      {R"({"inputs": [{}]})", "an element of 'inputs' has no 'name'"},
      {R"({"inputs": [{"name": 1}]})", "'name' must be a string"},
      {R"({"id": 1, "inputs": []})", "'id' must be a string"},
      {R"({"inputs": [], "parameters": []})", "'parameters' must be an object"},
      {R"({"inputs": [], "parameters": {"signature_name": 1}})", "parameter 'signature_name' must be a string"},
      {R"({"inputs": [], "parameters": {"binary_data_output": 1}})", "parameter 'binary_data_output' must be a bool"},
      {R"({"inputs": [], "outputs": {}})", "'outputs' must be a list of objects"},
      {R"({"inputs": [], "outputs": [{"name": "y"}, {"name": "y"}]})", "duplicate output 'y'"},
      {R"({"inputs": [], "outputs": [{"name": "y", "parameters": {"classification": 2}}]})",
       "parameter 'classification' is not supported"},
      {X(R"("datatype": "INT8", "shape": [1])"), no_data},
      {X(R"("datatype": "INT8", "shape": [1], "data": [1], "parameters": {"binary_data_size": 1})"), no_data},
      {X(R"("shape": [1], "data": [1])"), "input 'x': unknown datatype ''"},
      {X(R"("datatype": "FP8", "shape": [1], "data": [1])"), "input 'x': unknown datatype 'FP8'"},
      {X(R"("datatype": "INT8", "data": [1])"), "input 'x': 'shape' must be a list of whole numbers"},
      {X(R"("datatype": "INT8", "shape": [1.5], "data": [1])"), "input 'x': 'shape' must be a list of whole numbers"},
      {X(R"("datatype": "INT8", "shape": [-1], "data": [1])"), "input 'x': not a shape: [?]"},
      {X(R"("datatype": "INT8", "shape": [1000000, 1000000], "data": [1])"),
       "input 'x': 'data' has 1 values for the shape [1000000,1000000]"},
      {X(R"("datatype": "INT8", "shape": [1], "data": 1)"), "input 'x': 'data' must be a list"},
      {X(R"("datatype": "INT8", "shape": [1], "data": [128])"),
       "input 'x': JSON Value: 128 Type: Number is not of expected type: int8"},
      {X(R"("datatype": "INT8", "shape": [2, 2], "data": [[1, 2], [3]])"),
       "input 'x': Encountered list at unexpected size: 1 at level: 1 expected size: 2"},
      {X(R"("datatype": "INT8", "shape": [2], "data": [1, [2]])"),
       "input 'x': JSON Value: [\n    2\n] Type: Array is not of expected type: int8"},
      {R"({"inputs": [{"name": "x", "datatype": "INT8", "shape": [0], "data": []},
                      {"name": "x", "datatype": "INT8", "shape": [0], "data": []}]})",
       "duplicate input 'x'"},
      {binary("[2]", "INT16", "4"), "input 'x': the body has only 3 bytes of binary data", "abc"},
      {binary("[2]", "INT16", "-1"), "input 'x': parameter 'binary_data_size' must be a whole number", "abc"},
      {binary("[2]", "INT16", "3"), "input 'x': the binary data has 3 bytes for the shape [2]", "abc"},
      {binary("[1]", "INT16", "2"), "1 bytes of binary data belong to no input", "abc"},
      {binary("[1]", "BOOL", "1"), "input 'x': a byte of a BOOL is neither 0 nor 1", "\2"},
      {binary("[1]", "BYTES", "3"), "input 'x': the binary data ends inside an element", "abc"},
      {binary("[1]", "BYTES", "5"), "input 'x': the binary data ends inside an element", std::string("\2\0\0\0a", 5)},
      {binary("[2]", "BYTES", "5"), "input 'x': the binary data has not as many elements as the shape [2]",
       std::string("\1\0\0\0a", 5)},
      {binary("[0]", "BYTES", "8"), "input 'x': the binary data has not as many elements as the shape [0]",
       std::string(8, '\0')},
      {binary("[4194305]", "BYTES", "0"), "input 'x': more than 4194304 elements"},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_EQ(ParseInfer(refusal.body + refusal.binary, refusal.body.size()).status(),
              absl::InvalidArgumentError(refusal.text))
        << refusal.body;
  }
  EXPECT_EQ(ParseInfer("{}", 3).status(), absl::InvalidArgumentError("the body has only 2 bytes, fewer than its JSON"));
}

Tensor Floats(Shape shape, const std::vector<float>& values) {
  Tensor tensor = MakeTensor(DataType::kFloat, std::move(shape));
  EXPECT_EQ(values.size() * sizeof(float), tensor.bytes.size());
  std::copy(values.begin(), values.end(), tensor.data<float>());
  return tensor;
}

Tensor Strings(std::vector<std::string> values) {
  Tensor tensor = MakeTensor(DataType::kString, {static_cast<int64_t>(values.size())});
  tensor.strings = std::move(values);
  return tensor;
}

TEST(ReplyToInfer, PrintsFlatData) {
  InferRequest request;
  request.id = "42";
  const absl::StatusOr<InferReply> reply =
      ReplyToInfer(request, "m", 3, {{"y", Floats({2, 2}, {1, 1.5, 2, 0.1F})}, {"z", Strings({"a", "\u00e9"})}});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->json_bytes, std::nullopt);
  EXPECT_EQ(reply->body, R"({
    "model_name": "m",
    "model_version": "3",
    "id": "42",
    "outputs": [
        {
            "name": "y",
            "datatype": "FP32",
            "shape": [2, 2],
            "data": [1.0, 1.5, 2.0, 0.1]
        },
        {
            "name": "z",
            "datatype": "BYTES",
            "shape": [2],
            "data": ["a", "é"]
        }
    ]
})");
}

TEST(ReplyToInfer, AppendsBinaryData) {
  InferRequest request;
  request.outputs = {{"z", true}, {"y", true}};
  const Tensor floats = Floats({1}, {1.5});
  const absl::StatusOr<InferReply> reply = ReplyToInfer(request, "m", 3, {{"y", floats}, {"z", Strings({"\xff", ""})}});
  ASSERT_TRUE(reply.ok()) << reply.status();
  const std::string json = R"({
    "model_name": "m",
    "model_version": "3",
    "outputs": [
        {
            "name": "z",
            "datatype": "BYTES",
            "shape": [2],
            "parameters": {
                "binary_data_size": 9
            }
        },
        {
            "name": "y",
            "datatype": "FP32",
            "shape": [1],
            "parameters": {
                "binary_data_size": 4
            }
        }
    ]
})";
  EXPECT_EQ(reply->json_bytes, json.size());
  EXPECT_EQ(reply->body, json + std::string("\1\0\0\0\xff\0\0\0\0", 9) + floats.bytes);
}

TEST(ReplyToInfer, UsesTheRequestsFormForAllOutputs) {
  InferRequest request;
  request.binary = true;
  EXPECT_NE(ReplyToInfer(request, "m", 1, {{"y", Floats({1}, {1})}})->json_bytes, std::nullopt);
}

TEST(ReplyToInfer, RefusesWhatJsonDoesNotHold) {
  const InferRequest request;
  EXPECT_EQ(ReplyToInfer(request, "m", 1, {{"y", Strings({"\xff"})}}).status(),
            absl::InvalidArgumentError("output 'y' is not UTF-8; ask for it with the parameter 'binary_data'"));
  EXPECT_EQ(ReplyToInfer(request, "m", 1, {{"y", MakeTensor(DataType::kComplex64, {1})}}).status(),
            absl::InvalidArgumentError("output 'y' is complex64, which the protocol does not have"));
  InferRequest other;
  other.outputs = {{"z", false}};
  EXPECT_EQ(ReplyToInfer(other, "m", 1, {}).status(), absl::InvalidArgumentError("no output 'z'"));
}

}  // namespace
}  // namespace ems
