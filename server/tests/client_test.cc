// The client: inputs from files, and whole command lines against a server that answers as TensorFlow Serving does.
#include "client/client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "client/input.h"
#include "client/numbers.h"
#include "client/output.h"
#include "tensorflow_serving/apis/model_service.grpc.pb.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace ems {
namespace {

namespace tfs = tensorflow::serving;
using testing::HasSubstr;

// A file that is gone with the test.
class File {
 public:
  explicit File(const std::string& content) {
    char name[] = "/tmp/ems-client-XXXXXX";
    close(mkstemp(name));
    path_ = name;
    std::ofstream(path_, std::ios::binary) << content;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { unlink(path_.c_str()); }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string Numpy(const std::string& descr, const std::string& shape, const std::string& data) {
  const std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n";
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

std::vector<double> Numbers(const Tensor& tensor) {
  std::vector<double> values;
  for (int64_t i = 0; i < *NumElements(tensor.shape); ++i) values.push_back(Number(tensor, static_cast<size_t>(i)));
  return values;
}

TEST(Input, ZerosHaveTheSmallestShape) {
  const auto tensor = ReadInput({DataType::kInt16, {-1, 2}, ""}, "zeros");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape, (Shape{1, 2}));
  EXPECT_EQ(tensor->bytes, std::string(4, '\0'));
}

TEST(Input, RawBytesAreRows) {
  const File file("abcdef");
  const auto tensor = ReadInput({DataType::kUint8, {-1, 3}, ""}, file.path());
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape, (Shape{2, 3}));
  EXPECT_EQ(tensor->bytes, "abcdef");
  const auto fixed = ReadInput({DataType::kUint8, {1, 3}, ""}, file.path());
  EXPECT_EQ(fixed.status(), absl::InvalidArgumentError("expected DT_UINT8 [1,3], the input has 6 bytes instead of 3"));
}

TEST(Input, AFileThatCannotBeReadIsNamedWithTheReason) {
  EXPECT_EQ(ReadInput({DataType::kUint8, {1, 3}, ""}, "/no/such/file").status(),
            absl::NotFoundError("cannot read /no/such/file: No such file or directory"));
  EXPECT_EQ(ReadInput({DataType::kUint8, {1, 3}, ""}, "/tmp").status(),
            absl::NotFoundError("cannot read /tmp: Is a directory"));
}

TEST(Input, AFileIsOneString) {
  const File file(std::string("P2 \0", 4));
  const auto tensor = ReadInput({DataType::kString, {-1}, ""}, file.path());
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->strings, (std::vector<std::string>{std::string("P2 \0", 4)}));
}

TEST(Input, NumpyArraysKeepTheirShapeAndBecomeTheModelsType) {
  const File file(Numpy("<i2", "(2, 2)", std::string("\x01\x00\xfe\xff\x03\x00\x00\x00", 8)));
  const auto tensor = ReadInput({DataType::kFloat, {-1, 2}, ""}, file.path());
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape, (Shape{2, 2}));
  EXPECT_EQ(Numbers(*tensor), (std::vector<double>{1, -2, 3, 0}));
  const auto batched = ReadInput({DataType::kInt16, {-1, 2, 2, 1}, ""}, file.path());
  ASSERT_TRUE(batched.ok()) << batched.status();
  EXPECT_EQ(batched->shape, (Shape{1, 2, 2, 1}));
  EXPECT_EQ(ReadInput({DataType::kUint8, {2, 2}, ""}, file.path()).status(),
            absl::InvalidArgumentError("the value -2 is no DT_UINT8; for a quantized model, save "
                                       "numpy.round(values / scale) + zero_point"));
}

TEST(Input, ABrokenNumpyArrayIsAnError) {
  const TensorSpec spec{DataType::kFloat, {-1}, ""};
  const std::string whole = Numpy("<f4", "(2,)", std::string(8, '\0'));
  for (size_t length = 6; length < whole.size(); ++length) {
    const File cut(whole.substr(0, length));
    EXPECT_FALSE(ReadInput(spec, cut.path()).ok()) << length;
  }
  EXPECT_FALSE(ReadInput(spec, File(Numpy("<c8", "(1,)", std::string(8, '\0'))).path()).ok());
  EXPECT_FALSE(ReadInput(spec, File(Numpy("<f4", "(-2,)", std::string(8, '\0'))).path()).ok());
  EXPECT_FALSE(ReadInput(spec, File(Numpy("<f4", "(4294967296, 4294967296, 4)", std::string(8, '\0'))).path()).ok());
}

