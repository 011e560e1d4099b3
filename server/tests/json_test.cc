// The facts' sources: tensorflow_serving/util/json_tensor.cc@00f8ba53 and json_tensor_test.cc@07451ec6 for texts and
// layout, g3doc/api_rest.md@00e459f1 for forms.
#include "codec/json.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "codec/half.h"
#include "codec/json_writer.h"

namespace ems {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Signature OneInput(DataType dtype) {
  Signature signature;
  signature.inputs["x"].dtype = dtype;
  return signature;
}

Signature TwoInputs() {
  Signature signature;
  signature.inputs["a"].dtype = DataType::kInt32;
  signature.inputs["b"].dtype = DataType::kString;
  return signature;
}

absl::StatusOr<TensorMap> Inputs(const std::string& body, const Signature& signature) {
  absl::StatusOr<PredictBody> parsed = PredictBody::Parse(body);
  if (!parsed.ok()) return parsed.status();
  return parsed->Inputs(signature);
}

Tensor Input(const std::string& body, DataType dtype) {
  absl::StatusOr<TensorMap> inputs = Inputs(body, OneInput(dtype));
  EXPECT_TRUE(inputs.ok()) << body << inputs.status();
  if (!inputs.ok()) return {};
  const Tensor tensor = inputs->at("x");
  EXPECT_TRUE(IsWhole(tensor)) << body;
  EXPECT_EQ(tensor.dtype, dtype);
  return tensor;
}

template <typename T>
std::vector<T> Elements(const Tensor& tensor) {
  EXPECT_EQ(sizeof(T), ElementSize(tensor.dtype));
  return std::vector<T>(tensor.data<T>(), tensor.data<T>() + tensor.bytes.size() / sizeof(T));
}

std::string Reply(const TensorMap& outputs, JsonForm form) {
  absl::StatusOr<std::string> reply = PredictReply(outputs, form);
  EXPECT_TRUE(reply.ok()) << reply.status();
  return reply.ok() ? *reply : "";
}

template <typename T>
Tensor Numbers(DataType dtype, Shape shape, const std::vector<T>& values) {
  Tensor tensor = MakeTensor(dtype, std::move(shape));
  EXPECT_EQ(values.size() * sizeof(T), tensor.bytes.size());
  std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor;
}

Tensor Strings(Shape shape, std::vector<std::string> values) {
  Tensor tensor = MakeTensor(DataType::kString, std::move(shape));
  tensor.strings = std::move(values);
  EXPECT_TRUE(IsWhole(tensor));
  return tensor;
}

struct Shaped {
  std::string body;
  Shape shape;
};

TEST(PredictBody, TakesTheShapeFromTheNesting) {
  const std::vector<Shaped> bodies = {
      {R"({"instances": [1, 2, 3]})", {3}},
      {R"({"instances": [[1, 2], [3, 4], [5, 6]]})", {3, 2}},
      {R"({"instances": [[[1]], [[2]]]})", {2, 1, 1}},
      {R"({"instances": [[], []]})", {2, 0}},
      {R"({"instances": [{"x": 1}, {"x": 2}]})", {2}},
      {R"({"instances": [{"x": [[1, 2]]}]})", {1, 1, 2}},
      {R"({"inputs": 7})", {}},
      {R"({"inputs": []})", {0}},
      {R"({"inputs": [[]]})", {1, 0}},
      {R"({"inputs": [[1, 2], [3, 4]]})", {2, 2}},
      {R"({"inputs": {"x": [[1], [2]]}})", {2, 1}},
      {R"({"inputs": {"x": [1], "unknown": ["ignored"]}})", {1}},
  };
  for (const Shaped& body : bodies) EXPECT_EQ(Input(body.body, DataType::kInt32).shape, body.shape) << body.body;
  EXPECT_THAT(Elements<int32_t>(Input(R"({"instances": [[1, 2], [3, 4]]})", DataType::kInt32)),
              ElementsAre(1, 2, 3, 4));
}

TEST(PredictBody, HasAFormAndASignature) {
  EXPECT_EQ(PredictBody::Parse(R"({"instances": [1]})")->form(), JsonForm::kRow);
  EXPECT_EQ(PredictBody::Parse(R"({"inputs": [1]})")->form(), JsonForm::kColumn);
  EXPECT_EQ(PredictBody::Parse(R"({"inputs": [1]})")->signature_name(), "");
  EXPECT_EQ(PredictBody::Parse(R"({"inputs": [1], "signature_name": "s"})")->signature_name(), "s");
}

TEST(PredictBody, ReadsSeveralInputs) {
  const std::vector<std::string> bodies = {
      R"({"instances": [{"a": [1, 2], "b": "x"}, {"b": {"b64": "eQ=="}, "a": [3, 4]}]})",
      R"({"inputs": {"a": [[1, 2], [3, 4]], "b": ["x", {"b64": "eQ=="}], "c": 0}})",
  };
  for (const std::string& body : bodies) {
    absl::StatusOr<TensorMap> inputs = Inputs(body, TwoInputs());
    ASSERT_TRUE(inputs.ok()) << inputs.status();
    EXPECT_EQ(inputs->at("a").shape, Shape({2, 2}));
    EXPECT_THAT(Elements<int32_t>(inputs->at("a")), ElementsAre(1, 2, 3, 4));
    EXPECT_EQ(inputs->at("b").shape, Shape({2}));
    EXPECT_THAT(inputs->at("b").strings, ElementsAre("x", "y"));
  }
}

TEST(PredictBody, ReadsEachDtype) {
  const auto row = [](const std::string& values) { return R"({"instances": [)" + values + "]}"; };
  EXPECT_THAT(Elements<float>(Input(row("1, 2.5, -1e3, 16777215"), DataType::kFloat)),
              ElementsAre(1, 2.5, -1000, 16777215));
  EXPECT_THAT(Elements<double>(Input(row("1, 0.1, 9007199254740991, -9007199254740991"), DataType::kDouble)),
              ElementsAre(1, 0.1, 9007199254740991, -9007199254740991));
  // The largest float and half, as replies print them.
  EXPECT_THAT(Elements<float>(Input(row("3.40282347e+38"), DataType::kFloat)),
              ElementsAre(std::numeric_limits<float>::max()));
  EXPECT_THAT(Elements<uint16_t>(Input(row("-65519.9"), DataType::kHalf)), ElementsAre(0xfbff));
  EXPECT_THAT(Elements<uint16_t>(Input(row("1, -2.0, 2047"), DataType::kHalf)), ElementsAre(0x3c00, 0xc000, 0x67ff));
  EXPECT_THAT(Elements<int8_t>(Input(row("-128, 127"), DataType::kInt8)), ElementsAre(-128, 127));
  EXPECT_THAT(Elements<int16_t>(Input(row("-32768, 32767"), DataType::kInt16)), ElementsAre(-32768, 32767));
  EXPECT_THAT(Elements<int32_t>(Input(row("-2147483648, 2147483647"), DataType::kInt32)),
              ElementsAre(std::numeric_limits<int32_t>::min(), 2147483647));
  EXPECT_THAT(Elements<int64_t>(Input(row("-9223372036854775808, 9223372036854775807"), DataType::kInt64)),
              ElementsAre(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
  EXPECT_THAT(Elements<uint8_t>(Input(row("0, 255"), DataType::kUint8)), ElementsAre(0, 255));
  EXPECT_THAT(Elements<uint16_t>(Input(row("0, 65535"), DataType::kUint16)), ElementsAre(0, 65535));
  EXPECT_THAT(Elements<uint32_t>(Input(row("0, 4294967295"), DataType::kUint32)), ElementsAre(0, 4294967295U));
  EXPECT_THAT(Elements<uint64_t>(Input(row("0, 18446744073709551615"), DataType::kUint64)),
              ElementsAre(0, 18446744073709551615U));
  EXPECT_THAT(Elements<bool>(Input(row("true, false"), DataType::kBool)), ElementsAre(true, false));
  EXPECT_THAT(Input(row(R"("a\u0000b", "", {"b64": "aGVsbG8="}, {"b64": "aGVsbG8"})"), DataType::kString).strings,
              ElementsAre(std::string("a\0b", 3), "", "hello", "hello"));
}

TEST(PredictBody, ReadsNumbersThatAreNone) {
  const std::string body = R"({"instances": [NaN, Infinity, -Infinity, Inf]})";
  const std::vector<float> floats = Elements<float>(Input(body, DataType::kFloat));
  EXPECT_TRUE(floats[0] != floats[0]);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(std::vector<float>(floats.begin() + 1, floats.end()), ElementsAre(kInfinity, -kInfinity, kInfinity));
  EXPECT_THAT(Elements<uint16_t>(Input(body, DataType::kHalf)), ElementsAre(0x7e00, 0x7c00, 0xfc00, 0x7c00));
}

TEST(PredictBody, ReadsBase64AsAScalar) {
  EXPECT_EQ(Input(R"({"inputs": {"b64": "aGVsbG8="}})", DataType::kString).shape, Shape({}));
  EXPECT_EQ(Input(R"({"instances": [{"b64": "aGVsbG8="}]})", DataType::kString).shape, Shape({1}));
  EXPECT_EQ(Input(R"({"instances": [[{"b64": "aGVsbG8="}]]})", DataType::kString).shape, Shape({1, 1}));
  EXPECT_EQ(Input(R"({"instances": [{"x": {"b64": "aGVsbG8="}}]})", DataType::kString).shape, Shape({1}));
}

struct Refusal {
  std::string body;
  std::string text;
};

TEST(PredictBody, RefusesWhatDoesNotParse) {
  const std::vector<Refusal> refusals = {
      {"", "JSON Parse error: The document is empty"},
      {" ", "JSON Parse error: The document is empty. at offset: 1"},
      {"{x}", "JSON Parse error: Missing a name for object member. at offset: 1"},
      {R"({"inputs": [1,]})", "JSON Parse error: Invalid value. at offset: 14"},
      {R"({"inputs": [1})", "JSON Parse error: Missing a comma or ']' after an array element. at offset: 13"},
      {R"({"inputs": [1]} x)",
       "JSON Parse error: The document root must not be followed by other values. at offset: 16"},
      {std::string("{\"inputs\": [1]}\0x", 17),
       "JSON Parse error: The document root must not be followed by other values. at offset: 15"},
      {R"({"inputs": 1e400})", "JSON Parse error: Number too big to be stored in double. at offset: 11"},
      {"[1]", "JSON Value: [\n    1\n] Is not object"},
      {"NaN", "JSON Value: NaN Is not object"},
      {"0.1", "JSON Value: 0.1 Is not object"},
      {R"({"inputs": 1, "inputs": 2})",
       "JSON Value: {\n    \"inputs\": 1,\n    \"inputs\": 2\n} has the key 'inputs' more than once"},
      {R"({"signature_name": 5})",
       "JSON Value: {\n    \"signature_name\": 5\n} not formatted correctly. 'signature_name' key must be a string "
       "value."},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_EQ(PredictBody::Parse(refusal.body).status(), absl::InvalidArgumentError(refusal.text)) << refusal.body;
  }
}

TEST(PredictBody, RefusesBodiesWithoutValues) {
  const std::vector<Refusal> refusals = {
      {"{}", "Missing 'inputs' or 'instances' key"},
      {R"({"instances": 1, "inputs": 2})",
       "JSON Value: {\n    \"instances\": 1,\n    \"inputs\": 2\n} Not formatted correctly expecting only one of "
       "'inputs' or 'instances' keys to exist "},
      {R"({"instances": 1})", "JSON Value: {\n    \"instances\": 1\n} Excepting 'instances' to be an list/array"},
      {R"({"instances": []})", "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_EQ(Inputs(refusal.body, OneInput(DataType::kInt32)).status(), absl::InvalidArgumentError(refusal.text));
  }
  EXPECT_EQ(Inputs(R"({"inputs": 1})", Signature()).status(),
            absl::InvalidArgumentError("Failed to get input map for signature: DEFAULT"));
  EXPECT_EQ(Inputs(R"({"inputs": 1, "signature_name": "s"})", Signature()).status(),
            absl::InvalidArgumentError("Failed to get input map for signature: s"));
}

TEST(PredictBody, RefusesRaggedShapes) {
  const std::string row = "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: ";
  const std::vector<Refusal> refusals = {
      {R"({"instances": [[1, 2], [3]]})", row + "Expecting tensor size: 2 but got: 1"},
      {R"({"instances": [1, [1]]})", row + "Expecting shape [] but got: [1]"},
      {R"({"instances": [[1, 2], [[3, 4]]]})", row + "Expecting shape [2] but got: [1,2]"},
      {R"({"instances": [[1], [[2], 3]]})",
       row + "JSON Value: 3 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"},
      {R"({"inputs": [1, [2]]})", "Encountered list at unexpected level: 1 expected < 1"},
      {R"({"inputs": [[1, 2], [3]]})", "Encountered list at unexpected size: 1 at level: 1 expected size: 2"},
      {R"({"inputs": [[], [3]]})", "Encountered list at unexpected size: 1 at level: 1 expected size: 0"},
      {R"({"instances": [1, {"x": 1}]})", "Expecting value/list but got object at item 1 of input list"},
      {R"({"instances": [{"x": 1}, 1]})", "Expecting object but got list at item 1 of input list"},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_EQ(Inputs(refusal.body, OneInput(DataType::kInt32)).status(), absl::InvalidArgumentError(refusal.text))
        << refusal.body;
  }
}

TEST(PredictBody, RefusesOtherNames) {
  const std::vector<Refusal> refusals = {
      {R"({"instances": [1]})",
       "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
       "tensorinfo_map"},
      {R"({"inputs": [1]})",
       "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
       "tensorinfo_map"},
      {R"({"inputs": {"a": 1}})", "Missing named input: b in 'inputs' object."},
      {R"({"instances": [{"a": 1}]})",
       "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"a\": 1\n} keys must be equal to: a,b"},
      {R"({"instances": [{"a": 1, "b": "", "c": 1}]})",
       "Failed to process element: 0 key: c of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have "
       "named input: c"},
      {R"({"instances": [{"a": 1, "a": 1}]})",
       "JSON Value: {\n    \"a\": 1,\n    \"a\": 1\n} has the key 'a' more than once"},
      {R"({"inputs": {"a": 1, "b": "", "a": 1}})",
       "JSON Value: {\n    \"a\": 1,\n    \"b\": \"\",\n    \"a\": 1\n} has the key 'a' more than once"},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_EQ(Inputs(refusal.body, TwoInputs()).status(), absl::InvalidArgumentError(refusal.text)) << refusal.body;
  }
}

struct BadValue {
  DataType dtype;
  std::string value;
  std::string text;
};

TEST(PredictBody, RefusesValuesThatTheDtypeDoesNotHold) {
  const auto lossy = [](const std::string& value, const std::string& target) {
    return "Cannot convert JSON value: " + value + " to " + target + " without loss of precision.";
  };
  const auto type = [](const std::string& value, const std::string& json, const std::string& dtype) {
    return "JSON Value: " + value + " Type: " + json + " is not of expected type: " + dtype;
  };
  const std::vector<BadValue> values = {
      {DataType::kFloat, "16777216", lossy("16777216", "float")},
      {DataType::kFloat, "-16777216", lossy("-16777216", "float")},
      {DataType::kFloat, "1e39", lossy("1e+39", "float")},
      {DataType::kFloat, "3.4028236e+38", lossy("3.4028235999999999e+38", "float")},
      {DataType::kFloat, "18446744073709551615", lossy("18446744073709551615", "float")},
      {DataType::kDouble, "9007199254740992", lossy("9007199254740992", "double")},
      {DataType::kDouble, "-9223372036854775808", lossy("-9223372036854775808", "double")},
      {DataType::kHalf, "2048", lossy("2048", "half")},
      {DataType::kHalf, "65520.0", lossy("65520.0", "half")},
      {DataType::kFloat, "\"1\"", type("\"1\"", "String", "float")},
      {DataType::kFloat, "null", type("null", "Null", "float")},
      {DataType::kFloat, "true", type("true", "True", "float")},
      {DataType::kFloat, R"({"b64": "aGVsbG8="})", type("{\n    \"b64\": \"aGVsbG8=\"\n}", "Object", "float")},
      {DataType::kInt32, "1.5", type("1.5", "Number", "int32")},
      {DataType::kInt32, "0.1", type("0.1", "Number", "int32")},
      {DataType::kInt32, "1.0", type("1.0", "Number", "int32")},
      {DataType::kInt32, "2147483648", type("2147483648", "Number", "int32")},
      {DataType::kInt32, "NaN", type("NaN", "Number", "int32")},
      {DataType::kInt8, "128", type("128", "Number", "int8")},
      {DataType::kInt16, "-32769", type("-32769", "Number", "int16")},
      {DataType::kUint8, "-1", type("-1", "Number", "uint8")},
      {DataType::kUint8, "256", type("256", "Number", "uint8")},
      {DataType::kUint16, "65536", type("65536", "Number", "uint16")},
      {DataType::kUint32, "4294967296", type("4294967296", "Number", "uint32")},
      {DataType::kUint64, "-1", type("-1", "Number", "uint64")},
      {DataType::kInt64, "9223372036854775808", type("9223372036854775808", "Number", "int64")},
      {DataType::kBool, "1", type("1", "Number", "bool")},
      {DataType::kInt32, "false", type("false", "False", "int32")},
      {DataType::kString, "1", type("1", "Number", "string")},
      {DataType::kString, R"({"b64": 1})", "JSON Value: {\n    \"b64\": 1\n} not formatted correctly for base64 data"},
      {DataType::kString, R"({"b64": "", "x": ""})",
       "JSON Value: {\n    \"b64\": \"\",\n    \"x\": \"\"\n} not formatted correctly for base64 data"},
      {DataType::kString, R"({"b64": "a?"})", "Unable to base64 decode"},
  };
  for (const BadValue& bad : values) {
    const std::string body = R"({"inputs": {"x": )" + bad.value + "}}";
    EXPECT_EQ(Inputs(body, OneInput(bad.dtype)).status(), absl::InvalidArgumentError(bad.text)) << body;
  }
  EXPECT_EQ(Inputs(R"({"inputs": 1})", OneInput(DataType::kComplex64)).status(),
            absl::UnimplementedError("Conversion of JSON Value: 1 to type: complex64"));
}

std::string Nested(int levels) { return std::string(levels, '[') + std::string(levels, ']'); }

TEST(PredictBody, LimitsNesting) {
  // The object is a level too.
  EXPECT_TRUE(Inputs(R"({"inputs": )" + Nested(kMostNesting - 1) + "}", OneInput(DataType::kFloat)).ok());
  EXPECT_EQ(PredictBody::Parse(R"({"inputs": )" + Nested(kMostNesting) + "}").status(),
            absl::InvalidArgumentError("JSON Parse error: Nested deeper than 64 levels. at offset: 74"));
  EXPECT_FALSE(PredictBody::Parse(std::string(1000000, '[')).ok());
}

TEST(PredictBody, LimitsValues) {
  std::string body = R"({"inputs": [0)";
  // The object, the key and the list are three more.
  for (int i = 0; i < kMostValues - 4; ++i) body += ",0";
  EXPECT_TRUE(PredictBody::Parse(body + "]}").ok());
  EXPECT_THAT(PredictBody::Parse(body + ",0]}").status().message(),
              HasSubstr("JSON Parse error: More than 4194304 values. at offset: "));
}

TEST(PredictBody, CutsLongValuesInErrors) {
  const std::string text = "[\"" + std::string(1021, 'a') + "\u00e9\u00e9\"]";
  const absl::Status status = PredictBody::Parse(text).status();
  EXPECT_EQ(status.message(), "JSON Value: [\n    \"" + std::string(1017, 'a') + "... Is not object");
  const absl::Status wide = PredictBody::Parse("[\"" + std::string(1016, 'a') + "\u00e9\u00e9\"]").status();
  EXPECT_EQ(wide.message(), "JSON Value: [\n    \"" + std::string(1016, 'a') + "... Is not object");
}

// json_tensor.cc: rows on one line, the list of rows ended on its own.
TEST(PredictReply, PrintsRows) {
  EXPECT_EQ(Reply({{"y", Numbers<float>(DataType::kFloat, {3}, {3.5, 4, 5.5})}}, JsonForm::kRow),
            "{\n    \"predictions\": [3.5, 4.0, 5.5\n    ]\n}");
  EXPECT_EQ(Reply({{"y", Numbers<int32_t>(DataType::kInt32, {2, 1, 2}, {1, 2, 3, 4})}}, JsonForm::kRow),
            "{\n    \"predictions\": [[[1, 2]], [[3, 4]]\n    ]\n}");
  EXPECT_EQ(Reply({{"y", MakeTensor(DataType::kFloat, {0, 2})}}, JsonForm::kRow), "{\n    \"predictions\": []\n}");
  EXPECT_EQ(Reply({{"y", MakeTensor(DataType::kFloat, {2, 0})}}, JsonForm::kRow),
            "{\n    \"predictions\": [[], []\n    ]\n}");
  const TensorMap two = {{"a", Numbers<int8_t>(DataType::kInt8, {2, 2}, {1, 2, 3, -4})},
                         {"b_bytes", Strings({2}, {"hello", ""})}};
  EXPECT_EQ(Reply(two, JsonForm::kRow), R"({
    "predictions": [
        {
            "a": [1, 2],
            "b_bytes": {
                "b64": "aGVsbG8="
            }
        },
        {
            "a": [3, -4],
            "b_bytes": {
                "b64": ""
            }
        }
    ]
})");
}

TEST(PredictReply, PrintsColumns) {
  EXPECT_EQ(Reply({{"y", Numbers<float>(DataType::kFloat, {2, 1}, {3.5, 4})}}, JsonForm::kColumn), R"({
    "outputs": [
        [
            3.5
        ],
        [
            4.0
        ]
    ]
})");
  EXPECT_EQ(Reply({{"y", Numbers<float>(DataType::kFloat, {}, {3.5})}}, JsonForm::kColumn),
            "{\n    \"outputs\": 3.5\n}");
  EXPECT_EQ(
      Reply({{"a", Numbers<int64_t>(DataType::kInt64, {1}, {-7})}, {"b", Strings({}, {"\"\n"})}}, JsonForm::kColumn),
      R"({
    "outputs": {
        "a": [
            -7
        ],
        "b": "\"\n"
    }
})");
}

TEST(PredictReply, PrintsEachDtype) {
  const auto reply = [](const Tensor& tensor) { return Reply({{"y", tensor}}, JsonForm::kRow); };
  const auto list = [](const std::string& values) { return "{\n    \"predictions\": [" + values + "\n    ]\n}"; };
  EXPECT_EQ(reply(Numbers<double>(DataType::kDouble, {2}, {0.1, 1e100})), list("0.1, 1e+100"));
  EXPECT_EQ(reply(Numbers<uint16_t>(DataType::kHalf, {2}, {0x3c00, 0x3555})), list("1.0, 0.333251953"));
  EXPECT_EQ(reply(Numbers<int16_t>(DataType::kInt16, {2}, {-1, 2})), list("-1, 2"));
  EXPECT_EQ(reply(Numbers<uint8_t>(DataType::kUint8, {1}, {255})), list("255"));
  EXPECT_EQ(reply(Numbers<uint16_t>(DataType::kUint16, {1}, {65535})), list("65535"));
  EXPECT_EQ(reply(Numbers<uint32_t>(DataType::kUint32, {1}, {4294967295})), list("4294967295"));
  EXPECT_EQ(reply(Numbers<uint64_t>(DataType::kUint64, {1}, {18446744073709551615U})), list("18446744073709551615"));
  EXPECT_EQ(reply(Numbers<bool>(DataType::kBool, {2}, {true, false})), list("true, false"));
}

TEST(PredictReply, RefusesOutputsWithoutRows) {
  const Tensor scalar = MakeTensor(DataType::kFloat, {});
  const Tensor two = MakeTensor(DataType::kFloat, {2});
  const Tensor three = MakeTensor(DataType::kFloat, {3, 1});
  const Tensor complex = MakeTensor(DataType::kComplex64, {1});
  EXPECT_EQ(PredictReply({}, JsonForm::kRow).status(),
            absl::InvalidArgumentError("Cannot convert empty tensor map to JSON"));
  EXPECT_EQ(PredictReply({{"y", scalar}}, JsonForm::kRow).status(),
            absl::InvalidArgumentError("Tensor name: y has no shape information "));
  EXPECT_EQ(PredictReply({{"y", two}, {"z", three}}, JsonForm::kRow).status(),
            absl::InvalidArgumentError("Tensor name: z has inconsistent batch size: 3 expecting: 2"));
  EXPECT_EQ(PredictReply({{"y", complex}}, JsonForm::kColumn).status(),
            absl::InvalidArgumentError("Failed to write JSON value for tensor type: complex64"));
}

// json_tensor_test.cc: FromJsonSingleFloatTensorSixDigitPrecision and ...NonFinite; 9 digits where 6 are not exact.
TEST(DecimalText, PrintsAsTensorFlowServing) {
  const std::vector<std::pair<float, std::string>> floats = {
      {9000000, "9e+06"},
      {999999, "999999.0"},
      {0.5, "0.5"},
      {.0003F, "0.0003"},
      {.00003F, "3e-05"},
      {555557.5, "555557.5"},
      {0, "0.0"},
      {-0.0F, "-0.0"},
      {0.2F, "0.2"},
      {0.1234567F, "0.123456702"},
      {16777216, "16777216.0"},
      {1e-45F, "1.4013e-45"},
      {std::numeric_limits<float>::max(), "3.40282347e+38"},
      {std::numeric_limits<float>::infinity(), "Infinity"},
      {-std::numeric_limits<float>::infinity(), "-Infinity"},
      {std::numeric_limits<float>::quiet_NaN(), "NaN"},
  };
  for (const auto& [value, text] : floats) EXPECT_EQ(DecimalText(value), text);
  EXPECT_EQ(DecimalText(0.1), "0.1");
  EXPECT_EQ(DecimalText(1.0 / 3), "0.33333333333333331");
  EXPECT_EQ(DecimalText(-std::numeric_limits<double>::max()), "-1.7976931348623157e+308");
  EXPECT_EQ(DecimalText(std::numeric_limits<double>::denorm_min()), "4.94066e-324");
}

TEST(ErrorReply, IsJson) {
  EXPECT_EQ(ErrorReply("no \"x\""), "{\n    \"error\": \"no \\\"x\\\"\"\n}");
  EXPECT_EQ(ErrorReply("\u00e9"), "{\n    \"error\": \"\u00e9\"\n}");
  EXPECT_EQ(ErrorReply("\xff!"), "{\n    \"error\": \"\\\\xff!\"\n}");
  EXPECT_EQ(ErrorReply("\xc3"), "{\n    \"error\": \"\\\\xc3\"\n}");
}

}  // namespace
}  // namespace ems
