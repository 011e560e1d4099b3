"""Real .debs made with dpkg-deb, and recipes to go with them."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builders.model.arch import AMD64
from builders.model.deb_file import read_deb
from builders.model.packages import DebFile, Verdict
from builders.model.recipe import Recipe
from builders.model.target import SUITES, Target

AMD64_BOOKWORM = Target(SUITES["bookworm"], AMD64)
VERSION = "1.0-1~deb12"


def recipe_of(*names: str, **more: object) -> Recipe:
    """Return a recipe called ``sample`` with packages of these names."""
    data: dict[str, object] = {
        "name": "sample",
        "version": "1.0",
        "summary": "a sample",
        "homepage": "https://example.org",
        "license": "MIT",
        "changelog": [{"revision": 1, "date": "2026-01-01T00:00:00Z", "changes": ["first"]}],
        "sources": [{"name": "sample", "local": {"path": "."}}],
        "targets": {"suites": ["bullseye", "bookworm", "trixie"], "architectures": ["amd64", "arm64", "armhf"]},
        "build": {},
        "packages": [{"name": name, "summary": "a sample"} for name in names],
    }
    return Recipe.model_validate(data | more)


def recipe_accepting(*accept: Mapping[str, object]) -> Recipe:
    """Return the recipe ``sample`` whose package ``sample`` accepts faults; the package ``other`` accepts none."""
    other = {"name": "other", "summary": "a sample"}
    return recipe_of(packages=[{"name": "sample", "summary": "a sample", "accept": [*accept]}, other])


def make_deb(
    folder: Path,
    files: Mapping[str, bytes | str] | None = None,
    *,
    modes: Mapping[str, int] | None = None,
    links: Mapping[str, str] | None = None,
    control_files: Mapping[str, str] | None = None,
    root_owner: bool = True,
    compression: str = "none",
    **fields: str,
) -> DebFile:
    """Build a .deb with ``files`` (path -> content); ``fields`` are control fields with ``_`` for ``-``.

    Without ``root_owner`` its files belong to some ordinary user.
    """
    control = {
        "Package": "sample",
        "Version": VERSION,
        "Architecture": "amd64",
        "Maintainer": "Reef <reef@localhost>",
        "Description": "a sample",
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    name = f"{control['Package']}_{control['Version']}_{control['Architecture']}"
    tree = folder / f"{name}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    for path, content in (files or {}).items():
        _put(tree / path, content)
    for path, content in (control_files or {}).items():
        _put(tree / "DEBIAN" / path, content)
        (tree / "DEBIAN" / path).chmod(0o644 if path == "conffiles" else 0o755)
    for path, target in (links or {}).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(target)
    for path, mode in (modes or {}).items():
        (tree / path).chmod(mode)
    if not root_owner and os.geteuid() == 0:
        for each in (tree, *tree.rglob("*")):
            os.chown(each, 1234, 1234, follow_symlinks=False)
    made = folder / f"{name}.deb"
    owner = ["--root-owner-group"] if root_owner else []
    # Without --nocheck dpkg-deb itself refuses some of the faults that these tests are about.
    command = ["dpkg-deb", *owner, "--nocheck", f"-Z{compression}", "-b", str(tree), str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return read_deb(made)


def _put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def as_version(deb: DebFile, version: str) -> DebFile:
    """Return the record with another version, for checks that read records alone."""
    return replace(deb, version=version)


def only(verdicts: tuple[Verdict, ...] | list[Verdict], check: str, subject: str = "sample") -> Verdict:
    """Return the one verdict of ``check`` on ``subject``."""
    found = [v for v in verdicts if (v.check, v.subject) == (check, subject)]
    assert len(found) == 1, verdicts
    return found[0]
