"""The end of the step install, which removes the files that the only package does not take, run by sh."""

import subprocess
from pathlib import Path

import pytest

from builders.deb import debian_files, warnings
from builders.deb.templates import render
from builders.model.settings import Settings
from tests.support.debs import AMD64_BOOKWORM, recipe_of

FILES = {"usr/bin/a", "usr/bin/b", "usr/bin/c d", "usr/bin/$x", "usr/lib/x.la", "usr/lib/x.so"}


@pytest.mark.parametrize(
    ("pattern", "removed"),
    [
        ("usr/bin/[!a]*", {"usr/bin/b", "usr/bin/c d", "usr/bin/$x"}),
        ("usr/bin/[^a]*", {"usr/bin/b", "usr/bin/c d", "usr/bin/$x"}),
        ("usr/{bin/{a,b},lib/*.la}", {"usr/bin/a", "usr/bin/b", "usr/lib/x.la"}),
        ("usr/bin/[$ac] d", {"usr/bin/c d"}),
        ("usr/bin/$x", {"usr/bin/$x"}),
        ("usr/bin/?{,x}", {"usr/bin/a", "usr/bin/b", "usr/bin/$x"}),
    ],
)
def test_only_the_files_of_the_patterns_go(tmp_path: Path, pattern: str, removed: set[str]) -> None:
    recipe = recipe_of("sample", build={"install": "true"}, not_installed=[pattern])
    step = debian_files(recipe, AMD64_BOOKWORM, Settings())["reef/install.sh"]
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["sh", "-euc", step], env={"DESTDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == FILES - removed


@pytest.mark.parametrize("packages", [["sample"], ["sample", "other"]])
def test_patterns_that_match_nothing_are_told(tmp_path: Path, packages: list[str]) -> None:
    patterns = ["usr/bin/{a,b}", "usr/lib/*.a", "usr/share/it's $x {{ version }}", "usr/lib/x.so"]
    given = [{"name": name, "summary": "some files", "files": ["usr/bin/a"]} for name in packages]
    recipe = recipe_of("sample", build={"install": "cd /"}, not_installed=patterns, packages=given)
    step = debian_files(recipe, AMD64_BOOKWORM, Settings())["reef/install.sh"]
    installed = tmp_path / "debian/tmp"
    (installed / "usr/bin").mkdir(parents=True)
    (installed / "usr/bin/b").touch()
    (installed / "usr/lib").mkdir()
    (installed / "usr/lib/x.so").symlink_to("/nowhere")
    subprocess.run(["sh", "-euc", step], env={"DESTDIR": str(installed), "PATH": "/usr/bin:/bin"}, check=True)
    assert (tmp_path / "debian/reef/out/warnings.txt").read_text().splitlines() == [
        "not_installed matches no file: usr/lib/*.a",
        f"not_installed matches no file: usr/share/it's $x {recipe.debian_version(AMD64_BOOKWORM)}",
    ]


@pytest.mark.parametrize(("end", "told"), [("true", ["a: b"]), ("exit 3", [])])
def test_warnings_of_a_good_build_reach_the_run(tmp_path: Path, end: str, told: list[str]) -> None:
    (tmp_path / "debian/reef/out").mkdir(parents=True)
    (tmp_path / "debian/reef/out/warnings.txt").write_text("a: b\n")
    (tmp_path / "out").mkdir()
    script = render("prelude.sh.j2", tree=tmp_path, mark="x", output=tmp_path / "out") + end
    done = subprocess.run(["sh", "-euc", script], check=False)
    assert (done.returncode == 0, warnings(tmp_path / "out")) == (end == "true", told)
