"""The script of debian/rules that keeps data out of reach of debhelper's tools, run by Perl."""

import re
import subprocess
from pathlib import Path

import pytest

from builders.deb import debian_files
from builders.model.recipe import data_regex
from builders.model.settings import Settings
from tests.support.debs import AMD64_BOOKWORM, recipe_of

BPF = b"\x7fELF\2\1\1".ljust(18, b"\0") + b"\xf7\0" + b"rest"
HOST = b"\x7fELF\2\1\1".ljust(18, b"\0") + b"\x3e\0" + b"rest"
DATA = {
    "usr/lib/firmware/core.elf": HOST, "usr/share/My $x@1/a.o": HOST, "usr/lib/x/prog.o": BPF, "usr/lib/x/Ü 2.o": BPF,
}  # fmt: skip
OTHERS = {"usr/bin/a": HOST, "usr/share/b": b"\x7fELF", "usr/share/c": b""}


def script(action: str, folder: Path) -> None:
    subprocess.run(["perl", "debian/reef/data_files.pl", action], cwd=folder, check=True)


def found(tree: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for path in tree.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"packages": [{"name": "sample", "summary": "a", "data": ["usr/share/x"]}]}, True),
        ({"packages": [{"name": "sample", "summary": "a", "files": ["usr/lib/firmware/x"]}]}, True),
        ({"build": {"install": "install prog.bpf.o"}}, True),
        ({"build": {"install": "install prog_bpf.o"}}, True),
        ({"build": {"system": "cmake"}}, True),
        ({"build": {"system": "python", "install": "true"}}, True),
        ({}, True),
        ({"build": {"install": "install bpf2 xbpf"}}, False),
        ({"build": {"install": "install subpfx firmwares"}}, False),
    ],
)
def test_only_recipes_with_such_data_have_the_script(more: dict[str, object], expected: bool) -> None:
    files = debian_files(recipe_of("sample", **more), AMD64_BOOKWORM, Settings())
    assert ("reef/data_files.pl" in files) is expected
    assert ("data_files.pl" in files["rules"]) is expected


@pytest.mark.parametrize("name", ["sample", "sample-2+x.y"])
def test_data_goes_aside_and_comes_back(tmp_path: Path, name: str) -> None:
    package = {"name": name, "summary": "a", "data": ["usr/share/My $x@1"]}
    absent = {"name": "absent", "summary": "a"}
    files = debian_files(recipe_of(packages=[package, absent]), AMD64_BOOKWORM, Settings())
    (tmp_path / "debian/reef").mkdir(parents=True)
    (tmp_path / "debian/reef/data_files.pl").write_text(files["reef/data_files.pl"])
    tree = tmp_path / "debian" / name
    for path, content in (DATA | OTHERS).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    (tree / "usr/lib/firmware/link").symlink_to("core.elf")
    for _ in range(2):  # before dh_strip_nondeterminism, and before dh_dwz
        script("aside", tmp_path)
        assert found(tree) == OTHERS
        assert (tree / "usr/lib/firmware/link").is_symlink()
        script("back", tmp_path)
        assert found(tree) == DATA | OTHERS
    script("back", tmp_path)
    assert found(tree) == DATA | OTHERS


@pytest.mark.parametrize("pattern", ["usr/x/[{]a", "usr/x/[}]a", "usr/x/{[{],[}]}a", "usr/x/[]{&~|^$@[]a"])
def test_sets_of_any_characters_are_read_by_perl(tmp_path: Path, pattern: str) -> None:
    package = {"name": "sample", "summary": "a", "data": [pattern]}
    files = debian_files(recipe_of(packages=[package]), AMD64_BOOKWORM, Settings())
    (tmp_path / "debian/reef").mkdir(parents=True)
    (tmp_path / "debian/reef/data_files.pl").write_text(files["reef/data_files.pl"])
    tree = tmp_path / "debian/sample/usr/x"
    tree.mkdir(parents=True)
    for name in ("{a", "}a", "xa"):
        (tree / name).touch()
    script("aside", tmp_path)
    left = {path.name for path in tree.iterdir()}
    assert left == {name for name in ("{a", "}a", "xa") if not re.search(data_regex([pattern]), f"usr/x/{name}")}
    assert len(left) < 3
