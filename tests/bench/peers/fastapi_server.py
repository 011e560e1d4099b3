"""A model behind FastAPI and uvicorn, as tutorials write it: fastapi_server.py MODEL PORT."""

import sys
import threading
from typing import Any

import fastapi
import numpy as np
import uvicorn
from tflite_runtime.interpreter import Interpreter

app = fastapi.FastAPI()
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
lock = threading.Lock()


@app.post("/predict")
def predict(body: dict[str, Any]) -> dict[str, Any]:
    """Answer {"instances": [...]} with {"predictions": [...]}."""
    [source], [result] = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    with lock:
        for row in body["instances"]:
            interpreter.set_tensor(source["index"], np.array([row], source["dtype"]))
            interpreter.invoke()
            answers.append(interpreter.get_tensor(result["index"])[0].tolist())
    return {"predictions": answers}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