TEST(Input, PixelsAreBroughtToTheModelsType) {
  const File plain("P2\n# made by hand\n2 1 16\n0 16\n");
  const auto int8 = ReadInput({DataType::kInt8, {1, 1, 2, 1}, ""}, plain.path());
  ASSERT_TRUE(int8.ok()) << int8.status();
  EXPECT_EQ(Numbers(*int8), (std::vector<double>{-128, 127}));
  const auto real = ReadInput({DataType::kFloat, {-1, -1, -1, 1}, ""}, plain.path());
  ASSERT_TRUE(real.ok()) << real.status();
  EXPECT_EQ(real->shape, (Shape{1, 1, 2, 1}));
  EXPECT_EQ(Numbers(*real), (std::vector<double>{0, 1}));
  const File colour("P6 1 1 255\n\x01\x02\x03");
  const auto uint8 = ReadInput({DataType::kUint8, {1, 1, 1, 3}, ""}, colour.path());
  ASSERT_TRUE(uint8.ok()) << uint8.status();
  EXPECT_EQ(Numbers(*uint8), (std::vector<double>{1, 2, 3}));
  EXPECT_THAT(ReadInput({DataType::kUint8, {1, 8, 8, 1}, ""}, plain.path()).status().message(),
              HasSubstr("an image of shape [1,1,2,1]; scale the image first"));
}

TEST(Input, APhotographGoesToTheServerAsItIs) {
  for (const std::string& content : {std::string("\xFF\xD8\xFF\xE1 and more"), std::string("\x89PNG\r\n\x1A\n")}) {
    const File file(content);
    const auto tensor = ReadInput({DataType::kUint8, {1, 4, 4, 3}, ""}, file.path());
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->dtype, DataType::kString);
    EXPECT_EQ(tensor->shape, Shape{1});
    EXPECT_EQ(tensor->strings, std::vector<std::string>{content});
    // Bytes of the input's size are pixels, whatever they begin with.
    const auto raw = ReadInput({DataType::kUint8, {1, 1, static_cast<int64_t>(content.size()), 1}, ""}, file.path());
    EXPECT_EQ(raw->bytes, content);
    EXPECT_FALSE(ReadInput({DataType::kUint8, {1, 48}, ""}, file.path()).ok());
  }
}

TEST(Input, ABrokenImageIsAnError) {
  const TensorSpec spec{DataType::kFloat, {1, -1, -1, 1}, ""};
  for (const char* content :
       {"P5 2 2 255\nabc", "P2 2 1 16\n3 17\n", "P2 0 1 16\n", "P2 99999 99999 255\n1\n", "P2 \n\n"}) {
    EXPECT_FALSE(ReadInput(spec, File(content).path()).ok()) << content;
  }
}

TEST(Numbers, OnlyValuesThatTheTypeHoldsAreWritten) {
  Tensor tensor = MakeTensor(DataType::kInt64, {1});
  EXPECT_TRUE(SetNumber(-0x1p63, 0, &tensor).ok());
  EXPECT_EQ(Number(tensor, 0), -0x1p63);
  EXPECT_FALSE(SetNumber(0x1p63, 0, &tensor).ok());
  EXPECT_FALSE(SetNumber(0.5, 0, &tensor).ok());
  EXPECT_FALSE(SetNumber(std::numeric_limits<double>::quiet_NaN(), 0, &tensor).ok());
  Tensor half = MakeTensor(DataType::kHalf, {1});
  EXPECT_TRUE(SetNumber(1.5, 0, &half).ok());
  EXPECT_EQ(Number(half, 0), 1.5);
}

TEST(Numbers, AreTheRealPartsOfComplexOnes) {
  Tensor complex = MakeTensor(DataType::kComplex64, {2});
  EXPECT_TRUE(SetNumber(1, 0, &complex).ok());
  EXPECT_TRUE(SetNumber(2, 1, &complex).ok());
  const float* parts = complex.data<float>();
  EXPECT_THAT(std::vector<float>(parts, parts + 4), testing::ElementsAre(1, 0, 2, 0));
}

TEST(Output, ComplexNumbersHaveTwoParts) {
  Tensor tensor = MakeTensor(DataType::kComplex64, {2});
  const float values[] = {1, 2, -0.5, -1e10};
  std::copy(std::begin(values), std::end(values), tensor.data<float>());
  Tensor large = MakeTensor(DataType::kComplex128, {});
  large.data<double>()[1] = std::numeric_limits<double>::quiet_NaN();
  std::ostringstream out;
  PrintTensor("c", tensor, 1, out);
  PrintTensor("d", large, 0, out);
  EXPECT_EQ(out.str(), "c: DT_COMPLEX64 [2]\n  0 1+2i\n  1 -0.5-1e+10i\nd: DT_COMPLEX128 []\n  0 0+nani\n");
}

