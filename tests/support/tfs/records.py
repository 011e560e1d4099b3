"""Writes a file of warm-up requests with TensorFlow, in the virtual environment that holds it.

    python records.py FILE

Reads the requests as a list of JSON: {"log", "request", "tensors"}, where ``log`` is a field of PredictionLog.
"""

import json
import sys

import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import prediction_log_pb2


def main() -> None:
    """Write a record for each request."""
    with tf.io.TFRecordWriter(sys.argv[1]) as writer:
        for one in json.load(sys.stdin):
            log = prediction_log_pb2.PredictionLog()
            request = getattr(log, one["log"]).request
            request.SetInParent()
            json_format.ParseDict(one.get("request", {}), request)
            for name, tensor in one.get("tensors", {}).items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor["values"], dtype=tensor["dtype"]))
            writer.write(log.SerializeToString())


if __name__ == "__main__":
    main()
