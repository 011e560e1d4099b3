"""The miniature's source package: one for all CPUs, published, fetched by apt, and built again by who fetched it."""

import os
import re
from pathlib import Path

import pytest

from builders.apt.verify.server import serving
from builders.apt.verify.verify import verify
from builders.engines.chroot.engine import ChrootEngine
from builders.host.files import sha256_of
from builders.host.log import Log
from builders.model.arch import AMD64
from builders.model.deb_file import read_deb
from builders.model.jobs import BuildJob, Input, Root
from builders.pipeline.project import Project
from builders.pipeline.reproduce import compare
from tests.support.place import Place, give_build
from tests.support.repository import AptClient

NATIVE = ("--target", "trixie/amd64")
NAMES = ["reef-hello_1.2-2~deb13.debian.tar.gz", "reef-hello_1.2-2~deb13.dsc", "reef-hello_1.2.orig.tar.gz"]
REBUILD = """
cd /build
dpkg-source -x /fetched/reef-hello_*.dsc reef-hello-1.2
cd reef-hello-1.2
dpkg-buildpackage --build=binary --no-sign --build-profiles=nocheck
cp ../*.deb /build/out/
"""


def sources(folder: Path) -> dict[str, str]:
    return {name: sha256_of(folder / name) for name in NAMES}


@pytest.fixture
def built(place: Place) -> Place:
    give_build(place, "trixie/amd64")
    return place


def test_every_cpu_gives_equal_bytes(built: Place) -> None:
    """That fresh roots do is seen with `--verify` (test_build.py), another engine in test_buildx.py."""
    give_build(built, "trixie/arm64")
    builds = built.artifacts / "builds/reef-hello"
    assert sources(builds / "trixie-amd64") == sources(builds / "trixie-arm64")


def test_what_apt_fetches_builds_the_same_packages_elsewhere(built: Place, tmp_path: Path) -> None:
    said = built.run("publish-apt", *NATIVE)
    assert re.search(r"^reef-hello +1.2-2~deb13 +source ", said, re.MULTILINE), said
    repository = built.artifacts / "apt"
    verified = verify(repository, "trixie")
    assert (verified.debs, verified.sources) == (6, 1)
    assert "6 .debs and 1 source packages rehashed" in built.run("verify-apt")
    row = next(line for line in built.run("list").splitlines() if "trixie/amd64" in line)
    assert row.split()[4:6] == ["yes", "yes"]
    with serving(repository) as url:
        text = (repository / "reef-trixie.sources").read_text()
        client = AptClient(tmp_path / "client", re.sub("URIs: .*", f"URIs: {url}", text),
                           repository / "reef-archive-keyring.gpg", "amd64")  # fmt: skip
        client.update()
        client.run("source", "--download-only", "reef-hello")
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for path in client.folder.glob("reef-hello_*"):
        path.rename(fetched / path.name)
    build = built.artifacts / "builds/reef-hello/trixie-amd64"
    assert sources(fetched) == sources(build)

    root = Root("trixie", AMD64, AMD64, ("build-essential", "ccache", "debhelper", "lintian"))  # as other tests have
    inputs = (Input(fetched, "/fetched"),)
    job = BuildJob("sources/rebuild", root, REBUILD, inputs=inputs, environment={"DEB_BUILD_OPTIONS": "nocheck"})
    engine = ChrootEngine(Project.open(built.folder, Log(live=False)))
    output = engine.run(job, built.folder / "rebuilt", Log()).output
    one, two = ([read_deb(path) for path in sorted(folder.glob("*.deb"))] for folder in (build, output))
    assert compare(one, two) == []


def test_a_changed_part_is_refused_with_both_digests(built: Place) -> None:
    path = built.artifacts / "builds/reef-hello/trixie-amd64" / NAMES[2]
    facts, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    said = built.run("publish-apt", *NATIVE, status=9)
    assert "orig.tar.gz has changed since it was built" in said
    assert "recorded sha256" in said
    assert not (built.artifacts / "apt").exists()
    path.unlink()
    assert "never built" in built.run("build-arm", *NATIVE, "--plan")


def test_changed_packaging_wants_a_new_revision(built: Place) -> None:
    built.run("publish-apt", *NATIVE)
    built.edit("shows that edits are made", "shows that edits are made, and why")
    built.run("build-arm", *NATIVE)
    said = built.run("publish-apt", *NATIVE, status=10)
    assert "reef-hello 1.2-2~deb13 (source) exists already with other bytes" in said
    assert "raise the recipe's revision" in said
