// TensorFlow Serving's two services, on Api.
#ifndef EMS_GRPC_SERVICES_H_
#define EMS_GRPC_SERVICES_H_

#include "api/api.h"
#include "grpc/call_threads.h"
#include "tensorflow_serving/apis/model_service.grpc.pb.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace ems {

// Returns a status as clients get it; a text beyond 1024 characters is cut, as in TensorFlow Serving.
grpc::Status ToGrpc(const absl::Status& status);

class PredictionService final {
 public:
  PredictionService(Api& api, bool as_tensor_content) : api_(api), as_tensor_content_(as_tensor_content) {}

  grpc::Service* service() { return &service_; }
  // Takes calls from now on. The object must outlive the threads.
  void Serve(CallThreads& threads);

 private:
  grpc::Status Predict(const tensorflow::serving::PredictRequest& request, absl::Time deadline,
                       tensorflow::serving::PredictResponse* response) const;
  absl::Status Predict(const tensorflow::serving::PredictRequest& request, const Target& target, absl::Time deadline,
                       tensorflow::serving::PredictResponse* response) const;
  grpc::Status MultiInference(const tensorflow::serving::MultiInferenceRequest& request, absl::Time deadline,
                              tensorflow::serving::MultiInferenceResponse* response) const;
  grpc::Status GetModelMetadata(const tensorflow::serving::GetModelMetadataRequest& request,
                                tensorflow::serving::GetModelMetadataResponse* response) const;

  template <typename Request, typename Response>
  using ExamplesCall = absl::StatusOr<Response> (Api::*)(const Request& request, absl::Time deadline) const;
  template <typename Request, typename Response>
  grpc::Status OnExamples(const Request& request, absl::Time deadline, Response* response,
                          ExamplesCall<Request, Response> call, const char* name) const;
  // Returns the name of a model that is served, else an empty text.
  std::string KnownName(const tensorflow::serving::ModelSpec& spec) const;

  Api& api_;
  bool as_tensor_content_;
  tensorflow::serving::PredictionService::AsyncService service_;
};

class ModelService final {
 public:
  explicit ModelService(Api& api) : api_(api) {}

  grpc::Service* service() { return &service_; }
  // Takes calls from now on. The object must outlive the threads.
  void Serve(CallThreads& threads);

 private:
  grpc::Status GetModelStatus(const tensorflow::serving::GetModelStatusRequest& request,
                              tensorflow::serving::GetModelStatusResponse* response) const;
  grpc::Status HandleReloadConfigRequest(const tensorflow::serving::ReloadConfigRequest& request, absl::Time deadline,
                                         tensorflow::serving::ReloadConfigResponse* response) const;

  Api& api_;
  tensorflow::serving::ModelService::AsyncService service_;
};

}  // namespace ems

#endif  // EMS_GRPC_SERVICES_H_
