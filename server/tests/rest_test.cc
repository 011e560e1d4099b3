#include "rest/rest.h"

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catalogue/catalogue.h"
#include "rest/page.h"
#include "rest/status.h"
#include "temp_folder.h"

namespace ems {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Says y = x / 2 + 2, as TensorFlow Serving's half_plus_two; refuses to run past a deadline.
class HalfPlusTwo : public Servable {
 public:
  HalfPlusTwo() {
    Signature signature;
    signature.method_name = kPredictMethod;
    signature.inputs["x"] = {DataType::kFloat, {-1}, "x:0"};
    signature.outputs["y"] = {DataType::kFloat, {-1}, "y:0"};
    signatures_[kDefaultSignature] = signature;
    signature.method_name = kRegressMethod;
    signature.outputs = {{"outputs", {DataType::kFloat, {-1}, "y:0"}}};
    signatures_["regress"] = signature;
    signature.method_name = kClassifyMethod;
    signature.outputs = {{"scores", {DataType::kFloat, {-1, -1}, "y:0"}}};
    signatures_["classify"] = signature;
  }
  const SignatureMap& signatures() const override { return signatures_; }
  absl::StatusOr<TensorMap> Run(const std::string& signature, const TensorMap& inputs,
                                const RunOptions& /*options*/) override {
    TensorMap outputs;
    Tensor& y = outputs[signatures_.at(signature).outputs.begin()->first] = inputs.at("x");
    for (int64_t i = 0; i < y.shape[0]; ++i) y.data<float>()[i] = y.data<float>()[i] / 2 + 2;
    if (signature == "classify") y.shape.push_back(1);
    return outputs;
  }
  std::vector<Placement> placements() const override {
    return {{"usb:<0>", "suspect", "it \"blinks\"", false, "segment <0>"}};
  }

 private:
  SignatureMap signatures_;
};

// Says the size of each file.
class Picture : public Servable {
 public:
  Picture() {
    Signature& signature = signatures_[kDefaultSignature];
    signature.method_name = kPredictMethod;
    signature.inputs["image"] = {DataType::kFloat, {1, 8, 8, 3}, "image:0"};
    signature.inputs["image"].image = true;
    signature.outputs["size"] = {DataType::kInt64, {-1}, "size:0"};
  }
  const SignatureMap& signatures() const override { return signatures_; }
  absl::StatusOr<TensorMap> Run(const std::string& /*signature*/, const TensorMap& inputs,
                                const RunOptions& /*options*/) override {
    TensorMap outputs;
    outputs["size"] = MakeTensor(DataType::kInt64, {1});
    *outputs["size"].data<int64_t>() = static_cast<int64_t>(inputs.at("image").strings.at(0).size());
    return outputs;
  }
  std::vector<Placement> placements() const override { return {}; }

 private:
  SignatureMap signatures_;
};

class HalfPlusTwoLoader : public Loader {
 public:
  absl::StatusOr<std::unique_ptr<Servable>> Load(const ServableId& id, const std::string& /*folder*/) override {
    if (id.name == "broken") return absl::InvalidArgumentError("no <model> in it");
    if (id.name == "picture") return std::make_unique<Picture>();
    return std::make_unique<HalfPlusTwo>();
  }
};

class RestTest : public ::testing::Test {
 protected:
  RestTest() : catalogue_(CatalogueOptions(), loader_), api_(catalogue_, metrics_) {
    ModelConfigs configs;
    for (const char* name : {"half", "a b", "picture"}) configs.push_back(Config(name));
    EXPECT_EQ(catalogue_.SetConfig(configs, absl::InfiniteFuture()), absl::OkStatus());
    configs[0].labels["stable"] = 123;  // of a version that is available by now
    EXPECT_EQ(catalogue_.SetConfig(configs, absl::InfiniteFuture()), absl::OkStatus());
    RestOptions options;
    options.metrics_path = "/monitoring/prometheus/metrics";
    options.version = "1.2.3";
    rest_ = std::make_unique<Rest>(api_, options);
  }

  static Catalogue::Options CatalogueOptions() {
    Catalogue::Options options;
    options.poll = absl::ZeroDuration();
    options.max_load_retries = 0;
    return options;
  }

  ModelConfig Config(const std::string& name) {
    folder_.Folder(name + "/123");
    ModelConfig config;
    config.name = name;
    config.base_path = folder_ / name;
    return config;
  }

  HttpResponse Get(const std::string& target, const std::string& method = "GET") {
    return rest_->Handle({method, target, {}, ""});
  }
  HttpResponse Post(const std::string& target, const std::string& body,
                    std::map<std::string, std::string> headers = {}) {
    return rest_->Handle({"POST", target, std::move(headers), body});
  }
  static std::string Error(const HttpResponse& response, int code) {
    EXPECT_EQ(response.code, code);
    EXPECT_EQ(response.content_type, "application/json");
    return response.body;
  }

