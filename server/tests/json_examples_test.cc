// Texts and layout: tensorflow_serving/util/json_tensor.cc@00f8ba53; forms: g3doc/api_rest.md@00e459f1.
#include "codec/json_examples.h"

#include <gmock/gmock.h>

#include <limits>
#include <string>
#include <vector>

#include "google/protobuf/text_format.h"

namespace ems {
namespace {

using tensorflow::serving::ClassificationResult;
using tensorflow::serving::Input;
using tensorflow::serving::RegressionResult;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

struct Good {
  std::string body;
  std::string input;
};

TEST(ParseExamples, MakesExamples) {
  const std::vector<Good> bodies = {
      {R"({"examples": [{"x": 1.5}, {"x": [2.0, NaN, -Infinity]}]})", R"pb(
         example_list {
           examples {
             features {
               feature {
                 key: "x"
                 value { float_list { value: 1.5 } }
               }
             }
           }
           examples {
             features {
               feature {
                 key: "x"
                 value { float_list { value: [ 2, nan, -inf ] } }
               }
             }
           }
         })pb"},
      {R"({"examples": [{"x": [1, -9223372036854775808, true, false]}]})", R"pb(
         example_list {
           examples {
             features {
               feature {
                 key: "x"
                 value { int64_list { value: [ 1, -9223372036854775808, 1, 0 ] } }
               }
             }
           }
         })pb"},
      {R"({"examples": [{"x": ["a", {"b64": "aGVsbG8="}]}]})", R"pb(
         example_list {
           examples {
             features {
               feature {
                 key: "x"
                 value { bytes_list { value: [ "a", "hello" ] } }
               }
             }
           }
         })pb"},
      {R"({"context": {"c": 7}, "examples": [{"x": []}, {}]})", R"pb(
         example_list_with_context {
           context {
             features {
               feature {
                 key: "c"
                 value { int64_list { value: 7 } }
               }
             }
           }
           examples {
             features {
               feature {
                 key: "x"
                 value {}
               }
             }
           }
           examples {}
         })pb"},
  };
  for (const Good& good : bodies) {
    const absl::StatusOr<ExamplesBody> body = ParseExamples(good.body);
    ASSERT_TRUE(body.ok()) << good.body << body.status();
    EXPECT_EQ(body->input.DebugString(), Parse<Input>(good.input).DebugString());
    EXPECT_EQ(body->signature_name, "");
  }
}

TEST(ParseExamples, ReadsTheSignature) {
  EXPECT_EQ(ParseExamples(R"({"signature_name": "s", "examples": [{}]})")->signature_name, "s");
}

struct Refusal {
  std::string body;
  std::string text;
};

TEST(ParseExamples, RefusesOtherBodies) {
  const auto object = [](const std::string& members) { return "JSON Value: {\n    " + members + "\n} "; };
  const std::vector<Refusal> refusals = {
      {"", "JSON Parse error: The document is empty"},
      {"[]", "JSON Value: [] Is not object"},
      {R"({"signature_name": 1})",
       object("\"signature_name\": 1") + "not formatted correctly. 'signature_name' key must be a string value."},
      {"{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found"},
      {R"({"examples": 1})", object("\"examples\": 1") + "Expecting 'examples' value to be an list/array"},
      {R"({"examples": []})", object("\"examples\": []") + "'examples' value is an empty array"},
      {R"({"examples": [1]})", "Example must be JSON object but got JSON Number"},
      {R"({"context": [], "examples": [{}]})", "Example must be JSON object but got JSON Array"},
      {R"({"examples": [{"x": null}]})", "Feature: x has element with unexpected JSON type: Null"},
      {R"({"examples": [{"x": [[1]]}]})", "Feature: x has element with unexpected JSON type: Array"},
      {R"({"examples": [{"x": {"y": 1}}]})", "Feature: x has element with unexpected JSON type: Object"},
      {R"({"examples": [{"x": [1, "a"]}]})", "Unexpected element type in feature: x expecting type: int64"},
      {R"({"examples": [{"x": [1.5, 2]}]})", "Unexpected element type in feature: x expecting type: float"},
      {R"({"examples": [{"x": ["a", 2]}]})", "Unexpected element type in feature: x expecting type: bytes"},
      {R"({"examples": [{"x": 18446744073709551615}]})", "Feature: x has uint64 element. Only int64 is supported."},
      {R"({"examples": [{"x": 1e300}]})", "Cannot convert JSON value: 1e+300 to float without loss of precision."},
      {R"({"examples": [{"x": {"b64": "?"}}]})", "Unable to base64 decode"},
      {R"({"examples": [{"x": 1, "x": 2}]})", object("\"x\": 1,\n    \"x\": 2") + "has the key 'x' more than once"},
  };
  for (const Refusal& refusal : refusals) {
    EXPECT_EQ(ParseExamples(refusal.body).status(), absl::InvalidArgumentError(refusal.text)) << refusal.body;
  }
}

TEST(ClassifyReply, PrintsLabelsAndScores) {
  const auto result = Parse<ClassificationResult>(R"pb(
    classifications {
      classes { label: "a" score: 0.5 }
      classes { label: "b" score: 2 }
    }
    classifications { classes { score: 0.1 } }
    classifications {}
  )pb");
  EXPECT_EQ(*ClassifyReply(result), R"({
    "results": [[["a", 0.5], ["b", 2.0]], [["", 0.1]], []
    ]
})");
  EXPECT_EQ(ClassifyReply({}).status(),
            absl::InvalidArgumentError("Cannot convert empty ClassificationResults to JSON"));
}

TEST(RegressReply, PrintsValues) {
  const auto result = Parse<RegressionResult>("regressions { value: 3.5 } regressions { value: 4 } regressions {}");
  EXPECT_EQ(*RegressReply(result), "{\n    \"results\": [3.5, 4.0, 0.0]\n}");
  EXPECT_EQ(RegressReply({}).status(), absl::InvalidArgumentError("Cannot convert empty RegressionResults to JSON"));
}

}  // namespace
}  // namespace ems