TEST(Output, TheGreatestOfEachRowComeFirst) {
  Tensor tensor = MakeTensor(DataType::kFloat, {2, 3});
  const float values[] = {1, 5, 2.5, std::numeric_limits<float>::quiet_NaN(), -1, -2};
  std::copy(std::begin(values), std::end(values), tensor.data<float>());
  std::ostringstream out;
  PrintTensor("scores", tensor, 2, out);
  EXPECT_EQ(out.str(), "scores: DT_FLOAT [2,3]\n  1 5\n  2 2.5\n\n  1 -1\n  2 -2\n");
}

TEST(Output, EveryElementOfAnyType) {
  Tensor text = MakeTensor(DataType::kString, {1});
  text.strings = {std::string("a\n\0", 3)};
  Tensor big = MakeTensor(DataType::kInt64, {});
  big.data<int64_t>()[0] = std::numeric_limits<int64_t>::max();
  std::ostringstream out;
  PrintTensor("t", text, 0, out);
  PrintTensor("b", big, 0, out);
  PrintTensor("none", MakeTensor(DataType::kFloat, {0, 3}), 0, out);
  PrintTensor("flat", MakeTensor(DataType::kFloat, {3, 0}), 0, out);
  EXPECT_EQ(out.str(),
            "t: DT_STRING [1]\n  0 \"a\\n\\000\"\nb: DT_INT64 []\n  0 9223372036854775807\nnone: DT_FLOAT [0,3]\n"
            "flat: DT_FLOAT [3,0]\n");
}

// Serves `echo`, whose output y is its input x (DT_UINT8 [?,2]).
class FakePrediction final : public tfs::PredictionService::Service {
  grpc::Status GetModelMetadata(grpc::ServerContext* /*context*/, const tfs::GetModelMetadataRequest* request,
                                tfs::GetModelMetadataResponse* response) override {
    if (request->model_spec().name() != "echo") return {grpc::StatusCode::NOT_FOUND, "Servable not found"};
    EXPECT_THAT(request->metadata_field(), testing::ElementsAre("signature_def"));
    tfs::SignatureDefMap map;
    auto& signature = (*map.mutable_signature_def())["serving_default"];
    signature.set_method_name("tensorflow/serving/predict");
    for (auto* info : {&(*signature.mutable_inputs())["x"], &(*signature.mutable_outputs())["y"]}) {
      info->set_dtype(tensorflow::DT_UINT8);
      for (const int size : {-1, 2}) info->mutable_tensor_shape()->add_dim()->set_size(size);
    }
    (*response->mutable_metadata())["signature_def"].PackFrom(map);
    return grpc::Status::OK;
  }
  grpc::Status Predict(grpc::ServerContext* /*context*/, const tfs::PredictRequest* request,
                       tfs::PredictResponse* response) override {
    if (request->model_spec().version().value() == 9) return {grpc::StatusCode::INVALID_ARGUMENT, "no nines"};
    (*response->mutable_outputs())["y"] = request->inputs().at("x");
    return grpc::Status::OK;
  }
};

class FakeModels final : public tfs::ModelService::Service {
  grpc::Status GetModelStatus(grpc::ServerContext* /*context*/, const tfs::GetModelStatusRequest* request,
                              tfs::GetModelStatusResponse* response) override {
    EXPECT_EQ(request->model_spec().version_label(), "stable");
    auto* version = response->add_model_version_status();
    version->set_version(3);
    version->set_state(tfs::ModelVersionStatus::END);
    version->mutable_status()->set_error_message("too large");
    return grpc::Status::OK;
  }
};

class CommandLine : public testing::Test {
 protected:
  CommandLine() {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&prediction_);
    builder.RegisterService(&models_);
    server_ = builder.BuildAndStart();
  }

  ClientExit Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"edge_model_client", "--server=127.0.0.1:" + std::to_string(port_)});
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    out_.str("");
    err_.str("");
    return ClientMain(static_cast<int>(argv.size()), argv.data(), out_, err_);
  }

  FakePrediction prediction_;
  FakeModels models_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandLine, PredictSendsAFile) {
  const File file("ab");
  EXPECT_EQ(Run({"predict", "echo", "--input", "x=" + file.path(), "--top=1"}), kClientOk) << err_.str();
  EXPECT_EQ(out_.str(), "y: DT_UINT8 [1,2]\n  1 98\n");
  EXPECT_EQ(Run({"predict", "echo", "--input", file.path()}), kClientOk) << err_.str();
  EXPECT_EQ(out_.str(), "y: DT_UINT8 [1,2]\n  0 97\n  1 98\n");
  EXPECT_EQ(Run({"predict", "echo"}), kClientOk) << err_.str();
  EXPECT_EQ(out_.str(), "y: DT_UINT8 [1,2]\n  0 0\n  1 0\n");
}

