"""The source package of a build: its part of the job's script, run here with this machine's dpkg-source."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builders.deb import collect_source, debian_files, plan_job
from builders.errors import PackageError
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64
from builders.model.context import Context
from builders.model.deb_file import read_dsc
from builders.model.packages import SourcePackage
from builders.model.recipe import Recipe, load_recipe
from builders.model.settings import Settings
from builders.model.target import parse_target
from builders.sources import fetch
from tests.support.checkout import HELLO

SETTINGS = Settings(maintainer="Reef <reef@example.org>")
NAMES = ["reef-hello_1.2-2~deb13.debian.tar.gz", "reef-hello_1.2-2~deb13.dsc", "reef-hello_1.2.orig.tar.gz"]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """The miniature, in a folder of the test's own, with a file that is no text."""
    folder = tmp_path / "recipes" / "reef-hello"
    shutil.copytree(HELLO, folder)
    (folder / "files" / "picture").write_bytes(b"\0\1\2")
    (folder / "files" / "tool").write_text("#!/bin/sh\n")
    (folder / "files" / "tool").chmod(0o700)
    return load_recipe(folder)


def made(recipe: Recipe, place: Path, target: str = "trixie/arm64") -> SourcePackage:
    """Lay a job's inputs out below ``place`` and run that part of its script that makes the source package."""
    to = parse_target(target)
    tree = fetch(recipe, Context(place, SETTINGS, Workspace(place / "artifacts"), AMD64, Log(quiet=True)), offline=True)
    debian = debian_files(recipe, to, SETTINGS)
    planned = plan_job(recipe, to, strategy="cross", machine=AMD64, debian=debian)
    planned.write_debian(place / "rendered")
    job = planned.with_inputs(tree=tree, rendered=place / "rendered", settings=SETTINGS, jobs=2)
    for given in job.inputs:
        shutil.copytree(given.path, f"{place}{given.destination}", dirs_exist_ok=True, symlinks=True)
    (place / "build/out").mkdir()
    script, found, _ = job.script.partition("\ncd /build/reef-hello-1.2\ndpkg-buildpackage")
    assert found
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    subprocess.run(
        ["sh", "-eu", "-c", script.replace("/build/", f"{place}/build/")], check=True, cwd=place / "build",
        env=environment, capture_output=True,
    )  # fmt: skip
    return collect_source(place / "build/out")


def digests(source: SourcePackage) -> dict[str, str]:
    return {file.path.name: file.sha256 for file in source.files}


def test_it_unpacks_to_what_was_built(recipe: Recipe, tmp_path: Path) -> None:
    source = made(recipe, tmp_path / "one")
    assert sorted(digests(source)) == NAMES
    assert (source.dsc.package, source.dsc.version, source.dsc.architecture) == ("reef-hello", "1.2-2~deb13", "source")
    out = tmp_path / "out"
    subprocess.run(["dpkg-source", "-x", str(source.dsc.path), str(out)], check=True, capture_output=True)
    tree = tmp_path / "one/build/reef-hello-1.2"
    differing = subprocess.run(["diff", "-r", str(tree), str(out)], capture_output=True, text=True, check=False).stdout
    assert set(differing.splitlines()) == {
        f"Only in {out}{what}" for what in (": .pc", "/debian: patches", "/debian/source: include-binaries")
    }
    [patch] = (out / "debian/patches").glob("debian-changes*")
    text = patch.read_text()
    assert text.startswith("Description: edits of the recipe, made by Reef\n hello.c: shows that edits are made\n")
    assert "GREETED" in text
    kept = out / "debian/reef/recipe"
    assert (kept / "files/picture").read_bytes() == b"\0\1\2"
    assert [(kept / f"files/{name}").stat().st_mode & 0o777 for name in ("tool", "picture")] == [0o755, 0o644]
    assert not (kept / "recipe.yml").exists()
    assert not (kept / "checks").exists()
    orig = subprocess.run(["tar", "-xzOf", source.dsc.path.with_name(NAMES[2]), "reef-hello-1.2/hello.c"],
                          check=True, capture_output=True)  # fmt: skip
    assert b"GREETED" in orig.stdout, "upstream's own, before the edits"


def test_equal_input_gives_equal_bytes_for_every_cpu(recipe: Recipe, tmp_path: Path) -> None:
    one = made(recipe, tmp_path / "one")
    later = load_recipe(recipe.folder)
    for path in recipe.folder.rglob("*"):
        os.utime(path, (1, 1))
    before = os.umask(0o077)
    try:
        assert digests(made(later, tmp_path / "two", "trixie/armhf")) == digests(one)
    finally:
        os.umask(before)


def test_another_revision_has_the_same_upstream_tarball(recipe: Recipe, tmp_path: Path) -> None:
    one = digests(made(recipe, tmp_path / "one"))
    path = recipe.folder / "recipe.yml"
    entry = "changelog:\n  - revision: 3\n    date: 2026-03-01T12:00:00Z\n    changes: [Again.]\n"
    path.write_text(path.read_text().replace("changelog:\n", entry).replace('"world"', '"all"'))
    two = digests(made(load_recipe(recipe.folder), tmp_path / "two"))
    assert one[NAMES[2]] == two[NAMES[2]]
    assert len({*one, *two}) == 5


def test_a_recipe_without_edits_has_no_patch(recipe: Recipe, tmp_path: Path) -> None:
    plain = recipe.model_copy(update={"edits": []})
    source = made(plain, tmp_path / "one")
    listed = subprocess.run(["tar", "-tf", source.dsc.path.with_name(NAMES[0])], check=True, capture_output=True)
    assert b"debian/rules" in listed.stdout
    assert b"patch" not in listed.stdout


def test_what_the_build_left_is_whole_or_refused(recipe: Recipe, tmp_path: Path) -> None:
    source = made(recipe, tmp_path / "one")
    folder = source.dsc.path.parent
    shutil.copy(source.dsc.path, folder / "second.dsc")
    with pytest.raises(PackageError, match="the build made 2 source packages, expected 1"):
        collect_source(folder)
    (folder / "second.dsc").unlink()
    source.parts[0].path.unlink()
    with pytest.raises(PackageError, match="not a readable source package"):
        collect_source(folder)
    for text in (b"", b"Source: x\n", b"\xff\xfe", b"Source: x\nVersion: 1\nFiles:\n one two\n"):
        source.dsc.path.write_bytes(text)
        with pytest.raises(PackageError, match="not a readable source package"):
            read_dsc(source.dsc.path)
