"""Portable packages of a miniature recipe on boards: real apt in clean roots of older suites, on this machine's CPU."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from builders.apt import api as apt
from builders.engines.chroot.engine import ChrootEngine
from builders.host.log import Log
from builders.model.arch import AMD64
from builders.model.deb_file import control_of, read_deb
from builders.model.jobs import APT_CACHE, BuildJob, Input, Root
from builders.model.packages import DebFile
from builders.pipeline.project import Project
from tests.support.checkout import CACHE
from tests.support.place import Place, project_of_test
from tests.support.portable import LIBRARIES, add_portable, raise_runtime, runtime_version, warn_in_build

SCRIPTS = Path(__file__).with_name("boards")
LIBRARY_FOLDER = "/usr/lib/x86_64-linux-gnu"
PRIVATE = f"{LIBRARY_FOLDER}/reef-portable"
LOADER = "ld-linux-x86-64.so.2"
WORKS = "caught: thrown by the library\nthreads: 4\n"
NEXT = "13.99"
"""The version of a newer runtime."""


@dataclass(frozen=True)
class Portable:
    """A project with the built miniature, and its repositories: ``published``, and ``updated`` with a newer runtime."""

    place: Place
    version: str

    def debs(self, suite: str) -> dict[str, DebFile]:
        """Return the .debs of the miniature and of its runtime, by package."""
        paths = (self.place.artifacts / "builds").glob(f"*/{suite}-amd64/*.deb")
        return {deb.package: deb for deb in map(read_deb, paths)}

    def publish(self, name: str, *suites: str) -> None:
        """Publish the builds without trying them, and keep the state of the repository as ``name``."""
        project = Project.open(self.place.folder, Log(quiet=True))
        apt.change(project, {suite: list(self.debs(suite).values()) for suite in suites})
        shutil.copytree(self.place.artifacts / "apt", self.place.folder / "repositories" / name, symlinks=True)


class Board:
    """What the commands of a script printed on a board."""

    def __init__(self, portable: Portable, name: str, suite: str) -> None:
        common = (SCRIPTS / "common.sh").read_text() + f"old={portable.version} new={NEXT}\n"
        job = BuildJob(
            f"board/{name}",
            Root(suite, AMD64, AMD64, ()),
            common + (SCRIPTS / f"{name}.sh").read_text(),
            fetch=common + (SCRIPTS / f"{name}-fetch.sh").read_text(),
            inputs=(Input(portable.place.folder / "repositories", "/srv/repositories"),),
            caches=(APT_CACHE,),
        )
        engine = ChrootEngine(Project.open(portable.place.folder, Log(live=False)))
        self.folder = engine.run(job, portable.place.folder / f"board-{name}", Log()).output

    def said(self, name: str, status: int = 0) -> str:
        """Return the output of a command, which must have ended with ``status``."""
        text = (self.folder / name).read_text()
        assert int((self.folder / f"{name}.status").read_text()) == status, f"{name}\n{text}"
        return text

    def works(self, *names: str) -> None:
        """Fail unless the program worked each time."""
        assert {name: self.said(name) for name in names} == dict.fromkeys(names, WORKS)


def libraries(version: str) -> list[str]:
    """Return the files that the program maps: the runtime's, and its own private library."""
    names = [LOADER, "libc.so.6", "libreef-portable.so", *LIBRARIES.values()]
    return sorted([*(f"{PRIVATE}/{version}/{name}" for name in names), f"{PRIVATE}/libreef-traps.so.1"])


@pytest.fixture(scope="module")
def portable() -> Iterator[Portable]:
    """Build the miniature for all suites, and publish it for bullseye as a user does: tried in a clean root."""
    with project_of_test("portable", CACHE) as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("REEF_GNUPGHOME", str(place.gnupg))
        add_portable(place)
        made = Portable(place, runtime_version(place))
        words = [word for suite in ("bullseye", "bookworm") for word in ("--target", f"{suite}/amd64")]
        place.run("build-arm", "--recipe", "reef-traps", *words)
        output = place.run("publish-apt", "--recipe", "reef-traps", "--target", "bullseye/amd64")
        assert "bullseye: published" in output
        assert "trixie: published" not in output  # the native packages were built, but not asked for
        made.publish("published", "bookworm", "trixie")
        raise_runtime(place, NEXT)
        warn_in_build(place, "a sentence of the build")
        output = place.run("build-arm", "--recipe", "reef-traps", "--target", "bullseye/amd64")
        assert "run reef-traps/trixie" not in output
        assert "warning: reef-portable-runtime for bullseye/amd64: a sentence of the build" in output
        made.publish("updated", "bullseye")
        yield made


@pytest.fixture(scope="module")
def bullseye(portable: Portable) -> Board:
    return Board(portable, "bullseye", "bullseye")


@pytest.fixture(scope="module")
def upgrade(portable: Portable) -> Board:
    return Board(portable, "upgrade", "bookworm")


@pytest.fixture(scope="module")
def update(portable: Portable) -> Board:
    return Board(portable, "update", "bullseye")