TEST_F(CommandLine, WhatDoesNotFitIsSaidBeforeTheServerIsAsked) {
  const File file("abc");
  EXPECT_EQ(Run({"predict", "echo", "--input", file.path()}), kClientInput);
  EXPECT_EQ(err_.str(), "edge_model_client: input x: expected DT_UINT8 [?,2], the input has 3 bytes instead of 2\n");
  EXPECT_EQ(Run({"predict", "echo", "--input=x=zeros", "--input=z=zeros"}), kClientInput);
  EXPECT_THAT(err_.str(), HasSubstr("input z=zeros: expected NAME=SOURCE; the model has the inputs x"));
  EXPECT_EQ(Run({"predict", "echo", "--signature=other"}), kClientInput);
  EXPECT_EQ(Run({"predict", "echo", "--input=/tmp"}), kClientInput);
  EXPECT_EQ(err_.str(), "edge_model_client: input x: cannot read /tmp: Is a directory\n");
}

TEST_F(CommandLine, TheServersErrorIsPrintedWithItsCode) {
  EXPECT_EQ(Run({"predict", "other"}), kClientRefused);
  EXPECT_EQ(err_.str(), "edge_model_client: NOT_FOUND: Servable not found\n");
  EXPECT_EQ(Run({"predict", "echo", "--version=9"}), kClientRefused);
  EXPECT_EQ(err_.str(), "edge_model_client: INVALID_ARGUMENT: no nines\n");
}

TEST_F(CommandLine, StatusMetadataAndHealth) {
  EXPECT_EQ(Run({"status", "echo", "--label=stable"}), kClientOk) << err_.str();
  EXPECT_EQ(out_.str(), "echo version 3: END: too large\n");
  EXPECT_EQ(Run({"metadata", "echo"}), kClientOk) << err_.str();
  EXPECT_EQ(out_.str(),
            "serving_default (tensorflow/serving/predict)\n  input x: DT_UINT8 [?,2]\n  output y: DT_UINT8 [?,2]\n");
  EXPECT_EQ(Run({"health"}), kClientOk) << err_.str();
  EXPECT_EQ(out_.str(), "SERVING\n");
  server_->GetHealthCheckService()->SetServingStatus(false);
  EXPECT_EQ(Run({"health"}), kClientRefused);
  EXPECT_EQ(out_.str(), "NOT_SERVING\n");
}

TEST_F(CommandLine, NoServerIsAnExitCodeOfItsOwn) {
  server_->Shutdown();
  server_ = nullptr;
  EXPECT_EQ(Run({"--timeout=5", "health"}), kClientUnreachable);
  EXPECT_THAT(err_.str(), HasSubstr("no answer from 127.0.0.1:"));
  EXPECT_THAT(err_.str(), HasSubstr("systemctl status edge-model-server"));
}

TEST_F(CommandLine, ATimeoutHasALimit) {
  EXPECT_EQ(Run({"--timeout=1e6", "health"}), kClientOk) << err_.str();
  EXPECT_EQ(Run({"--timeout=1e10", "health"}), kClientUsage);
  EXPECT_THAT(err_.str(), HasSubstr("--timeout"));
  EXPECT_EQ(Run({"--timeout=0", "health"}), kClientUsage);
}

TEST_F(CommandLine, AWrongFlagOrCertificateIsUsage) {
  EXPECT_EQ(Run({"predict"}), kClientUsage);
  EXPECT_EQ(Run({"predict", "echo", "--label=a", "--version=1"}), kClientUsage);
  EXPECT_EQ(Run({"--ca=/no/such.pem", "health"}), kClientUsage);
  EXPECT_EQ(err_.str(),
            "edge_model_client: --ca, --cert and --key take PEM files: cannot read /no/such.pem: No such file or "
            "directory\n");
  EXPECT_EQ(Run({"--key=/tmp", "health"}), kClientUsage);
  EXPECT_THAT(err_.str(), HasSubstr("cannot read /tmp: Is a directory"));
  EXPECT_EQ(Run({"--cert", File("").path(), "health"}), kClientUsage);
  EXPECT_THAT(err_.str(), HasSubstr(" is empty"));
  EXPECT_EQ(Run({"--version"}), kClientOk);
  EXPECT_EQ(out_.str(), "edge-model-server 0.1.0\n");
}

}  // namespace
}  // namespace ems
