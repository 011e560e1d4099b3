// TensorFlow Serving's two services, on Api.
#ifndef EMS_GRPC_SERVICES_H_
#define EMS_GRPC_SERVICES_H_

#include "api/api.h"
#include "tensorflow_serving/apis/model_service.grpc.pb.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"

namespace ems {

// Returns a status as clients get it; a text beyond 1024 characters is cut, as in TensorFlow Serving.
grpc::Status ToGrpc(const absl::Status& status);

class PredictionService final : public tensorflow::serving::PredictionService::Service {
 public:
  PredictionService(Api& api, bool as_tensor_content) : api_(api), as_tensor_content_(as_tensor_content) {}

  grpc::Status Predict(grpc::ServerContext* context, const tensorflow::serving::PredictRequest* request,
                       tensorflow::serving::PredictResponse* response) override;
  grpc::Status Classify(grpc::ServerContext* context, const tensorflow::serving::ClassificationRequest* request,
                        tensorflow::serving::ClassificationResponse* response) override;
  grpc::Status Regress(grpc::ServerContext* context, const tensorflow::serving::RegressionRequest* request,
                       tensorflow::serving::RegressionResponse* response) override;
  grpc::Status MultiInference(grpc::ServerContext* context, const tensorflow::serving::MultiInferenceRequest* request,
                              tensorflow::serving::MultiInferenceResponse* response) override;
  grpc::Status GetModelMetadata(grpc::ServerContext* context,
                                const tensorflow::serving::GetModelMetadataRequest* request,
                                tensorflow::serving::GetModelMetadataResponse* response) override;

 private:
  absl::Status Predict(const tensorflow::serving::PredictRequest& request, const Target& target, absl::Time deadline,
                       tensorflow::serving::PredictResponse* response) const;

  template <typename Request, typename Response>
  using ExamplesCall = absl::StatusOr<Response> (Api::*)(const Request& request, absl::Time deadline) const;
  template <typename Request, typename Response>
  grpc::Status OnExamples(const grpc::ServerContext& context, const Request& request, Response* response,
                          ExamplesCall<Request, Response> call, const char* name) const;
  // Returns the name of a model that is served, else an empty text.
  std::string KnownName(const tensorflow::serving::ModelSpec& spec) const;

  Api& api_;
  bool as_tensor_content_;
};

class ModelService final : public tensorflow::serving::ModelService::Service {
 public:
  explicit ModelService(Api& api) : api_(api) {}

  grpc::Status GetModelStatus(grpc::ServerContext* context, const tensorflow::serving::GetModelStatusRequest* request,
                              tensorflow::serving::GetModelStatusResponse* response) override;
  grpc::Status HandleReloadConfigRequest(grpc::ServerContext* context,
                                         const tensorflow::serving::ReloadConfigRequest* request,
                                         tensorflow::serving::ReloadConfigResponse* response) override;

 private:
  Api& api_;
};

}  // namespace ems

#endif  // EMS_GRPC_SERVICES_H_