def test_apt_installs_it_and_nothing_of_the_suite(bullseye: Board, portable: Portable) -> None:
    bullseye.said("install")
    suffix = f"~deb11~portable{portable.version}"
    assert bullseye.said("new").splitlines() == [
        f"libreef-traps1-portable installed 1.0-1{suffix}",
        f"reef-portable-runtime{portable.version} installed {portable.version}-1~deb11",
        f"reef-traps installed 1.0-1{suffix}",
    ]
    assert bullseye.said("verify") == ""


def test_the_bill_of_materials_of_portable_packages(portable: Portable) -> None:
    """It lists the native packages' sources, and the bundled Debian packages with the runtime's versions."""
    builds = portable.place.artifacts / "builds"

    def bill(recipe: str, target: str) -> dict[str, dict[str, str]]:
        parts = json.loads((builds / recipe / target / f"{recipe}.cdx.json").read_text())["components"]
        groups: dict[str, dict[str, str]] = {"source": {}, "bundled": {}}
        for part in parts:
            kind, _, name = part["bom-ref"].partition("/")
            if kind in groups:
                groups[kind][name] = part.get("version") or part["properties"][0]["value"]
        return groups

    native, made = bill("reef-traps", "trixie-amd64"), bill("reef-traps", "bookworm-amd64")
    assert native == {"source": made["source"], "bundled": {}}
    assert list(made["source"]) == ["reef-traps"]
    bundled = bill("reef-portable-runtime", "bookworm-amd64")["bundled"]
    assert made["bundled"] == bundled
    assert {name.partition(":")[0] for name in bundled} == set(LIBRARIES)
    rows = (builds / "reef-portable-runtime" / "bookworm-amd64" / "bundled.tsv").read_text().splitlines()
    sources = sorted({tuple(row.split("\t")[2].split("=")) for row in rows})
    [runtime] = [deb for name, deb in portable.debs("bookworm").items() if name.startswith("reef-portable-runtime")]
    using = ", ".join(f"{name} (= {version})" for name, version in sources)
    assert control_of(runtime.path)["Built-Using"] == using
    assert "glibc (= 2." in using


def test_it_is_the_program_itself_however_it_starts(bullseye: Board) -> None:
    bullseye.works("works", "works-user", "works-empty", "works-noexec")
    assert "Permission denied" in bullseye.said("noexec", 126)
    assert bullseye.said("exe") == "/usr/bin/reef-traps\nreef-traps\n"
    assert bullseye.said("exe-link") == "/usr/bin/reef-traps\n/opt/link\n"
    assert bullseye.said("exe-relative") == "/usr/bin/reef-traps\n../../usr/bin/reef-traps\n"
    assert bullseye.said("child") == "child\nA=b\n"


def test_no_library_is_the_systems(bullseye: Board, portable: Portable) -> None:
    assert bullseye.said("libraries").splitlines() == libraries(portable.version)
    bullseye.works("works-hostile", "works-alone", "works-musl")
    assert "musl libc" in bullseye.said("musl", 1)


def test_plug_ins_are_found_in_the_private_folder_and_by_path(bullseye: Board, portable: Portable) -> None:
    common = libraries(portable.version)
    said, *maps = bullseye.said("plug-in").splitlines()
    assert said.startswith("plug-in with zlib 1.3")
    assert maps == sorted([*common, f"{PRIVATE}/libreef-plug.so.1"])
    _, *maps = bullseye.said("plug-in-path").splitlines()
    assert maps == sorted([*common, f"{LIBRARY_FOLDER}/reef-traps/by-path.so"])
    assert f"=> {LIBRARY_FOLDER}/libreef-plug.so.1" in bullseye.said("plug-in-cache")
    assert "libreef-plug.so.1: cannot open shared object file" in bullseye.said("plug-in-missing", 3)


def test_names_and_times_are_the_boards(bullseye: Board) -> None:
    """Its modules for names (nsswitch.conf) are loaded too, although an older C library came with them."""
    assert bullseye.said("host") == "getaddrinfo: 192.0.2.7\ngethostbyname: trap.example\n"
    assert bullseye.said("user") == "uid: 33\n"
    assert "localhost" in bullseye.said("nss-board")
    assert bullseye.said("nss") == "getaddrinfo: ::1\ngethostbyname: localhost\n"
    assert "gethostbyname: none" in bullseye.said("nss-local", 3)  # no Avahi answers
    assert ":65534:65534:" in bullseye.said("nss-user-board")
    assert bullseye.said("nss-user") == "uid: 65534\n"
    assert bullseye.said("time") == "2026-01-01 00:00 UTC\n2026-07-01 00:00 UTC\n"
    assert bullseye.said("time-zone") == "2026-01-01 01:00 CET\n2026-07-01 02:00 CEST\n"
    assert bullseye.said("time-local") == "2026-01-01 09:00 JST\n2026-07-01 09:00 JST\n"


