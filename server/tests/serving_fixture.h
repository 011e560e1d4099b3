// A catalogue with the fake model `m`, version 7, for the tests of what stands on it.
#ifndef EMS_TESTS_SERVING_FIXTURE_H_
#define EMS_TESTS_SERVING_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "api/api.h"
#include "catalogue/catalogue.h"
#include "fake_servable.h"
#include "temp_folder.h"

namespace ems {

class ServingFixture : public testing::Test {
 protected:
  ServingFixture() {
    folder_.File("m/7/model.tflite", "");
    ModelConfig config;
    config.name = "m";
    config.base_path = folder_ / "m";
    config.labels = {{"stable", 7}};
    status_ = catalogue_.SetConfig({config}, absl::Now() + absl::Seconds(30));
  }
  void SetUp() override { ASSERT_TRUE(status_.ok()) << status_; }

  static Catalogue::Options CatalogueOptions() {
    Catalogue::Options options;
    options.poll = absl::Milliseconds(20);
    options.max_load_retries = 0;
    options.allow_labels_for_unavailable_versions = true;  // those of the first configuration
    return options;
  }

  TempFolder folder_;
  FakeLoader loader_;
  Metrics metrics_;
  Catalogue catalogue_{CatalogueOptions(), loader_};
  Api api_{catalogue_, metrics_};
  FakeModel& model_ = *loader_.model;
  absl::Status status_;
};

}  // namespace ems

#endif  // EMS_TESTS_SERVING_FIXTURE_H_
