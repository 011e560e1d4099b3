// Texts and codes are those of 3.3 of the facts, each with the file of TensorFlow Serving that it comes from there.
#include "api/api.h"

#include <gmock/gmock.h>

#include "serving_fixture.h"
#include "tensors.h"

namespace ems {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;

void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& text) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_EQ(std::string(status.message()), text);
}

class ApiTest : public ServingFixture {
 protected:
  absl::StatusOr<TensorMap> Predict(const TensorMap& inputs, const std::vector<std::string>& filter = {},
                                    absl::Time deadline = absl::InfiniteFuture()) {
    absl::StatusOr<Target> target = api_.Resolve({"m", {}, ""}, "");
    if (!target.ok()) return target.status();
    return api_.Predict(*target, inputs, filter, deadline);
  }
  const TensorMap good_ = {{"x", Floats({1, 2}, {1, 2})}};
};

TEST_F(ApiTest, EmptySignatureIsServingDefault) {
  absl::StatusOr<Target> target = api_.Resolve({"m", {}, ""}, "");
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->signature_name, "serving_default");
  EXPECT_EQ(target->handle.id.version, 7);
  tensorflow::serving::ModelSpec spec;
  ToProto(*target, &spec);
  EXPECT_EQ(spec.name(), "m");
  EXPECT_EQ(spec.version().value(), 7);
  EXPECT_EQ(spec.signature_name(), "serving_default");
}

TEST_F(ApiTest, FindsByVersionAndLabelOfTheMessage) {
  tensorflow::serving::ModelSpec proto;
  proto.set_name("m");
  proto.mutable_version()->set_value(7);
  EXPECT_TRUE(api_.Resolve(FromProto(proto), "").ok());
  proto.clear_version();
  proto.set_version_label("stable");
  EXPECT_TRUE(api_.Resolve(FromProto(proto), "").ok());
}

TEST_F(ApiTest, UnknownModelsVersionsLabelsAndSignatures) {
  ExpectError(api_.Resolve({"", {}, ""}, "").status(), absl::StatusCode::kInvalidArgument,
              "ModelSpec has no name specified.");
  ExpectError(api_.Resolve({"x", {}, ""}, "").status(), absl::StatusCode::kNotFound,
              "Servable not found for request: Latest(x)");
  ExpectError(api_.Resolve({"m", 9, ""}, "").status(), absl::StatusCode::kNotFound,
              "Servable not found for request: Specific(m, 9)");
  ExpectError(api_.Resolve({"m", {}, "new"}, "").status(), absl::StatusCode::kInvalidArgument,
              "Unrecognized servable version label: new");
  ExpectError(api_.Resolve({"m", {}, ""}, "s").status(), absl::StatusCode::kFailedPrecondition,
              "Serving signature key \"s\" not found.");
}

TEST_F(ApiTest, PredictReturnsAllOutputsOrThoseOfTheFilter) {
  absl::StatusOr<TensorMap> outputs = Predict(good_);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(*outputs, ElementsAre(Key("n"), Key("y")));
  EXPECT_EQ(outputs->at("y").data<float>()[1], 4);
  outputs = Predict(good_, {"y"});
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(*outputs, ElementsAre(Key("y")));
}

TEST_F(ApiTest, FilterNamesOutputsOnce) {
  ExpectError(Predict(good_, {"z"}).status(), absl::StatusCode::kInvalidArgument,
              "output tensor alias not found in signature: z Outputs expected to be in the set {n,y}.");
  ExpectError(Predict(good_, {"y", "y"}).status(), absl::StatusCode::kInvalidArgument,
              "duplicate output tensor alias: y");
  EXPECT_EQ(model_.runs, 0);
}

