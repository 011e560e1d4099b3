"""Sources of a recipe: which files of a Python package are taken."""

from pathlib import Path
from typing import Any

import pytest

from builders.errors import InputError
from builders.model.recipe import PythonWheel
from builders.sources.manifest import describe
from tests.support.sources import write_recipe

GOOD = {
    "name": "Demo.Data",
    "version": "2.21.0",
    "file": "demo_data-2.21.0-py2.py3-none-any.whl",
    "sha256": "a" * 64,
}


def wheel(**changed: Any) -> dict[str, Any]:
    return {"name": "main", "python": {key: value for key, value in (GOOD | changed).items() if value is not None}}


@pytest.mark.parametrize(
    ("name", "version", "file"),
    [
        ("demo-data", "2.21.0", "demo_data-2.21.0-py2.py3-none-any.whl"),
        ("demo_data", "1.0", "Demo.data-1.0-1-cp312-cp312-manylinux_2_27_aarch64.manylinux2014_aarch64.whl"),
        ("d", "1!2.0rc1+cpu.2", "d-1!2.0rc1+cpu.2-pp39-pypy39_pp73-win_amd64.whl"),
    ],
)
def test_wheels_of_any_platform_are_accepted(tmp_path: Path, name: str, version: str, file: str) -> None:
    write_recipe(tmp_path, [wheel(name=name, version=version, file=file)])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "demo data"}, "sources.0.python.name: String should match"),
        ({"name": "-r/etc/passwd"}, "sources.0.python.name: String should match"),
        ({"name": "demo[all]"}, "sources.0.python.name: String should match"),
        ({"version": ">=2"}, "sources.0.python.version: String should match"),
        ({"version": "2.*"}, "sources.0.python.version: String should match"),
        ({"version": "2.21.0 --pre"}, "sources.0.python.version: String should match"),
        ({"version": "2.21.0\n--pre"}, "sources.0.python.version: String should match"),
        ({"version": 2.21}, "sources.0.python.version: expected a text; put it in quotes"),
        ({"version": "2.21"}, "the file is version 2.21.0 of demo_data, not version 2.21 of Demo.Data"),
        ({"name": "demo"}, "the file is version 2.21.0 of demo_data, not version 2.21.0 of demo"),
        ({"file": "demo_data-2.21.0.tar.gz"}, "pip runs code of a source distribution; use archive: for one"),
        ({"file": "demo_data-2.21.0-py3-none.whl"}, "expected the name of a wheel, as in"),
        ({"file": "../demo_data-2.21.0-py3-none-any.whl"}, "expected the name of a wheel, as in"),
        ({"file": "demo_data-2.21.0-py3-none-any.whl\n"}, "expected the name of a wheel, as in"),
        ({"sha256": None}, "missing key 'sources.0.python.sha256'"),
        ({"sha256": "A" * 64}, "sources.0.python.sha256: String should match"),
        ({"strip": 1}, "unknown key 'sources.0.python.strip'"),
    ],
)
def test_anything_but_a_pinned_wheel_is_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        write_recipe(tmp_path, [wheel(**changed)])
    assert message in str(caught.value)


def test_a_package_url_names_the_file() -> None:
    assert PythonWheel.model_validate(GOOD).purl == (
        "pkg:pypi/demo-data@2.21.0?file_name=demo_data-2.21.0-py2.py3-none-any.whl"
    )
    local = GOOD | {"version": "1+cpu", "file": "demo_data-1+cpu-py3-none-any.whl"}
    assert PythonWheel.model_validate(local).purl.startswith("pkg:pypi/demo-data@1%2Bcpu?file_name=demo_data-1%2Bcpu-")


def test_the_fingerprint_covers_a_wheel_by_its_digest(tmp_path: Path) -> None:
    document = describe(write_recipe(tmp_path, [wheel()]))
    assert document["sources"] == [{
        "name": "main", "kind": "python", "digest": f"sha256:{'a' * 64}", "unpack": ".", "alternatives": [],
    }]  # fmt: skip
