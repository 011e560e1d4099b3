// A request that the model `m` answers.
#ifndef EMS_TESTS_GOOD_REQUEST_H_
#define EMS_TESTS_GOOD_REQUEST_H_

#include "tensorflow_serving/apis/predict.pb.h"

namespace ems {

inline tensorflow::serving::PredictRequest GoodRequest() {
  tensorflow::serving::PredictRequest request;
  request.mutable_model_spec()->set_name("m");
  tensorflow::TensorProto& x = (*request.mutable_inputs())["x"];
  x.set_dtype(tensorflow::DT_FLOAT);
  x.mutable_tensor_shape()->add_dim()->set_size(1);
  x.mutable_tensor_shape()->add_dim()->set_size(2);
  x.add_float_val(1);
  x.add_float_val(2);
  return request;
}

}  // namespace ems

#endif  // EMS_TESTS_GOOD_REQUEST_H_
