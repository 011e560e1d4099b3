"""The bill of materials of packages that somebody else built."""

import json
from pathlib import Path
from typing import Any

import pytest

from builders.deb.sbom import sbom
from builders.model.deb_file import packed_at
from builders.model.recipe import PrebuiltRecipe
from builders.model.target import parse_target
from tests.support.debs import make_deb


@pytest.mark.parametrize(
    ("place", "namespace"),
    [({"pool": "pool/main/s/sample_1_all.deb"}, "debian"), ({"file": "sample_1_all.deb"}, "reef")],
)
def test_it_names_the_maintainer_and_the_supplier(tmp_path: Path, place: dict[str, Any], namespace: str) -> None:
    deb = make_deb(tmp_path, Version="1", Maintainer="Somebody <some@body.example>")
    document = {
        "name": "vendor", "summary": "a vendor's", "targets": {"suites": ["trixie"], "architectures": ["arm64"]},
        "prebuilt": {"by": "the vendor", "debs": [place | {"sha256": deb.sha256}]},
    }  # fmt: skip
    recipe = PrebuiltRecipe.model_validate(document).recipe()
    text = sbom(recipe, parse_target("trixie/arm64"), debs=[deb], sources=[], root_packages=[])
    bill = json.loads(text)
    [part] = bill["components"]
    assert (part["publisher"], part["supplier"]["name"]) == ("Somebody <some@body.example>", "the vendor")
    assert part["purl"] == f"pkg:deb/{namespace}/sample@1?arch=amd64"
    assert packed_at(deb.path) > 0
    assert text == sbom(recipe, parse_target("trixie/arm64"), debs=[deb], sources=[], root_packages=[])


def test_a_time_that_no_calendar_has_is_the_last_one(tmp_path: Path) -> None:
    deb = make_deb(tmp_path, Version="1")
    content = bytearray(deb.path.read_bytes())
    content[24:36] = b"9" * 12  # the time of the archive's first member, ar(5)
    deb.path.write_bytes(content)
    document = {
        "name": "vendor", "summary": "a vendor's", "targets": {"suites": ["trixie"], "architectures": ["arm64"]},
        "prebuilt": {"by": "the vendor", "debs": [{"file": "sample_1_all.deb", "sha256": deb.sha256}]},
    }  # fmt: skip
    recipe = PrebuiltRecipe.model_validate(document).recipe()
    bill = json.loads(sbom(recipe, parse_target("trixie/arm64"), debs=[deb], sources=[], root_packages=[]))
    assert bill["metadata"]["timestamp"].startswith("9999-12-31T23:59:59")
