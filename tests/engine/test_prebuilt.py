"""Packages that somebody else built, published as a user does: by --deb and by a recipe, tried in a clean root."""

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
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
    "Source": "vendor", "Maintainer": MAINTAINER, "Section": "misc", "Priority": "optional", "compression": "xz",
    "Description": "tool of a vendor\n Some vendor made it.",
}  # fmt: skip


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


@dataclass(frozen=True)
class Grown:
    """A repository with two .debs that need each other, given by --deb, and those of a recipe beside them."""

    place: Place
    given: dict[str, str]
    odd: DebFile
    outputs: dict[str, str]


@pytest.fixture(scope="module")
def grown(place: Place) -> Grown:
    script = {"usr/bin/vendor-tool": "#!/bin/sh\nexec cat /usr/share/vendor/data\n"}
    tool = made(place, "vendor-tool", "1:1.0-1", script, Depends="vendor-data (>= 1.0)")
    data = made(place, "vendor-data", "1.0", {"usr/share/vendor/data": "works\n"})
    words = ["publish-apt", *TARGET, "--deb", str(tool.path), "--deb", str(data.path)]
    outputs = {"first": place.run(*words), "again": place.run(*words), "plan": place.run(*words, "--plan")}
    given = {"vendor-data 1.0": data.sha256, "vendor-tool 1:1.0-1": tool.sha256}
    assert published(place) == given

    opt = {"opt/vendor/bin/odd": "#!/bin/sh\n", "usr/share/doc/vendor-odd/changelog.Debian.gz": ""}
    odd = made(place, "vendor-odd", "3-1", opt, Source="odd", Depends="vendor-tool", compression="zstd")
    outputs["refused"] = place.run("publish-apt", *TARGET, "--deb", str(odd.path), status=9)
    assert published(place) == given
    write_recipe(place, odd)
    outputs["recipe"] = place.run("build-arm", *TARGET, "--recipe", "vendor-odd", "publish-apt")
    return Grown(place, given, odd, outputs)


def test_given_debs_are_published_once(grown: Grown) -> None:
    assert f"vendor-tool 1:1.0-1 (all): built by {MAINTAINER}" in grown.outputs["first"]
    assert "trixie: published" in grown.outputs["first"]
    assert "trixie: unchanged" in grown.outputs["again"]
    assert "known from an earlier run" in grown.outputs["again"]
    assert "published already" in grown.outputs["plan"]


def test_a_fault_is_accepted_by_a_recipe_beside_which_given_packages_stay(grown: Grown) -> None:
    assert "/opt/vendor/bin/odd: " in grown.outputs["refused"]
    assert "docs/prebuilt.md" in grown.outputs["refused"]
    assert "ask the builder of the package, or accept the fault" in grown.outputs["refused"]
    assert "or the install script, in the recipe" not in grown.outputs["refused"]
    assert "the vendor's updater expects it" in grown.outputs["recipe"]
    assert f"vendor-odd 3-1 (all): built by the vendor's web page; maintainer {MAINTAINER}" in grown.outputs["recipe"]
    assert published(grown.place).items() >= (grown.given | {"vendor-odd 3-1": grown.odd.sha256}).items()
    bill = json.loads((grown.place.artifacts / "builds/vendor-odd/trixie-amd64/vendor-odd.cdx.json").read_text())
    [part] = [part for part in bill["components"] if part["bom-ref"] == "deb/vendor-odd/all"]
    assert (part["publisher"], part["supplier"]["name"]) == (MAINTAINER, "the vendor's web page")
    assert part["hashes"][0]["content"] == grown.odd.sha256


@pytest.mark.nightly
def test_a_newer_version(grown: Grown) -> None:
    place = grown.place
    newer = made(place, "vendor-data", "1.1", {"usr/share/vendor/data": "works better\n"})
    output = place.run("publish-apt", *TARGET, "--deb", str(newer.path))
    assert "trixie: published" in output
    reports = (place.artifacts / "builds/vendor-prebuilt/trixie-amd64").glob("install-*.json")
    upgraded = [text for text in (path.read_text() for path in reports) if "1.1, from 1.0" in text]
    assert upgraded
    assert "made up" not in upgraded[0], "boards upgrade from the published version"
    assert len(published(place)) == 4

    other = {"usr/share/vendor/other": "other bytes\n"}
    changed = made(place, "vendor-data", "1.1", other, Description="other tool\n Some vendor made it.")
    refused = place.run("publish-apt", *TARGET, "--deb", str(changed.path), status=10)
    assert "vendor-data 1.1 (all) is published in trixie with other bytes" in refused
    listed = place.run("list")
    assert "vendor-odd: built by the vendor's web page" in listed
    rows = [line.split() for line in listed.splitlines()]
    assert ["vendor-tool", "1:1.0-1", "all", "trixie", *MAINTAINER.split()] in rows
    assert "vendor-odd" not in listed.partition("published without a recipe")[2]


@pytest.mark.nightly
def test_packages_of_the_base_system_stay(grown: Grown) -> None:
    """They are upgraded; what they need stays too. Other packages are upgraded and purged."""
    place = grown.place
    debs = [
        made(place, "libaudit-common", "1:99", {"usr/share/libaudit/new": "new\n"}, Depends="vendor-needed"),
        made(place, "vendor-needed", "1.0", {"usr/share/vendor-needed/data": "data\n"}),
        made(place, "vendor-more", "1.0", {"usr/share/vendor-more/data": "data\n"}, Depends="libaudit-common (>= 1:9)"),
    ]  # fmt: skip
    output = place.run("publish-apt", *TARGET, *(word for deb in debs for word in ("--deb", str(deb.path))))
    assert "trixie: published" in output
    reports = [
        report["verdicts"]
        for path in (place.artifacts / "builds/vendor-prebuilt/trixie-amd64").glob("install-*.json")
        if "libaudit-common" in (report := json.loads(path.read_text()))["verdicts"][0].values()
    ]
    [verdicts] = reports
    passed = {f"{each['check']} {each['subject']}": each["detail"] for each in verdicts if each["passed"]}
    made_up = "from 1.0~~older (made up: none that fits is published)"
    assert passed == {
        "install libaudit-common": "1:99", "install vendor-needed": "1.0", "install vendor-more": "1.0",
        "upgrade vendor-more": f"1.0, {made_up}",
        "purge vendor-prebuilt": "not purged, as the system needs it: libaudit-common vendor-needed",
    }  # fmt: skip


@pytest.mark.nightly
def test_prune_promote_and_rollback(grown: Grown) -> None:
    place = grown.place
    before = published(place)
    place.run("promote", "trixie", "trixie-stable", "--package", "vendor-odd")
    assert set(published(place, "trixie-stable")) == {"vendor-odd 3-1"}
    place.run("prune")
    assert published(place) == before
    place.run("rollback", "trixie")
    assert published(place) != before
    assert set(published(place)) < set(before)