TEST_F(ApiTest, InputsAreCheckedBeforeARun) {
  EXPECT_EQ(Predict({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Predict({{"x", Floats({1, 3}, {1, 2, 3})}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(model_.runs, 0);
}

// The order of predict_util.cc.
TEST_F(ApiTest, NamesComeBeforeTheFilterAndThatBeforeDtypes) {
  const TensorMap strings = {{"x", MakeTensor(DataType::kString, {1, 2})}};
  ExpectError(Predict({{"a", strings.at("x")}}, {"z"}).status(), absl::StatusCode::kInvalidArgument,
              "input tensor alias not found in signature: a. Inputs expected to be in the set {x}.");
  ExpectError(Predict(strings, {"z"}).status(), absl::StatusCode::kInvalidArgument,
              "output tensor alias not found in signature: z Outputs expected to be in the set {n,y}.");
  ExpectError(Predict(strings).status(), absl::StatusCode::kInvalidArgument,
              "input x is DT_STRING, but the model takes DT_FLOAT");
}

TEST_F(ApiTest, DeadlineGoesToTheRunAndEndsIt) {
  const absl::Time deadline = absl::Now() + absl::Hours(1);
  ASSERT_TRUE(Predict(good_, {}, deadline).ok());
  EXPECT_EQ(model_.last.deadline, deadline);
  EXPECT_EQ(Predict(good_, {}, absl::Now()).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(model_.runs, 1);
}

TEST_F(ApiTest, RunsAreTimed) {
  ASSERT_TRUE(Predict(good_).ok());
  EXPECT_THAT(metrics_.Text(), HasSubstr("runtime_latency"));
}

TEST_F(ApiTest, StatusNamesVersionsAndReasons) {
  auto status = api_.Status({"m", {}, ""});
  ASSERT_TRUE(status.ok()) << status.status();
  ASSERT_EQ(status->model_version_status_size(), 1);
  EXPECT_EQ(status->model_version_status(0).version(), 7);
  EXPECT_EQ(status->model_version_status(0).state(), tensorflow::serving::ModelVersionStatus::AVAILABLE);
  EXPECT_EQ(status->model_version_status(0).status().error_code(), tensorflow::error::OK);
  ExpectError(api_.Status({"x", {}, ""}).status(), absl::StatusCode::kNotFound,
              "Could not find any versions of model x");
  ExpectError(api_.Status({"m", 9, ""}).status(), absl::StatusCode::kNotFound, "Could not find version 9 of model m");
}

TEST_F(ApiTest, MetadataHoldsTheSignatures) {
  auto metadata = api_.Metadata({"m", {}, ""});
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  EXPECT_EQ(metadata->model_spec().version().value(), 7);
  tensorflow::serving::SignatureDefMap signatures;
  ASSERT_TRUE(metadata->metadata().at("signature_def").UnpackTo(&signatures));
  const tensorflow::SignatureDef& signature = signatures.signature_def().at("serving_default");
  EXPECT_EQ(signature.method_name(), "tensorflow/serving/predict");
  const tensorflow::TensorInfo& x = signature.inputs().at("x");
  EXPECT_EQ(x.name(), "x:0");
  EXPECT_EQ(x.dtype(), tensorflow::DT_FLOAT);
  ASSERT_EQ(x.tensor_shape().dim_size(), 2);
  EXPECT_EQ(x.tensor_shape().dim(0).size(), -1);
  EXPECT_TRUE(signature.outputs().at("n").has_tensor_shape());
  EXPECT_EQ(api_.Metadata({"x", {}, ""}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ApiTest, ReloadTakesListsOnly) {
  tensorflow::serving::ReloadConfigRequest request;
  ExpectError(api_.Reload(request, absl::InfiniteFuture()), absl::StatusCode::kInvalidArgument,
              "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
              "supported");
  folder_.File("other/1/model.tflite", "");
  auto& config = *request.mutable_config()->mutable_model_config_list()->add_config();
  config.set_name("other");
  config.set_base_path(folder_ / "other");
  config.set_model_platform("tensorflow");
  const absl::Status status = api_.Reload(request, absl::Now() + absl::Seconds(30));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(api_.Resolve({"other", {}, ""}, "").ok());
  EXPECT_EQ(api_.Resolve({"m", {}, ""}, "").status().code(), absl::StatusCode::kNotFound);
}

// As in TensorFlow Serving's multi_inference.cc, the examples of a request count once, for all its tasks.
TEST_F(ApiTest, ExamplesOfSeveralTasksCountOnce) {
  tensorflow::serving::MultiInferenceRequest request;
  for (const float value : {1.0F, 2.0F}) {
    tensorflow::Example& example = *request.mutable_input()->mutable_example_list()->add_examples();
    (*example.mutable_features()->mutable_feature())["x"].mutable_float_list()->add_value(value);
  }
  for (const char* signature : {"regress", "regress_too"}) {
    tensorflow::serving::InferenceTask& task = *request.add_tasks();
    task.mutable_model_spec()->set_name("m");
    task.mutable_model_spec()->set_signature_name(signature);
    task.set_method_name(kRegressMethod);
  }
  const auto response = api_.MultiInference(request, absl::InfiniteFuture());
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->results(1).regression_result().regressions(1).value(), 4);
  EXPECT_THAT(metrics_.Text(), HasSubstr(":tensorflow:serving:request_example_count_total{model=\"m\"} 2\n"));
}

struct Task {
  std::string model;
  std::string signature;
  std::string method;
};

struct WrongTasks {
  std::vector<Task> tasks;
  absl::Status error;
};

// The order and the texts of multi_inference.cc and multi_inference_helper.cc.
TEST_F(ApiTest, TasksAreCheckedBeforeTheFirstIsRun) {
  const Task good = {"m", "regress", kRegressMethod};
  const WrongTasks table[] = {
      {{}, absl::InvalidArgumentError("ModelSpec has no name specified.")},
      {{{"", "regress", kRegressMethod}}, absl::InvalidArgumentError("ModelSpec has no name specified.")},
      {{{"x", "s", "m"}, {"x", "s", "m"}}, absl::NotFoundError("Servable not found for request: Latest(x)")},
      {{good, {"", "regress_too", kRegressMethod}},
       absl::InvalidArgumentError("Found ModelSpec with an empty model name.")},
      {{good, {"x", "regress_too", kRegressMethod}},
       absl::InvalidArgumentError("All ModelSpecs in a MultiInferenceRequest must access the same model name.")},
      {{good, good}, absl::InvalidArgumentError("Duplicate evaluation of signature: regress")},
      {{good, {"m", "s", "m"}}, absl::InvalidArgumentError("Requested signature not found in model graph: s")},
      {{good, {"m", "", "m"}}, absl::UnimplementedError("Unsupported signature method_name: m")},
      {{good, {"m", "regress_too", kClassifyMethod}},
       absl::FailedPreconditionError("Expected classification signature outputs to contain at least one of "
                                     "\"classes\" or \"scores\". Signature was: {outputs}")},
      {{good, {"m", "classify", kRegressMethod}},
       absl::FailedPreconditionError("No regression outputs found in SignatureDef: {scores}")},
      {{good}, absl::InvalidArgumentError("Input is empty.")},
  };
  for (const WrongTasks& wrong : table) {
    tensorflow::serving::MultiInferenceRequest request;
    for (const Task& from : wrong.tasks) {
      tensorflow::serving::InferenceTask& task = *request.add_tasks();
      task.mutable_model_spec()->set_name(from.model);
      task.mutable_model_spec()->set_signature_name(from.signature);
      task.set_method_name(from.method);
    }
    EXPECT_EQ(api_.MultiInference(request, absl::InfiniteFuture()).status(), wrong.error);
  }
  EXPECT_EQ(model_.runs, 0);
}

// A new version that comes between two tasks must not answer the second.
TEST_F(ApiTest, TheVersionOfTheFirstTaskServesAll) {
  int found = 0;
  const Inference inference(
      [&](const ModelSpec& spec) {
        ++found;
        return catalogue_.Find(spec);
      },
      nullptr);
  tensorflow::serving::MultiInferenceRequest request;
  tensorflow::Example& example = *request.mutable_input()->mutable_example_list()->add_examples();
  (*example.mutable_features()->mutable_feature())["x"].mutable_float_list()->add_value(1);
  for (const char* signature : {"regress", "regress_too"}) {
    tensorflow::serving::InferenceTask& task = *request.add_tasks();
    task.mutable_model_spec()->set_name("m");
    task.mutable_model_spec()->set_signature_name(signature);
    task.set_method_name(kRegressMethod);
  }
  const auto response = inference.MultiInference(request, absl::InfiniteFuture());
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->results(1).model_spec().version().value(), 7);
  EXPECT_EQ(response->results(1).model_spec().signature_name(), "regress_too");
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace ems