def test_a_kernel_that_is_too_old_is_named(bullseye: Board) -> None:
    said = bullseye.said("kernel", 126)
    assert said.startswith("reef-traps: this system's kernel, Linux 2.6.")
    assert said.endswith("is too old; the oldest that this program supports is 4.9\n")


def test_removal_and_purge_leave_nothing(bullseye: Board) -> None:
    bullseye.said("remove")
    assert "/etc/reef-traps.conf\n" in bullseye.said("removed", 2)
    bullseye.said("purge")
    bullseye.said("autoremove")
    assert bullseye.said("left", 1) == ""
    assert bullseye.said("files") == ""


def test_the_upgrade_to_trixie_takes_the_native_packages(upgrade: Board) -> None:
    upgrade.works("before", "works")
    upgrade.said("unit-before")
    upgrade.said("upgrade")
    assert f"{LIBRARY_FOLDER}/libreef-traps.so.1" in upgrade.said("libraries").splitlines()
    assert "reef-portable" not in upgrade.said("libraries")
    upgrade.said("unit")
    upgrade.said("rules")
    assert upgrade.said("conffile") == "edited\n"
    assert upgrade.said("verify").split() == ["??5??????", "c", "/etc/reef-traps.conf"]


def test_after_the_upgrade_nothing_portable_is_left(upgrade: Board) -> None:
    upgrade.said("autoremove")
    assert [line for line in upgrade.said("packages").splitlines() if "reef" in line] == [
        "libreef-traps1 installed 1.0-1~deb13",
        "reef-traps installed 1.0-1~deb13",
    ]
    upgrade.said("private", 2)
    upgrade.said("purge")
    assert upgrade.said("left") == ""


def test_a_full_disk_in_the_middle_of_a_new_runtime(update: Board) -> None:
    assert "No space left on device" in update.said("full", 100)
    update.works("full-works", "healed-works")
    update.said("healed")


def test_programs_work_at_every_point_of_an_update(update: Board, portable: Portable) -> None:
    assert update.said("both").splitlines() == [f"{PRIVATE}/{portable.version}", f"{PRIVATE}/{NEXT}"]
    assert update.said("both-libraries").splitlines() == libraries(portable.version)
    assert update.said("killed-status").startswith("reef-traps half-installed")
    update.said("killed")
    update.works("both-works", "mixed-works", "killed-works")
    for name in ("configure", "fixed", "upgrade", "autoremove"):
        update.said(name)
    update.works("upgrade-works", "last-works")
    assert update.said("upgrade-libraries").splitlines() == libraries(NEXT)
    assert update.said("verify") == ""
    assert [line.split()[0] for line in update.said("last").splitlines()] == [
        f"reef-portable-runtime{NEXT}",
        "reef-traps",
    ]
    assert update.said("private").splitlines() == [NEXT, "libreef-plug.so.1", "libreef-traps.so.1"]


@dataclass(frozen=True)
class Code:
    """What a debugger compares of an ELF file, and whether it holds code or its place alone."""

    build_id: str
    places: dict[str, tuple[int, int]]
    text: bytes

    @staticmethod
    def of(path: Path) -> "Code":
        with path.open("rb") as file:
            elf: Any = ELFFile(file)
            [note] = elf.get_section_by_name(".note.gnu.build-id").iter_notes()
            sections = {name: elf.get_section_by_name(name) for name in (".text", ".rodata", ".eh_frame", ".data")}
            places = {name: (section["sh_addr"], section["sh_size"]) for name, section in sections.items() if section}
            text = sections[".text"].data() if sections[".text"]["sh_type"] == "SHT_PROGBITS" else b""
            return Code(str(note["n_desc"]), places, text)


def unpacked(folder: Path, debs: dict[str, DebFile], package: str) -> Path:
    tree = folder / f"{debs[package].version}-{package}"
    subprocess.run(["dpkg-deb", "--extract", str(debs[package].path), str(tree)], check=True)
    return tree


@pytest.mark.parametrize(
    ("path", "package", "native"),
    [
        ("usr/bin/reef-traps", "reef-traps", "reef-traps"),
        (f"{PRIVATE[1:]}/libreef-traps.so.1", "libreef-traps1-portable", "libreef-traps1"),
    ],
)
def test_core_dumps_fit_the_debugging_symbols(
    portable: Portable, tmp_path: Path, path: str, package: str, native: str
) -> None:
    """All code and data keep their addresses and bytes, so that debuggers find lines and names."""
    original = Code.of(unpacked(tmp_path, portable.debs("trixie"), native) / path.replace("reef-portable/", ""))
    debs = portable.debs("bookworm")
    assert Code.of(unpacked(tmp_path, debs, package) / path) == original
    symbols = unpacked(tmp_path, debs, f"{package}-dbgsym")
    found = symbols / f"usr/lib/debug/.build-id/{original.build_id[:2]}/{original.build_id[2:]}.debug"
    assert Code.of(found) == Code(original.build_id, original.places, b"")
    assert (symbols / f"usr/share/doc/{package}-dbgsym").readlink() == Path(package)
