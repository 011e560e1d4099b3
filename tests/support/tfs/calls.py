"""Makes calls with TensorFlow's own serving client, in the virtual environment that holds TensorFlow.

    python calls.py ADDRESS [CERTIFICATE_AUTHORITY CERTIFICATE KEY]

Reads a call as a line of JSON and answers with a line of JSON: {"method", "request", "tensors", "timeout_s"}, where
``request`` is the message in protobuf's JSON and ``tensors`` maps inputs to {"dtype", "shape", "values"}. The answer is
{"code", "details"} and, for a call that went well, "response" and "tensors".
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

REQUESTS = {
    "Predict": predict_pb2.PredictRequest,
    "Classify": classification_pb2.ClassificationRequest,
    "Regress": regression_pb2.RegressionRequest,
    "MultiInference": inference_pb2.MultiInferenceRequest,
    "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    "HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
}
MODEL_SERVICE = ("GetModelStatus", "HandleReloadConfigRequest")


def text(value: bytes) -> Any:
    """Return bytes as text, in base64 if they are none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def plain(array: Any) -> Any:
    """Return a NumPy array as lists."""
    strings = array.dtype == object and array.size
    return (np.vectorize(text, otypes=[object])(array) if strings else array).tolist()


def proto(tensor: dict[str, Any]) -> Any:
    """Return the TensorProto that a user's own script would make."""
    values, dtype = tensor["values"], getattr(tf, tensor["dtype"]) if "dtype" in tensor else None
    return tf.make_tensor_proto(values, dtype=dtype, shape=tensor.get("shape"))


def answer(stubs: dict[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    """Make a call and return what came of it."""
    request = json_format.ParseDict(call.get("request", {}), REQUESTS[call["method"]]())
    for name, tensor in call.get("tensors", {}).items():
        request.inputs[name].CopyFrom(proto(tensor))
    stub = stubs["model" if call["method"] in MODEL_SERVICE else "prediction"]
    try:
        response = getattr(stub, call["method"])(request, timeout=call.get("timeout_s", 20))
    except grpc.RpcError as error:
        return {"code": error.code().name, "details": error.details()}
    tensors = {}
    if call["method"] == "Predict":
        for name, value in response.outputs.items():
            array = tf.make_ndarray(value)
            tensors[name] = {"dtype": tf.as_dtype(value.dtype).name, "shape": list(array.shape), "values": plain(array)}
        response.ClearField("outputs")
    return {"code": "OK", "details": "", "response": json_format.MessageToDict(response), "tensors": tensors}


def main() -> None:
    """Answer calls until the input ends."""
    address, *files = sys.argv[1:]
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    if files:
        authority, certificate, key = (Path(path).read_bytes() for path in files)
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        channel = grpc.secure_channel(address, credentials, options)
    else:
        channel = grpc.insecure_channel(address, options)
    stubs = {
        "prediction": prediction_service_pb2_grpc.PredictionServiceStub(channel),
        "model": model_service_pb2_grpc.ModelServiceStub(channel),
    }
    print(json.dumps({"ready": tf.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(stubs, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
