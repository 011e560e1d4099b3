#include "catalogue/config.h"

#include <gmock/gmock.h>

#include <string>

#include "temp_folder.h"

namespace ems {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

// A model with these further fields.
std::string Config(const std::string& fields) {
  return "model_config_list { config { name: 'x' base_path: '/m/x' model_platform: 'tensorflow' " + fields + " } }";
}

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<ModelConfigs> configs = ParseModelConfig(text, "models.config");
  EXPECT_EQ(configs.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(configs.status().message());
}

TEST(ModelConfigFile, ReadsModelsPoliciesAndLabels) {
  const TempFolder folder;
  const std::string path = folder.File("models.config", R"(
    # As in TensorFlow Serving's documents.
    model_config_list {
      config {
        name: "a" base_path: "/m/a" model_platform: "tensorflow"
        model_version_policy { specific { versions: 42 versions: 43 } }
        version_labels { key: "stable" value: 42 }
        version_labels { key: "canary" value: 43 }
      }
      config { name: "b" base_path: "/m/b" model_platform: "tensorflow" model_version_policy { all {} } }
      config { name: "c" base_path: "/m/c" model_platform: "tensorflow" model_version_policy { latest { num_versions: 3 } } }
      config { name: "d" base_path: "/m/d" model_type: TENSORFLOW }
    })");
  const absl::StatusOr<ModelConfigs> configs = ReadModelConfigFile(path);
  ASSERT_TRUE(configs.ok()) << configs.status();
  ASSERT_EQ(configs->size(), 4);
  EXPECT_EQ((*configs)[0].name, "a");
  EXPECT_EQ((*configs)[0].base_path, "/m/a");
  EXPECT_EQ((*configs)[0].policy.kind, VersionPolicy::Kind::kSpecific);
  EXPECT_THAT((*configs)[0].policy.specific, ElementsAre(42, 43));
  EXPECT_THAT((*configs)[0].labels, ElementsAre(Pair("canary", 43), Pair("stable", 42)));
  EXPECT_EQ((*configs)[1].policy.kind, VersionPolicy::Kind::kAll);
  EXPECT_EQ((*configs)[2].policy.latest, 3);
  EXPECT_EQ((*configs)[3].policy.kind, VersionPolicy::Kind::kLatest);
  EXPECT_EQ((*configs)[3].policy.latest, 1);
}

// file_system_storage_path_source.cc: at least one version.
TEST(ModelConfigFile, CountsZeroLatestVersionsAsOne) {
  const auto configs = ParseModelConfig(Config("model_version_policy { latest { num_versions: 0 } }"), "f");
  ASSERT_TRUE(configs.ok());
  EXPECT_EQ(configs->at(0).policy.latest, 1);
}

TEST(ModelConfigFile, ServesNoModelOnlyWhenTheFileSaysSo) {
  EXPECT_TRUE(ParseModelConfig("model_config_list { }", "f").value().empty());
  EXPECT_THAT(ErrorOf(""), HasSubstr("model_config_list is missing"));
}

TEST(ModelConfigFile, NamesLineAndColumnOfWhatDoesNotParse) {
  EXPECT_THAT(ErrorOf("model_config_list {\n  config {\n    name \"x\"\n  }\n}"),
              HasSubstr("models.config: line 3, column 10: "));
  EXPECT_THAT(ErrorOf("model_config_list {"), HasSubstr("models.config: line 1, column 20: "));
}

TEST(ModelConfigFile, RefusesUnknownFields) {
  EXPECT_THAT(ErrorOf(Config("threads: 4")), AllOf(HasSubstr("line 1, column "), HasSubstr("\"threads\"")));
}

TEST(ModelConfigFile, RefusesWhatIsNotSupported) {
  EXPECT_THAT(ErrorOf("custom_model_config { }"), HasSubstr("write model_config_list"));
  EXPECT_THAT(ErrorOf(Config("logging_config { }")), HasSubstr("model \"x\": logging_config is not supported"));
}

TEST(ModelConfigFile, AsksForThePlatform) {
  const std::string model = "model_config_list { config { name: 'x' base_path: '/m' ";
  EXPECT_THAT(ErrorOf(model + "} }"), HasSubstr("add model_platform: \"tensorflow\""));
  EXPECT_THAT(ErrorOf(model + "model_platform: 'tflite' } }"), HasSubstr("platform \"tflite\" is not supported"));
  EXPECT_THAT(ErrorOf(model + "model_type: OTHER } }"), HasSubstr("platform model_type 2 is not supported"));
  EXPECT_THAT(ErrorOf(Config("model_type: TENSORFLOW")), HasSubstr("remove model_type"));
}

TEST(ModelConfigFile, AsksForAnAbsoluteFolder) {
  const auto with = [](const std::string& path) {
    return "model_config_list { config { name: 'x' model_platform: 'tensorflow' base_path: '" + path + "' } }";
  };
  EXPECT_THAT(ErrorOf(with("")), HasSubstr("base_path is missing"));
  EXPECT_THAT(ErrorOf(with("models/x")), HasSubstr("expected base_path to be an absolute path"));
  EXPECT_THAT(ErrorOf(with("gs://bucket/x")), HasSubstr("is not on this machine"));
  EXPECT_THAT(ErrorOf(with("s3://bucket/x")), HasSubstr("is not on this machine"));
}

TEST(ModelConfigFile, RefusesNamesThatAreMissingOrTwice) {
  EXPECT_THAT(ErrorOf("model_config_list { config { base_path: '/m/y' } }"),
              HasSubstr("the model at \"/m/y\" has no name"));
  const std::string model = "config { name: 'x' base_path: '/m' model_platform: 'tensorflow' }";
  EXPECT_THAT(ErrorOf("model_config_list { " + model + model + " }"),
              HasSubstr("Illegal to list model x multiple times in config list"));
}

TEST(ModelConfigFile, RefusesPoliciesAndLabelsThatCannotBe) {
  EXPECT_THAT(ErrorOf(Config("model_version_policy { specific { } }")), HasSubstr("names no version"));
  EXPECT_THAT(ErrorOf(Config("model_version_policy { specific { versions: 1 } } version_labels { key: 'l' value: 2 }")),
              HasSubstr("label \"l\" is for version 2"));
  EXPECT_THAT(ErrorOf(Config("version_labels { key: '' value: 2 }")), HasSubstr("label is empty"));
}

TEST(ModelConfigFile, TellsWhyAFileCannotBeRead) {
  const TempFolder folder;
  const absl::Status missing = ReadModelConfigFile(folder / "none").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("cannot read " + (folder / "none")));
  EXPECT_FALSE(ReadModelConfigFile(folder.Folder("folder")).ok());
  EXPECT_THAT(std::string(ReadModelConfigFile(folder.File("empty", "")).status().message()), HasSubstr("is missing"));
}

TEST(SingleModel, IsCheckedAsTheFileIs) {
  const auto configs = SingleModel("x", "/m/x");
  ASSERT_TRUE(configs.ok());
  EXPECT_EQ(configs->at(0).name, "x");
  EXPECT_EQ(configs->at(0).base_path, "/m/x");
  EXPECT_EQ(SingleModel("x", "m/x").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ems
