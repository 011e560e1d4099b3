"""TensorFlow Serving's own client against the model server: one test for each row of the API's behaviour.

Statuses and texts are those of TensorFlow Serving 2.21: predict_util.cc, server_core.cc, basic_manager.cc,
get_model_status_impl.cc, get_model_metadata_impl.cc.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support import tfs

Tensors = dict[str, dict[str, Any]]
X: Tensors = {"x": {"values": [1.0, 2.0, 5.0], "dtype": "float32"}}
AB: Tensors = {
    "a": {"values": [[1.0, 2.0]], "dtype": "float32"},
    "b": {"values": [[3.0, 4.0]], "dtype": "float32"},
}


def spec(name: str = "half_plus_two", **more: Any) -> dict[str, Any]:
    """Return a request's model_spec."""
    return {"model_spec": {"name": name, **more}}


@dataclass(frozen=True)
class Row:
    """A call that is refused: its status and text."""

    name: str
    method: str
    code: str
    text: str
    request: dict[str, Any] = field(default_factory=dict)
    tensors: Tensors = field(default_factory=dict)


REFUSED = [
    Row("no name", "Predict", "INVALID_ARGUMENT", "ModelSpec has no name specified.", {"model_spec": {}}, X),
    Row("no spec", "Predict", "INVALID_ARGUMENT", "Missing ModelSpec", {}, X),
    Row("unknown model", "Predict", "NOT_FOUND", "Servable not found for request: Latest(x)", spec("x"), X),
    Row("unknown version", "Predict", "NOT_FOUND", "Servable not found for request: Specific(half_plus_two, 9)",
        spec(version=9), X),
    Row("unknown label", "Predict", "INVALID_ARGUMENT", "Unrecognized servable version label: L",
        spec(version_label="L"), X),
    Row("unknown signature", "Predict", "FAILED_PRECONDITION", 'Serving signature key "s" not found.',
        spec(signature_name="s"), X),
    Row("too few inputs", "Predict", "INVALID_ARGUMENT",
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
        spec()),
    Row("too many inputs", "Predict", "INVALID_ARGUMENT",
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}.",
        spec(), X | {"z": X["x"]}),
    Row("unknown input", "Predict", "INVALID_ARGUMENT",
        "input tensor alias not found in signature: z. Inputs expected to be in the set {x}.", spec(), {"z": X["x"]}),
    Row("unknown output", "Predict", "INVALID_ARGUMENT",
        "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        spec() | {"output_filter": ["z"]}, X),
    Row("output twice", "Predict", "INVALID_ARGUMENT", "duplicate output tensor alias: y",
        spec() | {"output_filter": ["y", "y"]}, X),
    Row("status of an unknown model", "GetModelStatus", "NOT_FOUND", "Could not find any versions of model x",
        spec("x")),
    Row("status of an unknown version", "GetModelStatus", "NOT_FOUND",
        "Could not find version 9 of model half_plus_two", spec(version=9)),
    Row("status without a spec", "GetModelStatus", "INVALID_ARGUMENT", "Missing ModelSpec"),
    Row("metadata without a spec", "GetModelMetadata", "INVALID_ARGUMENT", "Missing ModelSpec",
        {"metadata_field": ["signature_def"]}),
    Row("metadata without a field", "GetModelMetadata", "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field", spec()),
    Row("metadata of another kind", "GetModelMetadata", "INVALID_ARGUMENT",
        "Metadata field graph is not supported", spec() | {"metadata_field": ["graph"]}),
]  # fmt: skip


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.name)
def test_a_wrong_call_gets_tensorflow_servings_status(row: Row, client: tfs.Client) -> None:
    answer = client.call(row.method, row.request, row.tensors)
    assert (answer.code, answer.details) == (row.code, row.text)


def test_predict_answers(client: tfs.Client) -> None:
    answer = client.call("Predict", spec(), X)
    assert answer.tensors == {"y": {"dtype": "float32", "shape": [3], "values": [2.5, 3.0, 4.5]}}
    assert answer.response["modelSpec"] == {
        "name": "half_plus_two", "version": "1", "signatureName": "serving_default",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "version"), [({}, "2"), ({"version": 1}, "1"), ({"version_label": "old"}, "1"), ({"version": 2}, "2")]
)
def test_a_version_is_the_latest_a_number_or_a_label(more: dict[str, Any], version: str, client: tfs.Client) -> None:
    answer = client.call("Predict", spec("two_versions", **more), X)
    assert answer.code == "OK", answer.details
    assert answer.response["modelSpec"]["version"] == version


def test_several_inputs_and_outputs(client: tfs.Client) -> None:
    answer = client.call("Predict", spec("two_inputs"), AB)
    assert {name: tensor["values"] for name, tensor in answer.tensors.items()} == {
        "sum": [[4.0, 6.0]], "product": [[3.0, 8.0]],
    }  # fmt: skip
    filtered = client.call("Predict", spec("two_inputs") | {"output_filter": ["sum"]}, AB)
    assert list(filtered.tensors) == ["sum"]


