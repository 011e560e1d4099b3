"""The bill of materials: how it names a source."""

import json
from datetime import UTC, datetime

from builders.deb.sbom import sbom
from builders.model.recipe import load_recipe
from builders.model.source_tree import FetchedSource
from builders.model.target import parse_target
from tests.support.checkout import HELLO


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
