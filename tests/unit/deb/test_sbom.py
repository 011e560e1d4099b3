"""The bill of materials: how it names a source."""

import json
from datetime import UTC, datetime
from pathlib import Path

from builders.deb import write_sbom
from builders.deb.sbom import sbom
from builders.model.recipe import load_recipe
from builders.model.source_tree import FetchedSource
from builders.model.target import parse_target
from tests.support.checkout import HELLO

PURL = "pkg:deb/debian/libssl3t64@3.5.1-1?arch=arm64&distro=debian-13&upstream=openssl%403.5.1-1"


def test_sources_have_their_url_or_package_url() -> None:
    sources = [
        FetchedSource("code", "archive", "http://localhost/a.tar.gz", f"sha256:{'a' * 64}"),
        FetchedSource("protos", "python", "pkg:pypi/demo@1%2Bcpu?file_name=demo-1.whl", f"sha256:{'b' * 64}"),
    ]
    recipe = load_recipe(HELLO)
    document = json.loads(sbom(recipe, parse_target("trixie/arm64"), debs=[], sources=sources, root_packages=[]))
    code, protos = document["components"]
    assert code["externalReferences"] == [{"type": "distribution", "url": "http://localhost/a.tar.gz"}]
    assert "purl" not in code
    assert protos["purl"] == "pkg:pypi/demo@1%2Bcpu?file_name=demo-1.whl"
    assert protos["version"] == "1+cpu"
    assert protos["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    assert "externalReferences" not in protos
    assert document["metadata"]["timestamp"] == datetime.fromtimestamp(recipe.epoch, UTC).isoformat()


def test_bundled_libraries_are_required_and_packages_of_the_root_are_not(tmp_path: Path) -> None:
    (tmp_path / "bundled.tsv").write_text("libssl3t64\t3.5.1-1\topenssl=3.5.1-1\tarm64\n")
    write_sbom(
        tmp_path, load_recipe(HELLO), parse_target("trixie/arm64"), debs=[], sources=[],
        root_packages=["debhelper:all=13.24"],
    )  # fmt: skip
    document = json.loads((tmp_path / "reef-hello.cdx.json").read_text())
    found = {part["name"]: (part["version"], part["scope"], part["purl"]) for part in document["components"]}
    assert found == {
        "libssl3t64": ("3.5.1-1", "required", PURL),
        "debhelper": ("13.24", "excluded", "pkg:deb/debian/debhelper@13.24?arch=all"),
    }
