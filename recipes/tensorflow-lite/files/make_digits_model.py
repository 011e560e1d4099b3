#!/usr/bin/env python3
"""Make digits.tflite, a fully int8 classifier of 8x8 handwritten digits, and sample inputs for it.

The data is the "Optical Recognition of Handwritten Digits" test set that scikit-learn ships (1797 images, CC BY
4.0, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository). Every fifth image is held out. A small network
(3x3 convolution, 2x2 maximum, dense layer, softmax) is trained with numpy, quantised after training and written
with the FlatBuffers bindings of TensorFlow Lite's schema; TensorFlow itself is not needed.

    python3 -m venv venv
    venv/bin/pip install numpy==1.26.4 scikit-learn==1.9.1 flatbuffers==25.12.19 tflite==2.18.0
    venv/bin/python make_digits_model.py digits

With these versions it writes the same bytes every time: one BLAS thread, one seed, no dates.
Last run: 3896 bytes; 360 held-out digits: float 0.9889, int8 0.9833 right (354 of 360; the TensorFlow Lite 2.14.0
wheel's interpreter gives the same 354).
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the order of additions must not depend on the machine's cores

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Array = NDArray[np.float64]

FILTERS = 12
EPOCHS = 60
BATCH = 32
SEED = 20241
INPUT_SCALE, INPUT_ZERO = 1.0 / 255.0, -128
OUTPUT_SCALE, OUTPUT_ZERO = 1.0 / 256.0, -128  # what TensorFlow Lite demands of an int8 softmax


def patches(images: Array) -> Array:
    """Return the 3x3 surroundings of every pixel, zero outside: (n, 8, 8, 9)."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    return np.stack([padded[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)], axis=-1)


@dataclass
class Network:
    """The weights: convolution (9, FILTERS), dense (16 * FILTERS, 10)."""

    kernel: Array
    kernel_bias: Array
    dense: Array
    dense_bias: Array

    def layers(self, images: Array) -> tuple[Array, Array, Array]:
        """Return the convolution's, the maximum's and the dense layer's output."""
        convolved = np.maximum(patches(images) @ self.kernel + self.kernel_bias, 0.0)
        pooled = convolved.reshape(-1, 4, 2, 4, 2, FILTERS).max(axis=(2, 4))
        return convolved, pooled, pooled.reshape(len(images), -1) @ self.dense + self.dense_bias

    def gradients(self, images: Array, labels: NDArray[np.int64]) -> list[Array]:
        """Return the cross entropy's gradient with respect to each weight."""
        convolved, pooled, logits = self.layers(images)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = odds / odds.sum(axis=1, keepdims=True)
        error[np.arange(len(labels)), labels] -= 1.0
        error /= len(labels)
        back = (error @ self.dense.T).reshape(pooled.shape)
        spread = np.repeat(np.repeat(back, 2, axis=1), 2, axis=2)
        highest = np.repeat(np.repeat(pooled, 2, axis=1), 2, axis=2)
        back = spread * ((convolved == highest) & (convolved > 0.0))
        flat = pooled.reshape(len(images), -1)
        kernel = np.tensordot(patches(images), back, axes=((0, 1, 2), (0, 1, 2)))
        return [kernel, back.sum(axis=(0, 1, 2)), flat.T @ error, error.sum(axis=0)]


def train(images: Array, labels: NDArray[np.int64]) -> Network:
    """Fit a network with Adam."""
    random = np.random.default_rng(SEED)
    network = Network(
        random.normal(0.0, 0.3, (9, FILTERS)), np.zeros(FILTERS),
        random.normal(0.0, 0.1, (16 * FILTERS, 10)), np.zeros(10),
    )  # fmt: skip
    weights = [network.kernel, network.kernel_bias, network.dense, network.dense_bias]
    means, squares, step = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights], 0
    for epoch in range(EPOCHS):
        rate = 0.004 * (1.0 - epoch / EPOCHS)
        order = random.permutation(len(images))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            step += 1
            for i, gradient in enumerate(network.gradients(images[chosen], labels[chosen])):
                means[i] = 0.9 * means[i] + 0.1 * gradient
                squares[i] = 0.999 * squares[i] + 0.001 * gradient**2
                weights[i] -= rate * (means[i] / (1 - 0.9**step)) / (np.sqrt(squares[i] / (1 - 0.999**step)) + 1e-8)
    return network


@dataclass
class Tensor:
    """A tensor of the model: ``data`` is None where the interpreter computes it."""

    name: str
    shape: list[int]
    scales: list[float]
    zero_points: list[int]
    data: NDArray[np.int8] | NDArray[np.int32] | None = None


