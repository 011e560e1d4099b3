"""What packages for two CPUs may share: dpkg, with both CPUs in a root, refuses what Reef refuses and no more."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.checks.static.multi_arch import check_instances
from builders.model.deb_file import read_deb
from builders.model.packages import DebFile
from tests.support.debs import recipe_accepting

NAME, CPUS = "sample", ("arm64", "armhf")
SHARED = Path("usr/share/odd")
Write = Callable[[Path], object]


def text(content: str, mode: int = 0o644, time: int = 0) -> Write:
    def write(folder: Path) -> None:
        (folder / "f").write_text(content)
        (folder / "f").chmod(mode)
        os.utime(folder / "f", (time, time))

    return write


def link(to: str) -> Write:
    return lambda folder: (folder / "f").symlink_to(to)


def hard(content: str) -> Write:
    def write(folder: Path) -> None:
        (folder / "e").write_text(content)
        (folder / "f").hardlink_to(folder / "e")

    return write


def folder_of(mode: int = 0o755) -> Write:
    return lambda folder: (folder / "f").mkdir(mode)


def packed(time: int) -> Write:
    return lambda folder: (folder / "f.gz").write_bytes(gzip.compress(b"same", mtime=time))


def conffile(content: str, *, listed: bool = True) -> Write:
    def write(folder: Path) -> None:
        root = folder.parents[2]
        (root / "etc").mkdir()
        (root / "etc/f").write_text(content)
        (root / "DEBIAN").mkdir(exist_ok=True)
        (root / "DEBIAN/conffiles").write_text("/etc/f\n" if listed else "")

    return write


def nothing(folder: Path) -> None:
    """A package that shares folders alone."""


CASES: dict[str, tuple[Write, Write, str]] = {
    "equal": (text("1"), text("1"), ""),
    "nothing shared": (text("1"), nothing, ""),
    "content": (text("1"), text("2"), "/usr/share/odd/f: different content"),
    "mode": (text("1"), text("1", 0o755), ""),
    "time": (text("1"), text("1", time=1_000_000_000), ""),
    "equal links": (link("x"), link("x"), ""),
    "links": (link("x"), link("y"), "/usr/share/odd/f: links to y and x"),
    "link and file": (link("x"), text("1"), "/usr/share/odd/f: a file and a link"),
    "folder and file": (folder_of(), text("1"), "/usr/share/odd/f: a file and a folder"),
    "folder and link": (folder_of(), link("x"), ""),
    "modes of folders": (folder_of(), folder_of(0o700), ""),
    "hard links": (hard("1"), hard("1"), "/usr/share/odd/f: dpkg shares no hard links"),
    "hard link and equal file": (hard("1"), text("1"), "/usr/share/odd/f: dpkg shares no hard links"),
    "equal gzip": (packed(0), packed(0), ""),
    "gzip's time": (packed(0), packed(1), "/usr/share/odd/f.gz: different content (gzip -n stores no time)"),
    "equal conffiles": (conffile("1"), conffile("1"), ""),
    "conffiles": (conffile("1"), conffile("2"), "/etc/f: different content"),
    "a conffile and none": (conffile("1"), conffile("1", listed=False), "/etc/f: a conffile of only one"),
    "pipes": (lambda folder: os.mkfifo(folder / "f"), lambda folder: os.mkfifo(folder / "f"), ""),
}


def make(folder: Path, cpu: str, write: Write, version: str = "1.0") -> DebFile:
    tree = folder / "tree"
    (tree / SHARED).mkdir(parents=True)
    (tree / "DEBIAN").mkdir()
    write(tree / SHARED)
    (tree / "DEBIAN/control").write_text(
        f"Package: {NAME}\nVersion: {version}\nArchitecture: {cpu}\nMaintainer: x <x@example.org>\n"
        "Multi-Arch: same\nDescription: odd\n"
    )
    path = folder / f"{NAME}_{version}_{cpu}.deb"
    argv = ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(path)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return read_deb(path)


def dpkg_takes(folder: Path, *debs: DebFile) -> bool:
    """Return whether dpkg installs packages of several CPUs one after the other into an empty root."""
    root = folder / "-".join(deb.architecture for deb in debs)
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/status").touch()
    words = ["dpkg", f"--root={root}", "--force-script-chrootless", "--force-not-root", "--log=/dev/null"]
    for cpu in CPUS:
        subprocess.run([*words, "--add-architecture", cpu], check=True)
    for deb in debs:
        done = subprocess.run([*words, "--install", str(deb.path)], capture_output=True, text=True, check=False)
        if done.returncode:
            assert "which is different from other instances" in done.stderr or "at a different version" in done.stderr
            return False
    return True


@pytest.mark.parametrize("case", CASES)
def test_dpkg_judges_the_same(tmp_path: Path, case: str) -> None:
    one, other, fault = CASES[case]
    first, second = make(tmp_path, CPUS[0], one), make(tmp_path, CPUS[1], other)
    (verdict,) = check_instances(recipe_accepting(), [second], [first])
    taken = [dpkg_takes(tmp_path, first, second), dpkg_takes(tmp_path, second, first)]
    assert verdict.passed == all(taken) == (not fault), (verdict.detail, taken)
    if fault:
        assert verdict.detail.startswith(f"{fault} (armhf and arm64)\na board with both CPUs' packages")
    else:
        assert verdict.detail == "beside arm64"


def test_versions_are_not_installed_side_by_side(tmp_path: Path) -> None:
    """dpkg configures neither; a repository may have both, as one CPU's may be published before the other's."""
    first, second = make(tmp_path, "arm64", nothing), make(tmp_path, "armhf", nothing, "1.0+b1")
    assert not dpkg_takes(tmp_path, first, second)
    assert check_instances(recipe_accepting(), [second], [first]) == ()


def test_a_fault_is_accepted_with_its_reason(tmp_path: Path) -> None:
    first, second = make(tmp_path, "arm64", text("1")), make(tmp_path, "armhf", text("2"))
    accepting = recipe_accepting({"check": "multi-arch", "match": "/usr/share/odd/f", "reason": "no board has both"})
    (verdict,) = check_instances(accepting, [second], [first])
    assert verdict.passed
    assert verdict.accepted == ("1 accepted ('/usr/share/odd/f': no board has both)",)
