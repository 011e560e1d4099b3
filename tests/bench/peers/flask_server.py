"""A model behind Flask, as tutorials write it: flask_server.py MODEL PORT."""

import sys
import threading
from typing import Any

import flask
import numpy as np
from tflite_runtime.interpreter import Interpreter

app = flask.Flask(__name__)
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
lock = threading.Lock()


@app.post("/predict")
def predict() -> Any:
    """Answer {"instances": [...]} with {"predictions": [...]}."""
    rows = flask.request.get_json()["instances"]
    [source], [result] = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    with lock:
        for row in rows:
            interpreter.set_tensor(source["index"], np.array([row], source["dtype"]))
            interpreter.invoke()
            answers.append(interpreter.get_tensor(result["index"])[0].tolist())
    return {"predictions": answers}


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[2]), threaded=True)