  TempFolder folder_;
  HalfPlusTwoLoader loader_;
  Metrics metrics_;
  Catalogue catalogue_;
  Api api_;
  std::unique_ptr<Rest> rest_;
};

// The example of TensorFlow Serving's g3doc/api_rest.md.
TEST_F(RestTest, Predicts) {
  const HttpResponse response = Post("/v1/models/half:predict", R"({"instances": [1.0, 2.0, 5.0]})");
  EXPECT_EQ(response.code, 200);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(response.body, "{\n    \"predictions\": [2.5, 3.0, 4.5\n    ]\n}");
}

TEST_F(RestTest, FindsVersionsAndLabelsInAnyCase) {
  const std::string body = R"({"inputs": [1.0]})";
  for (const char* target : {"/v1/models/half/versions/123:predict", "/v1/models/half/versions/00123:predict",
                             "/V1/Models/half/LABELS/stable:Predict", "/v1/models/a%20b:predict"}) {
    EXPECT_EQ(Post(target, body).code, 200) << target;
  }
  EXPECT_THAT(Error(Post("/v1/models/half/versions/9:predict", body), 404),
              HasSubstr("Servable not found for request: Specific(half, 9)"));
  EXPECT_THAT(Error(Post("/v1/models/none:predict", body), 404),
              HasSubstr("Servable not found for request: Latest(none)"));
  EXPECT_THAT(Error(Post("/v1/models/half/labels/x:predict", body), 400),
              HasSubstr("Unrecognized servable version label: x"));
  EXPECT_THAT(Error(Post("/v1/models/half/versions/99999999999999999999:predict", body), 400),
              HasSubstr("Failed to convert version: 99999999999999999999 to numeric."));
}

TEST_F(RestTest, RefusesMalformedRequests) {
  for (const char* target : {"/v1/models/half", "/v1/models/half:guess", "/v1/models/half/versions/x:predict", "/v1/x",
                             "/v1/models/:predict", "/v1/models/half:predict?x=1", "/v1/models/a/b:predict"}) {
    EXPECT_THAT(Error(Post(target, "{}"), 400), HasSubstr(std::string("Malformed request: POST ") + target)) << target;
  }
  EXPECT_THAT(Error(Get("/v1/models/half:predict"), 400), HasSubstr("Malformed request: GET /v1/models/half:predict"));
  EXPECT_THAT(Error(Get("/v1/models/half", "DELETE"), 400), HasSubstr("Malformed request: DELETE /v1/models/half"));
  EXPECT_THAT(Error(Get("/v1/models"), 400), HasSubstr("Missing model name in request."));
}

TEST_F(RestTest, NamesWhatIsWrongInABody) {
  EXPECT_THAT(Error(Post("/v1/models/half:predict", "{"), 400),
              HasSubstr("JSON Parse error: Missing a name for object member. at offset: 1"));
  EXPECT_THAT(Error(Post("/v1/models/half:predict", R"({"signature_name": "s", "inputs": [1]})"), 400),
              HasSubstr("Serving signature name: \\\"s\\\" not found in signature def"));
}

TEST_F(RestTest, SaysTheStatusAsTensorFlowServingPrintsIt) {
  EXPECT_EQ(Get("/v1/models/half").body, R"({
 "model_version_status": [
  {
   "version": "123",
   "state": "AVAILABLE",
   "status": {
    "error_code": "OK",
    "error_message": ""
   }
  }
 ]
}
)");
  EXPECT_EQ(Get("/v1/models/half/versions/123").code, 200);
  EXPECT_THAT(Error(Get("/v1/models/none"), 404), HasSubstr("Could not find any versions of model none"));
}

