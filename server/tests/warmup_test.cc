// Texts and codes are those of TensorFlow Serving's saved_model_warmup_util.cc and saved_model_warmup.cc.
#include "warmup/warmup.h"

#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <vector>

#include "absl/crc/crc32c.h"
#include "fake_servable.h"
#include "temp_folder.h"
#include "tensorflow_serving/apis/prediction_log.pb.h"
#include "warmup/records.h"

namespace ems {
namespace {

using tensorflow::serving::PredictionLog;
using testing::ElementsAre;
using testing::HasSubstr;

std::string LittleEndian(uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(number >> (8 * i)));
  return text;
}

std::string Checksum(const std::string& data) {
  const auto checksum = static_cast<uint32_t>(absl::ComputeCrc32c(data));
  return LittleEndian((checksum >> 15U | checksum << 17U) + 0xa282ead8U, 4);
}

std::string Record(const std::string& data) {
  const std::string length = LittleEndian(data.size(), 8);
  return length + Checksum(length) + data + Checksum(data);
}

PredictionLog PredictLog() {
  PredictionLog log;
  tensorflow::serving::PredictRequest& request = *log.mutable_predict_log()->mutable_request();
  request.mutable_model_spec()->set_name("<whatever>");
  tensorflow::TensorProto& x = (*request.mutable_inputs())["x"];
  x.set_dtype(tensorflow::DT_FLOAT);
  x.mutable_tensor_shape()->add_dim()->set_size(1);
  x.mutable_tensor_shape()->add_dim()->set_size(2);
  x.add_float_val(1);
  return log;
}

void AddExample(float value, int values, tensorflow::serving::Input* input) {
  tensorflow::Example& example = *input->mutable_example_list()->add_examples();
  for (int i = 0; i < values; ++i) {
    (*example.mutable_features()->mutable_feature())["x"].mutable_float_list()->add_value(value);
  }
}

std::vector<std::string> ReadAll(const std::string& file, absl::Status* status) {
  std::istringstream in(file);
  RecordReader reader(in);
  std::vector<std::string> records;
  std::string record;
  while (true) {
    const absl::StatusOr<bool> found = reader.Next(&record);
    *status = found.status();
    if (!found.ok() || !*found) return records;
    records.push_back(record);
  }
}

// The bytes of tf.io.TFRecordWriter for b"foo" and b"" (TensorFlow 2.21).
TEST(RecordsTest, ReadsWhatTensorFlowWrites) {
  const std::string file(
      "\x03\0\0\0\0\0\0\0\xb0\x99\x49\x0e"
      "foo"
      "\x61\x8a\xbe\xfe"
      "\0\0\0\0\0\0\0\0\x29\x03\x98\x07\xd8\xea\x82\xa2",
      35);
  absl::Status status;
  EXPECT_THAT(ReadAll(file, &status), ElementsAre("foo", ""));
  EXPECT_TRUE(status.ok()) << status;
}

TEST(RecordsTest, EveryCutIsTruncated) {
  const std::string first = Record("first");
  const std::string file = first + Record("second");
  for (size_t size = first.size() + 1; size < file.size(); ++size) {
    absl::Status status;
    EXPECT_THAT(ReadAll(file.substr(0, size), &status), ElementsAre("first"));
    EXPECT_EQ(status, absl::DataLossError("truncated record at 21")) << size;
  }
}

TEST(RecordsTest, EveryChangedByteIsCorrupted) {
  const std::string file = Record("first");
  for (size_t i = 0; i < file.size(); ++i) {
    std::string changed = file;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    absl::Status status;
    ReadAll(changed, &status);
    EXPECT_EQ(status, absl::DataLossError("corrupted record at 0")) << i;
  }
}

// The length's checksum fits; without care the reader would take the memory at once.
TEST(RecordsTest, ALengthBeyondTheFileTakesNoMemory) {
  const std::string length = LittleEndian(uint64_t{1} << 62U, 8);
  absl::Status status;
  ReadAll(length + Checksum(length) + "rest", &status);
  EXPECT_EQ(status, absl::DataLossError("truncated record at 0"));
}

class WarmupTest : public ::testing::Test {
 protected:
  void Write(const std::string& content) { folder_.File(kWarmupFile, content); }
  void Write(const PredictionLog& log) { Write(Record(log.SerializeAsString())); }

  absl::Status Load(int iterations = 1) {
    auto fake = std::make_unique<FakeLoader>();
    fake->model = model_;
    WarmupLoader::Options options;
    options.iterations = iterations;
    options.report = [this](const std::string& folder, const absl::Status& status, absl::Duration latency) {
      EXPECT_EQ(folder, folder_.path());
      EXPECT_GE(latency, absl::ZeroDuration());
      reports_.push_back(status.code());
    };
    options.log = [this](const std::string& line) { lines_.push_back(line); };
    return WarmupLoader(std::move(fake), options).Load({"m", 7}, folder_.path()).status();
  }

  void ExpectFailure(absl::StatusCode code, const std::string& text) {
    const absl::Status status = Load();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
    EXPECT_THAT(std::string(status.message()), HasSubstr(folder_ / kWarmupFile));
    EXPECT_THAT(reports_, ElementsAre(code));
  }

