// predict_cpu MODEL.tflite ADDRESS PID [REQUESTS]: prints the CPU time that a server spends on a Predict, and that of a
// run of the same model in a bare interpreter loop. The server serves the model as "default"; its process is PID.
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "codec/tensor_proto.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"
#include "tflite/model.h"
#include "tflite/runner.h"

namespace {

// Returns the CPU time of a process in microseconds; its resolution is 10 ms.
double CpuOf(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream words(line.substr(line.rfind(')') + 2));
  std::string word;
  for (int i = 0; i < 11; ++i) words >> word;
  int64_t user = 0;
  int64_t system = 0;
  words >> user >> system;
  return static_cast<double>(user + system) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double OwnCpu() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

double Bare(ems::TfliteRunner& runner, const ems::TensorMap& inputs, int requests) {
  const double start = OwnCpu();
  for (int i = 0; i < requests; ++i) {
    if (!runner.Run(ems::kDefaultSignature, inputs).ok()) std::exit(1);
  }
  return (OwnCpu() - start) / requests;
}

double Served(const std::string& address, const std::string& pid, const ems::TensorMap& inputs, int requests) {
  const auto stub =
      tensorflow::serving::PredictionService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  tensorflow::serving::PredictRequest request;
  request.mutable_model_spec()->set_name("default");
  for (const auto& [name, tensor] : inputs) ems::ToProto(tensor, true, &(*request.mutable_inputs())[name]);
  double start = 0;
  for (int i = -requests / 10; i < requests; ++i) {
    if (i == 0) start = CpuOf(pid);
    grpc::ClientContext context;
    tensorflow::serving::PredictResponse response;
    const grpc::Status status = stub->Predict(&context, request, &response);
    if (!status.ok()) {
      std::cerr << status.error_message() << '\n';
      std::exit(1);
    }
  }
  return (CpuOf(pid) - start) / requests;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: predict_cpu MODEL.tflite ADDRESS PID [REQUESTS]\n";
    return 2;
  }
  const int requests = argc > 4 ? std::atoi(argv[4]) : 20000;
  const auto model = ems::TfliteModel::Open(argv[1]);
  if (!model.ok()) {
    std::cerr << model.status() << '\n';
    return 1;
  }
  const auto runner = ems::TfliteRunner::Create(*model, {});
  const ems::TensorMap inputs = ems::ZeroInputs((*model)->signatures().at(ems::kDefaultSignature));
  const double bare = Bare(**runner, inputs, requests);
  const double served = Served(argv[2], argv[3], inputs, requests);
  std::cout << "bare interpreter: " << bare << " us; server: " << served << " us; more: " << served - bare << " us\n";
  return 0;
}