def activation(name: str, shape: list[int], values: Array) -> Tensor:
    """Return an int8 tensor whose scale covers ``values`` and zero."""
    low, high = min(float(values.min()), 0.0), float(values.max())
    scale = (high - low) / 255.0
    return Tensor(name, shape, [scale], [round(-128 - low / scale)])


def weights_and_bias(name: str, weights: Array, bias: Array, scales: Array, before: float) -> tuple[Tensor, Tensor]:
    """Quantise weights (outputs first) symmetrically, and their bias in units of input times weight scale."""
    wide = scales.reshape([-1] + [1] * (weights.ndim - 1))
    data = np.clip(np.round(weights / wide), -127, 127).astype(np.int8)
    biases = np.round(bias / (before * scales)).astype(np.int32)
    units = [float(before * s) for s in scales]
    return (
        Tensor(f"{name}/weights", list(weights.shape), [float(s) for s in scales], [0] * len(scales), data),
        Tensor(f"{name}/bias", [len(bias)], units, [0] * len(scales), biases),
    )


def quantised(network: Network, images: Array) -> list[Tensor]:
    """Return the model's tensors, with ranges measured on ``images``."""
    convolved, _, logits = network.layers(images)
    pixels = Tensor("image", [1, 8, 8, 1], [INPUT_SCALE], [INPUT_ZERO])
    hidden = activation("convolved", [1, 8, 8, FILTERS], convolved)
    kernel = network.kernel.T.reshape(FILTERS, 3, 3, 1)
    conv = weights_and_bias(
        "convolution", kernel, network.kernel_bias, np.abs(kernel).max(axis=(1, 2, 3)) / 127.0, INPUT_SCALE
    )
    dense_scale = np.array([np.abs(network.dense).max() / 127.0])
    dense = weights_and_bias("dense", network.dense.T, network.dense_bias, dense_scale, hidden.scales[0])
    pooled = Tensor("pooled", [1, 4, 4, FILTERS], hidden.scales, hidden.zero_points)
    scores = Tensor("probabilities", [1, 10], [OUTPUT_SCALE], [OUTPUT_ZERO])
    return [pixels, *conv, hidden, pooled, *dense, activation("logits", [1, 10], logits), scores]


class Writer:
    """Writes the tensors and the four operators as one FlatBuffers file."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(16384)

    def table(self, name: str, **fields: object) -> int:
        """Write one table of the schema; fields in the schema's own spelling."""
        module = import_module(f"tflite.{name}")
        getattr(module, f"{name}Start")(self.builder)
        for key, value in fields.items():
            getattr(module, f"{name}Add{key}")(self.builder, value)
        return int(getattr(module, f"{name}End")(self.builder))

    def numbers(self, values: list[int] | list[float], kind: type) -> int:
        return int(self.builder.CreateNumpyVector(np.array(values, dtype=kind)))

    def offsets(self, values: list[int]) -> int:
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependUOffsetTRelative(value)
        return int(self.builder.EndVector())

    def tensor(self, tensor: Tensor, buffer: int) -> int:
        kind = tflite.TensorType.INT32 if tensor.data is not None and tensor.data.dtype == np.int32 else (
            tflite.TensorType.INT8
        )  # fmt: skip
        quantisation = self.table(
            "QuantizationParameters",
            Scale=self.numbers(tensor.scales, np.float32), ZeroPoint=self.numbers(tensor.zero_points, np.int64),
        )  # fmt: skip
        return self.table(
            "Tensor", Shape=self.numbers(tensor.shape, np.int32), Type=kind, Buffer=buffer,
            Name=self.builder.CreateString(tensor.name), Quantization=quantisation,
        )  # fmt: skip

    def operator(self, index: int, options: tuple[int, int], inputs: list[int], output: int) -> int:
        return self.table(
            "Operator", OpcodeIndex=index, BuiltinOptionsType=options[0], BuiltinOptions=options[1],
            Inputs=self.numbers(inputs, np.int32), Outputs=self.numbers([output], np.int32),
        )  # fmt: skip

    def operators(self) -> list[int]:
        """The graph, by the order of ``quantised``'s tensors."""
        kinds = tflite.BuiltinOptions
        conv = self.table(
            "Conv2DOptions", Padding=tflite.Padding.SAME, StrideW=1, StrideH=1,
            FusedActivationFunction=tflite.ActivationFunctionType.RELU, DilationWFactor=1, DilationHFactor=1,
        )  # fmt: skip
        pool = self.table(
            "Pool2DOptions", Padding=tflite.Padding.VALID, StrideW=2, StrideH=2, FilterWidth=2, FilterHeight=2
        )
        return [
            self.operator(0, (kinds.Conv2DOptions, conv), [0, 1, 2], 3),
            self.operator(1, (kinds.Pool2DOptions, pool), [3], 4),
            self.operator(2, (kinds.FullyConnectedOptions, self.table("FullyConnectedOptions")), [4, 5, 6], 7),
            self.operator(3, (kinds.SoftmaxOptions, self.table("SoftmaxOptions", Beta=1.0)), [7], 8),
        ]

    def model(self, tensors: list[Tensor]) -> bytes:
        buffers = [self.table("Buffer")]  # buffer 0 is empty by convention
        indices = []
        for tensor in tensors:
            indices.append(len(buffers) if tensor.data is not None else 0)
            if tensor.data is not None:
                data = self.builder.CreateByteVector(tensor.data.tobytes())
                buffers.append(self.table("Buffer", Data=data))
        written = [self.tensor(tensor, index) for tensor, index in zip(tensors, indices, strict=True)]
        graph = self.table(
            "SubGraph", Tensors=self.offsets(written), Inputs=self.numbers([0], np.int32),
            Outputs=self.numbers([len(tensors) - 1], np.int32), Operators=self.offsets(self.operators()),
            Name=self.builder.CreateString("main"),
        )  # fmt: skip
        builtin = tflite.BuiltinOperator
        codes = [
            self.table("OperatorCode", DeprecatedBuiltinCode=code, BuiltinCode=code, Version=version)
            for code, version in (
                (builtin.CONV_2D, 3), (builtin.MAX_POOL_2D, 2), (builtin.FULLY_CONNECTED, 4), (builtin.SOFTMAX, 2),
            )
        ]  # fmt: skip
        root = self.table(
            "Model", Version=3, OperatorCodes=self.offsets(codes), Subgraphs=self.offsets([graph]),
            Description=self.builder.CreateString("8x8 handwritten digits, int8"), Buffers=self.offsets(buffers),
        )  # fmt: skip
        self.builder.Finish(root, file_identifier=b"TFL3")
        return bytes(self.builder.Output())