@pytest.mark.parametrize(("signature", "y"), [("", [2.0, 4.0, 10.0]), ("triple", [3.0, 6.0, 15.0])])
def test_each_signature_is_served(signature: str, y: list[float], client: tfs.Client) -> None:
    answer = client.call("Predict", spec("two_signatures", signature_name=signature), X)
    assert answer.tensors["y"]["values"] == y


@pytest.mark.parametrize(("model", "x", "y"), [("no_signature", "x", "y"), ("serving_signatures", "in", "out")])
def test_models_without_a_signature_table_are_served(model: str, x: str, y: str, client: tfs.Client) -> None:
    answer = client.call("Predict", spec(model), {x: X["x"]})
    assert answer.tensors[y]["values"] == [2.5, 3.0, 4.5]


TYPES = ("float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def test_every_type_comes_back_as_it_was(client: tfs.Client) -> None:
    metadata = client.call("GetModelMetadata", spec("many_types") | {"metadata_field": ["signature_def"]})
    inputs = metadata.response["metadata"]["signature_def"]["signatureDef"]["serving_default"]["inputs"]
    kinds = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BOOL": "bool"}
    dtypes = {name: kinds.get(value["dtype"], value["dtype"][3:].lower()) for name, value in inputs.items()}
    assert set(dtypes.values()) == {*TYPES, "bool"}
    tensors = {
        name: {"values": [[True, False]] if dtype == "bool" else [[1, 100]], "dtype": dtype}
        for name, dtype in dtypes.items()
    }
    answer = client.call("Predict", spec("many_types"), tensors)
    assert answer.code == "OK", answer.details
    for name, dtype in dtypes.items():
        assert answer.tensors[f"{name}_out"] == {
            "dtype": dtype, "shape": [1, 2], "values": tensors[name]["values"],
        }  # fmt: skip


def test_strings_come_back(client: tfs.Client) -> None:
    answer = client.call("Predict", spec("string_echo"), {"text": {"values": ["a", "", "grün"], "dtype": "string"}})
    assert answer.tensors == {"echo_bytes": {"dtype": "string", "shape": [3], "values": ["a", "", "grün"]}}


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param({"values": [1, 2], "dtype": "int32"}, id="dtype"),
        pytest.param({"values": [[1.0]], "dtype": "float32"}, id="rank"),
    ],
)
def test_a_wrong_tensor_is_refused(tensor: dict[str, Any], client: tfs.Client) -> None:
    answer = client.call("Predict", spec(), {"x": tensor})
    assert answer.code == "INVALID_ARGUMENT"
    assert "x" in answer.details


def test_a_wrong_fixed_shape_is_refused(client: tfs.Client) -> None:
    """ResizeInputTensor would take it: see the facts, finding 3."""
    answer = client.call("Predict", spec("fixed_batch"), {"x": {"values": [[1.0, 2.0, 3.0]], "dtype": "float32"}})
    assert answer.code == "INVALID_ARGUMENT"


def test_rows_of_a_fixed_batch_are_runs(client: tfs.Client) -> None:
    rows = [[float(4 * row + column) for column in range(4)] for row in range(5)]
    answer = client.call("Predict", spec("fixed_batch"), {"x": {"values": rows, "dtype": "float32"}})
    assert answer.tensors["y"]["values"] == [[value / 2 + 2 for value in row] for row in rows]


def test_a_kernel_that_fails_is_an_error_and_the_next_call_goes_well(client: tfs.Client) -> None:
    def run(index: int) -> tfs.Answer:
        return client.call("Predict", spec("failing"), {"index": {"values": [index], "dtype": "int32"}})

    assert run(7).code in ("INTERNAL", "INVALID_ARGUMENT")
    assert run(1).tensors["y"]["values"] == [2.0]


def test_status_names_each_version(client: tfs.Client) -> None:
    answer = client.call("GetModelStatus", spec("two_versions"))
    versions = answer.response["model_version_status"]
    assert [(v["version"], v["state"]) for v in versions] == [("2", "AVAILABLE"), ("1", "AVAILABLE")]
    [one] = client.call("GetModelStatus", spec("two_versions", version=1)).response["model_version_status"]
    assert one["version"] == "1"


def test_metadata_is_the_signatures(client: tfs.Client) -> None:
    answer = client.call("GetModelMetadata", spec() | {"metadata_field": ["signature_def"]})
    assert answer.response["modelSpec"] == {"name": "half_plus_two", "version": "1"}
    signature = answer.response["metadata"]["signature_def"]["signatureDef"]["serving_default"]
    assert signature["methodName"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensorShape"]["dim"] == [{"size": "-1"}]