TEST_F(RestTest, SaysTheMetadataAsTensorFlowServingPrintsIt) {
  const std::string body = Get("/v1/models/half/metadata").body;
  EXPECT_THAT(body, StartsWith(R"({
"model_spec":{
 "name": "half",
 "signature_name": "",
 "version": "123"
}
,
"metadata": )"));
  EXPECT_THAT(body, HasSubstr("\"metadata\": {\"signature_def\": {\n \"signature_def\": {\n"));
  // Signatures are in any order, as in TensorFlow Serving.
  EXPECT_THAT(body, HasSubstr(R"(
  "serving_default": {
   "inputs": {
    "x": {
     "dtype": "DT_FLOAT",
     "tensor_shape": {
      "dim": [
       {
        "size": "-1",
        "name": ""
       }
      ],
      "unknown_rank": false
     },
     "name": "x:0"
    }
   },)"));
}

TEST_F(RestTest, ClassifiesAndRegresses) {
  const std::string examples = R"("examples": [{"x": 1.0}, {"x": 2.0}]})";
  EXPECT_EQ(Post("/v1/models/half:regress", R"({"signature_name": "regress", )" + examples).body,
            "{\n    \"results\": [2.5, 3.0]\n}");
  const HttpResponse classes = Post("/v1/models/half:classify", R"({"signature_name": "classify", )" + examples);
  EXPECT_EQ(classes.code, 200);
  EXPECT_THAT(classes.body, HasSubstr("2.5"));
  // An unknown signature is INVALID_ARGUMENT here, and for classify over gRPC too (3.2 of the facts).
  EXPECT_EQ(Post("/v1/models/half:regress", R"({"signature_name": "s", )" + examples).code, 400);
  EXPECT_EQ(Post("/v1/models/none:regress", "{" + examples).code, 404);
  EXPECT_EQ(Post("/v1/models/half:classify", "{").code, 400);
  EXPECT_THAT(Get("/monitoring/prometheus/metrics").body,
              HasSubstr("request_latency_count{model_name=\"half\",API=\"regress\",entrypoint=\"REST\"} 1\n"));
}

TEST_F(RestTest, TakesAnImageAsTheBody) {
  const std::map<std::string, std::string> type = {{"content-type", "image/jpeg"}};
  const HttpResponse response = Post("/v1/models/picture:predict", "12345", type);
  EXPECT_EQ(response.code, 200) << response.body;
  EXPECT_THAT(response.body, HasSubstr("[5\n")) << "the size of the file";
  EXPECT_THAT(Error(Post("/v1/models/half:predict", "12345", type), 400), HasSubstr("takes no image"));
  EXPECT_EQ(Post("/v1/models/none:predict", "12345", type).code, 404);
}

TEST_F(RestTest, CountsRequestsOfModelsThatExist) {
  Post("/v1/models/half:predict", R"({"instances": [1.0]})");
  Post("/v1/models/half:predict", R"({"instances": ["x"]})");
  Post("/v1/models/none:predict", R"({"instances": [1.0]})");
  const HttpResponse metrics = Get("/monitoring/prometheus/metrics");
  EXPECT_EQ(metrics.content_type, "text/plain; version=0.0.4");
  EXPECT_THAT(metrics.body, HasSubstr("request_count{model_name=\"half\",status=\"OK\"} 1\n"));
  EXPECT_THAT(metrics.body, HasSubstr("request_count{model_name=\"half\",status=\"INVALID_ARGUMENT\"} 1\n"));
  EXPECT_THAT(metrics.body,
              HasSubstr("request_latency_count{model_name=\"half\",API=\"predict\",entrypoint=\"REST\"} 1\n"));
  EXPECT_THAT(metrics.body, Not(HasSubstr("none")));
}

TEST_F(RestTest, HasNoMetricsUnlessConfigured) {
  EXPECT_EQ(Rest(api_, {}).Handle({"GET", "/monitoring/prometheus/metrics", {}, ""}).code, 404);
  EXPECT_EQ(Rest(api_, {}).Handle({"GET", "", {}, ""}).code, 404);
}

TEST_F(RestTest, GivesUpAfterItsTimeout) {
  RestOptions options;
  options.timeout = -absl::Seconds(1);
  const HttpRequest request{"POST", "/v1/models/half:predict", {}, R"({"inputs": [1.0]})"};
  EXPECT_EQ(Rest(api_, options).Handle(request).code, 504);
}

TEST_F(RestTest, AnswersHeadAsGetAndNothingElse) {
  EXPECT_EQ(Get("/v1/models/half", "HEAD").code, 200);
  EXPECT_EQ(Get("/nothing").code, 404);
  EXPECT_EQ(Get("/nothing").content_type, "text/html; charset=utf-8");
  EXPECT_EQ(Post("/", "").code, 404);
}

// kserve/open-inference-protocol specification/protocol/inference_rest.md
TEST_F(RestTest, SpeaksKServesV2) {
  EXPECT_THAT(Get("/v2").body, HasSubstr("\"version\": \"1.2.3\""));
  EXPECT_EQ(Get("/v2/health/live").code, 200);
  EXPECT_EQ(Get("/v2/health/ready").code, 200);
  EXPECT_EQ(Get("/v2/models/half/ready").code, 200);
  EXPECT_EQ(Get("/v2/models/half/versions/123/ready").code, 200);
  EXPECT_EQ(Get("/v2/models/none/ready").code, 404);
  EXPECT_EQ(Get("/v2/models/half/versions/x/ready").code, 400);
  EXPECT_EQ(Get("/v2/nothing").code, 404);
  const std::string model = Get("/v2/models/half").body;
  EXPECT_THAT(model, HasSubstr("\"name\": \"half\""));
  EXPECT_THAT(model, HasSubstr("\"datatype\": \"FP32\""));
  EXPECT_THAT(model, HasSubstr("\"shape\": [-1]"));
}

TEST_F(RestTest, InfersByV2) {
  const std::string body =
      R"({"id": "7", "inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}]})";
  const HttpResponse response = Post("/v2/models/half/infer", body);
  EXPECT_EQ(response.code, 200);
  EXPECT_THAT(response.body, HasSubstr("\"id\": \"7\""));
  EXPECT_THAT(response.body, HasSubstr("2.5"));
  EXPECT_EQ(Error(Post("/v2/models/none/infer", body), 404).empty(), false);
  EXPECT_EQ(Error(Post("/v2/models/half/infer", "{}"), 400).empty(), false);
  EXPECT_EQ(Error(Post("/v2/models/half/infer", body, {{"inference-header-content-length", "x"}}), 400).empty(), false);
}