def classes(tensors: list[Tensor], images: Array) -> NDArray[np.int64]:
    """Compute the quantised model's answers in numpy, with the roundings that its integers imply."""
    _, kernel, bias, hidden, _, dense, dense_bias, logits, _ = tensors

    def real(tensor: Tensor) -> Array:
        assert tensor.data is not None
        scales = np.array(tensor.scales).reshape([-1] + [1] * (tensor.data.ndim - 1))
        return tensor.data * scales

    def rounded(values: Array, tensor: Tensor) -> Array:
        steps = np.clip(np.round(values / tensor.scales[0]) + tensor.zero_points[0], -128, 127)
        return (steps - tensor.zero_points[0]) * tensor.scales[0]

    pixels = np.round(images / INPUT_SCALE) * INPUT_SCALE
    network = Network(real(kernel).reshape(FILTERS, 9).T, real(bias), real(dense).T, real(dense_bias))
    convolved = rounded(network.layers(pixels)[0], hidden)
    pooled = convolved.reshape(-1, 4, 2, 4, 2, FILTERS).max(axis=(2, 4)).reshape(len(images), -1)
    return rounded(pooled @ network.dense + network.dense_bias, logits).argmax(axis=1)


def write_samples(folder: Path, images: Array, labels: NDArray[np.int64], answers: NDArray[np.int64]) -> None:
    """Write one held-out image of each class that the model gets right, as plain PGM; two in other formats."""
    for digit in range(10):
        image = images[np.flatnonzero((labels == digit) & (answers == digit))[0]]
        rows = "\n".join(" ".join(f"{round(pixel * 16):2d}" for pixel in row) for row in image)
        (folder / f"digit-{digit}.pgm").write_text(f"P2\n8 8\n16\n{rows}\n", encoding="ascii")
        if digit == 3:
            np.save(folder / "digit-3.npy", image.reshape(1, 8, 8, 1).astype(np.float32))
        if digit == 5:
            steps = np.round(image / INPUT_SCALE) + INPUT_ZERO
            (folder / "digit-5.raw").write_bytes(steps.astype(np.int8).tobytes())


def main(folder: Path) -> None:
    digits = load_digits()
    images, labels = digits.images / 16.0, digits.target.astype(np.int64)
    held_out = np.arange(len(images)) % 5 == 0
    network = train(images[~held_out], labels[~held_out])
    tensors = quantised(network, images[~held_out])
    data = Writer().model(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digits.tflite").write_bytes(data)
    wanted = labels[held_out]
    answers = classes(tensors, images[held_out])
    write_samples(folder, images[held_out], wanted, answers)
    right = float((network.layers(images[held_out])[2].argmax(axis=1) == wanted).mean())
    right_int8 = float((answers == wanted).mean())
    print(f"{len(data)} bytes; {held_out.sum()} held-out digits: float {right:.4f}, int8 {right_int8:.4f} right")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "digits"))
