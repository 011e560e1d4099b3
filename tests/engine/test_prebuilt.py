"""Packages that somebody else built, published as a user does: by --deb and by a recipe, tried in a clean root."""

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.apt import api as apt
from builders.host.log import Log
from builders.model.packages import DebFile
from builders.pipeline.project import Project
from tests.support.checkout import CACHE
from tests.support.debs import make_deb
from tests.support.place import Place, project_of_test

TARGET = ("--target", "trixie/amd64")
MAINTAINER = "Some Vendor <builds@vendor.example>"
SHARED: dict[str, Any] = {
    "compression": "xz",
    "Description": "tool of a vendor\n Some vendor made it.",
    "Source": "vendor",
    "Maintainer": MAINTAINER,
    "Section": "misc",
    "Priority": "optional",
}


def documents(package: str, version: str) -> dict[str, bytes | str]:
    """Return files without which lintian finds errors."""
    upstream = version.partition(":")[2] or version
    signed = f" -- {MAINTAINER}  Mon, 30 Nov 2026 12:00:00 +0000\n"
    log = f"{package} ({version}) unstable; urgency=low\n\n  * Built.\n\n{signed}"
    folder = f"usr/share/doc/{package}"
    return {
        f"{folder}/copyright": "Copyright: 2026, Some Vendor\nLicense: MIT, as in the sources\n",
        f"{folder}/changelog{'.Debian' if '-' in upstream else ''}.gz": gzip.compress(log.encode(), 9, mtime=0),
    }


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with project_of_test("prebuilt", CACHE) as made:
        (made.folder / "debs").mkdir()
        yield made


def made(place: Place, package: str, version: str, files: dict[str, str], **more: str) -> DebFile:
    programs = {path: 0o755 for path in files if "bin/" in path}
    return make_deb(
        Path(tempfile.mkdtemp(dir=place.folder / "debs")), documents(package, version) | files, modes=programs,
        **(SHARED | {"Package": package, "Version": version, "Architecture": "all"} | more),
    )  # fmt: skip


def published(place: Place, suite: str = "trixie") -> dict[str, str]:
    """Return the digests of the published packages, by name and version."""
    found = apt.published(Project.open(place.folder, Log(quiet=True)).workspace.apt, suite)
    return {f"{deb.package} {deb.version}": deb.sha256 for deb in found if deb.package != "reef-archive-keyring"}


def test_files_and_a_recipe(place: Place) -> None:
    """One repository grows: two .debs that need each other, a recipe beside them, and a newer version of one."""
    script = {"usr/bin/vendor-tool": "#!/bin/sh\nexec cat /usr/share/vendor/data\n"}
    tool = made(place, "vendor-tool", "1:1.0-1", script, Depends="vendor-data (>= 1.0)")
    data = made(place, "vendor-data", "1.0", {"usr/share/vendor/data": "works\n"})
    given = ["--deb", str(tool.path), "--deb", str(data.path)]
    output = place.run("publish-apt", *TARGET, *given)
    assert f"vendor-tool 1:1.0-1 (all): built by {MAINTAINER}" in output
    assert "trixie: published" in output
    first = {"vendor-data 1.0": data.sha256, "vendor-tool 1:1.0-1": tool.sha256}
    assert published(place) == first
    again = place.run("publish-apt", *TARGET, *given)
    assert "trixie: unchanged" in again
    assert "known from an earlier run" in again
    assert "published already" in place.run("publish-apt", *TARGET, *given, "--plan")

    opt = {"opt/vendor/bin/odd": "#!/bin/sh\n", "usr/share/doc/vendor-odd/changelog.Debian.gz": ""}
    odd = made(place, "vendor-odd", "3-1", opt, Source="odd", Depends="vendor-tool", compression="zstd")
    refused = place.run("publish-apt", *TARGET, "--deb", str(odd.path), status=9)
    assert "/opt/vendor/bin/odd: " in refused
    assert "docs/prebuilt.md" in refused
    assert published(place) == first

    write_recipe(place, odd)
    output = place.run("build-arm", *TARGET, "--recipe", "vendor-odd", "publish-apt")
    assert "the vendor's updater expects it" in output
    assert f"vendor-odd 3-1 (all): built by the vendor's web page; maintainer {MAINTAINER}" in output
    assert published(place) == first | {"vendor-odd 3-1": odd.sha256}, "packages given once stay"
    bill = json.loads((place.artifacts / "builds/vendor-odd/trixie-amd64/vendor-odd.cdx.json").read_text())
    [part] = [part for part in bill["components"] if part["bom-ref"] == "deb/vendor-odd/all"]
    assert (part["publisher"], part["supplier"]["name"]) == (MAINTAINER, "the vendor's web page")
    assert part["hashes"][0]["content"] == odd.sha256

    newer = made(place, "vendor-data", "1.1", {"usr/share/vendor/data": "works better\n"})
    output = place.run("publish-apt", *TARGET, "--deb", str(newer.path))
    assert "trixie: published" in output
    upgrade = [path.read_text() for path in place.artifacts.glob("builds/vendor-prebuilt/trixie-amd64/install-*.json")]
    assert any("from 1.0" in text and "made up" not in text for text in upgrade), (
        "boards upgrade from the published one"
    )
    assert len(published(place)) == 4

    changed = made(
        place,
        "vendor-data",
        "1.1",
        {"usr/share/vendor/other": "other bytes\n"},
        Description="other tool\n Some vendor made it.",
    )
    refused = place.run("publish-apt", *TARGET, "--deb", str(changed.path), status=10)
    assert "vendor-data 1.1 (all) is published in trixie with other bytes" in refused
    listed = place.run("list")
    assert "vendor-odd: built by the vendor's web page" in listed
    assert f"vendor-tool  1:1.0-1  all  trixie  {MAINTAINER}" in listed
    assert "vendor-odd  3-1" not in listed.partition("published without a recipe")[2]


def write_recipe(place: Place, deb: DebFile) -> None:
    folder = place.folder / "recipes" / "vendor-odd"
    (folder / "checks").mkdir(parents=True)
    (folder / "recipe.yml").write_text(
        "name: vendor-odd\nsummary: a vendor's package\ntargets: {suites: [trixie], architectures: [amd64]}\n"
        "prebuilt:\n  by: the vendor's web page\n  debs:\n"
        f"    - file: {os.path.relpath(deb.path, folder)}\n      sha256: {deb.sha256}\n      accept:\n"
        "        - {check: file-policy, match: /opt, reason: the vendor's updater expects it}\n"
        "        - {check: lintian, match: changelog, reason: the vendor writes none}\n"
        "checks:\n  - {name: works, packages: [vendor-odd], script: checks/works.sh, expect: [works]}\n"
    )
    (folder / "checks" / "works.sh").write_text("vendor-tool\n")


def test_prune_promote_and_rollback(place: Place) -> None:
    before = published(place)
    place.run("promote", "trixie", "trixie-stable", "--package", "vendor-odd")
    assert set(published(place, "trixie-stable")) == {"vendor-odd 3-1"}
    place.run("prune")
    assert published(place) == before
    place.run("rollback", "trixie")
    assert published(place) != before
    assert set(published(place)) < set(before)