TEST_F(RestTest, InfersByV2InBytes) {
  const std::string json =
      R"({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}],)"
      R"("outputs": [{"name": "y", "parameters": {"binary_data": true}}]})";
  const std::string one("\x00\x00\x80\x3f", 4);
  const HttpResponse response =
      Post("/v2/models/half/infer", json + one, {{"inference-header-content-length", std::to_string(json.size())}});
  ASSERT_EQ(response.code, 200) << response.body;
  EXPECT_EQ(response.content_type, "application/octet-stream");
  ASSERT_EQ(response.headers.size(), 1);
  EXPECT_EQ(response.headers[0].first, "Inference-Header-Content-Length");
  EXPECT_EQ(response.body.substr(std::stoul(response.headers[0].second)), std::string("\x00\x00\x20\x40", 4));
}

TEST_F(RestTest, IsNotReadyWhileAModelFails) {
  catalogue_.SetConfig({Config("half"), Config("broken")}, absl::InfiniteFuture()).IgnoreError();
  EXPECT_EQ(Get("/v2/health/ready").code, 503);
  EXPECT_EQ(Get("/v2/health/live").code, 200);
  EXPECT_EQ(Get("/v2/models/broken/ready").code, 503);
  const std::string page = Get("/").body;
  EXPECT_THAT(page, HasSubstr("Not ready"));
  EXPECT_THAT(page, HasSubstr("no &lt;model&gt; in it"));
}

TEST_F(RestTest, ShowsAPageAndEscapesAllOfIt) {
  metrics_.SetSource([] { return Samples{{{"usb:<1>", "out", "it <hung>", 7, 2, 1}}, {}}; });
  const HttpResponse response = Get("/");
  EXPECT_EQ(response.code, 200);
  EXPECT_EQ(response.content_type, "text/html; charset=utf-8");
  for (const char* part : {"half", "Version 123", "stable", "segment &lt;0&gt; on usb:&lt;0&gt;",
                           "it &quot;blinks&quot;", "usb:&lt;1&gt;", "it &lt;hung&gt;", "version 1.2.3"}) {
    EXPECT_THAT(response.body, HasSubstr(part));
  }
  EXPECT_THAT(response.body, Not(HasSubstr("://"))) << "nothing from elsewhere";
}

TEST(Rest, HasTensorFlowServingsCodes) {
  EXPECT_EQ(HttpCode(absl::OkStatus()), 200);
  EXPECT_EQ(HttpCode(absl::FailedPreconditionError("")), 400);
  EXPECT_EQ(HttpCode(absl::ResourceExhaustedError("")), 429);
  EXPECT_EQ(HttpCode(absl::CancelledError("")), 499);
  EXPECT_EQ(HttpCode(absl::UnavailableError("")), 503);
  EXPECT_EQ(HttpCode(absl::DeadlineExceededError("")), 504);
  EXPECT_EQ(HttpCode(absl::DataLossError("")), 500);
}

TEST(Rest, DecodesPercents) {
  EXPECT_EQ(PercentDecode("a%20b%2F%zz%4"), "a b/%zz%4");
  EXPECT_EQ(PercentDecode("%41"), "A");
  EXPECT_EQ(PercentDecode("%+1"), "%+1");
}

TEST(Page, PrintsDurations) {
  EXPECT_EQ(DurationText(absl::Seconds(59)), "59 s");
  EXPECT_EQ(DurationText(absl::Seconds(61)), "1 min 1 s");
  EXPECT_EQ(DurationText(absl::Hours(25)), "1 d 1 h");
}

}  // namespace
}  // namespace ems