  TempFolder folder_;
  std::shared_ptr<FakeModel> model_ = std::make_shared<FakeModel>();
  std::vector<absl::StatusCode> reports_;
  std::vector<std::string> lines_;
};

TEST_F(WarmupTest, NothingRunsWithoutTheFile) {
  EXPECT_TRUE(Load().ok());
  EXPECT_EQ(model_->runs, 0);
  EXPECT_TRUE(reports_.empty());
}

TEST_F(WarmupTest, RunsEachRecordAsOftenAsAsked) {
  const std::string record = Record(PredictLog().SerializeAsString());
  Write(record + record);
  EXPECT_TRUE(Load(3).ok());
  EXPECT_EQ(model_->runs, 6);
  EXPECT_THAT(reports_, ElementsAre(absl::StatusCode::kOk));
  EXPECT_THAT(lines_, ElementsAre(HasSubstr("model m version 7: warm-up with 2 requests took ")));
}

TEST_F(WarmupTest, RunsEveryKindOfRequest) {
  std::string file = Record(PredictLog().SerializeAsString());
  PredictionLog log;
  for (int i = 0; i < 2; ++i) *log.mutable_predict_streamed_log()->add_request() = PredictLog().predict_log().request();
  file += Record(log.SerializeAsString());
  log.mutable_classify_log()->mutable_request()->mutable_model_spec()->set_signature_name("classify");
  AddExample(1, 2, log.mutable_classify_log()->mutable_request()->mutable_input());
  file += Record(log.SerializeAsString());
  log.mutable_regress_log()->mutable_request()->mutable_model_spec()->set_signature_name("regress");
  AddExample(1, 1, log.mutable_regress_log()->mutable_request()->mutable_input());
  file += Record(log.SerializeAsString());
  tensorflow::serving::MultiInferenceRequest& multi = *log.mutable_multi_inference_log()->mutable_request();
  AddExample(1, 1, multi.mutable_input());
  multi.add_tasks()->mutable_model_spec()->set_name("m");
  multi.mutable_tasks(0)->mutable_model_spec()->set_signature_name("regress");
  multi.mutable_tasks(0)->set_method_name(kRegressMethod);
  file += Record(log.SerializeAsString());
  Write(file);
  EXPECT_EQ(Load(), absl::OkStatus());
  EXPECT_EQ(model_->runs, 6);
}

TEST_F(WarmupTest, ABrokenFileIsNamed) {
  const std::string record = Record(PredictLog().SerializeAsString());
  Write(record + "noise in place of a record");
  ExpectFailure(absl::StatusCode::kDataLoss, ": record 2: corrupted record at " + std::to_string(record.size()) +
                                                 ". Please verify your warmup data is in TFRecord format.");
}

TEST_F(WarmupTest, ARecordThatDoesNotParse) {
  Write(Record("\xff"));
  ExpectFailure(absl::StatusCode::kInvalidArgument, "Failed to parse warmup record: 1 from ");
}

TEST_F(WarmupTest, TheThousandAndFirstRecordIsRefused) {
  const std::string record = Record(PredictLog().SerializeAsString());
  std::string file;
  for (int i = 0; i < 1000; ++i) file += record;
  Write(file);
  EXPECT_TRUE(Load().ok());
  reports_.clear();
  Write(file + record);
  ExpectFailure(absl::StatusCode::kInvalidArgument, "Number of warmup records exceeds the maximum (1000) at ");
}

TEST_F(WarmupTest, RequestsAreCheckedAsClientsAre) {
  PredictionLog log = PredictLog();
  (*log.mutable_predict_log()->mutable_request()->mutable_inputs())["x"]
      .mutable_tensor_shape()
      ->mutable_dim(1)
      ->set_size(3);
  Write(Record(PredictLog().SerializeAsString()) + Record(log.SerializeAsString()));
  ExpectFailure(absl::StatusCode::kInvalidArgument, ": record 2: input x has shape [1,3], but the model takes [?,2]");
}

TEST_F(WarmupTest, AnUnknownSignature) {
  PredictionLog log = PredictLog();
  log.mutable_predict_log()->mutable_request()->mutable_model_spec()->set_signature_name("s");
  Write(log);
  ExpectFailure(absl::StatusCode::kFailedPrecondition, ": record 1: Serving signature key \"s\" not found.");
}

TEST_F(WarmupTest, ARunThatFails) {
  model_->result = absl::InternalError("a kernel failed");
  Write(PredictLog());
  ExpectFailure(absl::StatusCode::kInternal, ": record 1: a kernel failed");
}

TEST_F(WarmupTest, LogsWithoutARequestForAModel) {
  PredictionLog log;
  log.mutable_session_run_log();
  Write(log);
  ExpectFailure(absl::StatusCode::kUnimplemented, "Unsupported log_type for warmup: 5");
  reports_.clear();
  Write(PredictionLog());
  ExpectFailure(absl::StatusCode::kUnimplemented, "Unsupported log_type for warmup: 0");
}

// The fields of session_run_log are trimmed from the descriptor; a client's record of it parses all the same.
TEST_F(WarmupTest, ASessionRunLogOfAClient) {
  Write(Record(std::string("\x2a\x06\x0a\x04\x0a\x02\x0a\0", 8)));  // session_run_log { request { model_spec {...} } }
  ExpectFailure(absl::StatusCode::kUnimplemented, "Unsupported log_type for warmup: 5");
}

TEST_F(WarmupTest, AFolderInPlaceOfTheFile) {
  folder_.File(std::string(kWarmupFile) + "/x", "");
  ExpectFailure(absl::StatusCode::kInvalidArgument, " is a folder");
}

TEST_F(WarmupTest, ALoadThatFailsIsNotWarmedUp) {
  folder_.File("bad", "");
  Write(PredictLog());
  EXPECT_EQ(Load(), absl::InvalidArgumentError("the model is cut"));
  EXPECT_TRUE(reports_.empty());
}

}  // namespace
}  // namespace ems
