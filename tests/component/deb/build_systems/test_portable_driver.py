"""The driver of portable packages on real .debs and ELF files: what it moves, finds and refuses."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from builders.deb.build_systems import portable_driver as driver
from builders.model.recipe import data_regex
from tests.support.debs import make_deb

PUBLIC = "usr/lib/x86_64-linux-gnu"
PRIVATE = f"{PUBLIC}/reef-portable"
BUNDLE = f"{PRIVATE}/13.1"
NATIVE = "1.0-1~deb13"
FACTS: dict[str, Any] = {
    "recipe": "sample", "version": "1.0-1~deb11~portable13.1", "native_version": NATIVE, "runtime": "runtime13.1",
    "packages": {"sample": "sample-portable"}, "debs": "packages", "architecture": "amd64", "elf": [64, 62],
    "public": PUBLIC, "private": PRIVATE, "bundle": BUNDLE, "loader": "ld-linux-x86-64.so.2",
    "data": {"sample-portable": data_regex(["usr/share/cores"])},
}  # fmt: skip
OTHER_CPU = 183

Link = Callable[..., bytes]


@pytest.fixture
def link(tmp_path: Path) -> Link:
    """Compiles C code without a C library, as the shared library ``soname``; further words go to the compiler."""

    def compile_(code: str, soname: str = "", *words: str, needs: Mapping[str, bytes] | None = None) -> bytes:
        folder = tmp_path / f"compiled-{soname}"
        folder.mkdir(exist_ok=True)
        (folder / "code.c").write_text(code)
        for name, library in (needs or {}).items():
            (folder / name).write_bytes(library)
        kind = ["-shared", "-fPIC", f"-Wl,-soname,{soname}"] if soname else []
        command = ["gcc", "-nostdlib", *kind, "-o", "out", "code.c", *words, *(needs or {})]
        subprocess.run([*command, "-Wl,--allow-shlib-undefined"], cwd=folder, check=True)
        return (folder / "out").read_bytes()

    return compile_


class Build:
    """A build in which the driver runs: the folder ``debian`` beside the .debs of other builds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "debian" / "reef").mkdir(parents=True)
        (folder / "packages").mkdir()

    def deb(self, package: str, files: Mapping[str, bytes | str], version: str = NATIVE, **more: Any) -> None:
        made = make_deb(self.folder / "made" / package, files, Package=package, Version=version, **more)
        made.path.rename(self.folder / "packages" / made.path.name)

    def runtime(self, **libraries: bytes) -> None:
        """Make the .deb of the runtime; in the names ``__`` is a dot."""
        files: dict[str, bytes | str] = {f"{BUNDLE}/{name.replace('__', '.')}": elf for name, elf in libraries.items()}
        self.deb("runtime13.1", files | {f"{BUNDLE}/bundled.tsv": "base\t1\tbase\tamd64\n"}, "13.1-1~deb11")

    def run(self, command: str = "repack", status: int = 1) -> str:
        """Run the driver as the build does; it must fail with a text and nothing else, which is returned."""
        (self.folder / "debian/reef/portable.json").write_text(json.dumps(FACTS))
        done = subprocess.run(
            [sys.executable, driver.__file__, command], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
        assert [line for line in done.stderr.splitlines() if not line.startswith("portable: ")] == []
        return done.stderr


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    made = Build(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made


def for_other_cpu(elf: bytes) -> bytes:
    return elf[:18] + OTHER_CPU.to_bytes(2, "little") + elf[20:]


@pytest.mark.parametrize(
    ("path", "machine"),
    [("usr/lib/firmware/core.elf", 94), ("usr/share/cores/core.elf", 94), ("usr/lib/sample/prog.o", 247)],
)
def test_data_for_other_cores_stays_as_it_is(build: Build, link: Link, path: str, machine: int) -> None:
    program = link("void _start(void) {}")
    core = program[:18] + machine.to_bytes(2, "little") + program[20:]
    build.runtime()
    build.deb("sample", {path: core})
    build.run(status=0)
    assert (build.folder / "debian/sample-portable" / path).read_bytes() == core


def test_a_library_that_the_runtime_lacks(build: Build, link: Link) -> None:
    gone = link("int gone(void) { return 1; }", "libgone.so.1")
    plug = link("int gone(void); int plug(void) { return gone(); }", "libplug.so.1", needs={"libgone.so": gone})
    build.runtime()
    build.deb("sample", {f"{PUBLIC}/libplug.so.1": plug})
    said = build.run()
    assert f"/{PRIVATE}/libplug.so.1 needs libgone.so.1, which runtime13.1 lacks" in said
    assert "add it to build.runtime.libraries" in said


def test_a_library_that_a_bundled_library_needs(build: Build, link: Link) -> None:
    gone = link("int gone(void) { return 1; }", "libgone.so.1")
    base = link("int gone(void); int base(void) { return gone(); }", "libbase.so.1", needs={"libgone.so": gone})
    plug = link("int base(void); int plug(void) { return base(); }", "libplug.so.1", needs={"libbase.so": base})
    build.runtime(libbase__so__1=base)
    build.deb("sample", {f"{PUBLIC}/libplug.so.1": plug})
    assert f"/{BUNDLE}/libbase.so.1 needs libgone.so.1, which runtime13.1 lacks" in build.run()


def test_native_files_of_another_cpu(build: Build, link: Link) -> None:
    build.runtime()
    build.deb("sample", {f"{PUBLIC}/libplug.so.1": for_other_cpu(link("int plug;", "libplug.so.1"))})
    said = build.run()
    assert "libplug.so.1 is for another CPU (ELF class and machine [64, 183], expected: [64, 62])" in said
    assert "take it from a package for amd64" in said


def test_bundled_files_of_another_cpu(build: Build, link: Link) -> None:
    build.runtime(libbase__so__1=for_other_cpu(link("int base;", "libbase.so.1")))
    build.deb("sample", {f"{PUBLIC}/libplug.so.1": link("int plug;", "libplug.so.1")})
    assert "libbase.so.1 is for another CPU" in build.run()


def test_a_package_for_another_cpu_is_not_taken(build: Build, link: Link) -> None:
    build.runtime()
    build.deb("sample", {f"{PUBLIC}/libplug.so.1": link("int plug;", "libplug.so.1")}, Architecture="arm64")
    said = build.run()
    assert f"no .deb of sample {NATIVE}" in said
    assert "build sample for the native suite again" in said


def test_a_package_of_another_version_is_not_taken(build: Build) -> None:
    build.runtime()
    build.deb("sample", {"usr/share/sample": "text"}, "0.9-1~deb13")
    assert f"no .deb of sample {NATIVE}" in build.run()


@pytest.mark.parametrize("kept", [40, 200, 5000, -300])
def test_a_damaged_file(build: Build, link: Link, kept: int) -> None:
    whole = link("int plug(void) { return 1; }", "libplug.so.1", "-g")
    assert len(whole) > 6000
    build.runtime()
    build.deb("sample", {f"{PUBLIC}/libplug.so.1": whole[:kept]})
    assert "libplug.so.1 is not a whole ELF file" in build.run()


def versioned(link: Link, name: str, version: str) -> bytes:
    script = Path(f"{version}.map").absolute()
    script.write_text(f"{version} {{ global: *; }};\n")
    return link(f"int {name}(void) {{ return 1; }}", "libbase.so.1", f"-Wl,--version-script={script}")


@pytest.mark.parametrize("versions", [("BASE_2", "BASE_1"), ("", "")])
def test_a_symbol_that_no_library_defines(build: Build, link: Link, versions: tuple[str, str]) -> None:
    """Linked with a newer library than the bundled one, whose symbols have versions or have none."""
    needed, bundled = versions
    linked = versioned(link, "later", needed) if needed else link("int later(void) { return 1; }", "libbase.so.1")
    old = versioned(link, "early", bundled) if bundled else link("int early(void) { return 1; }", "libbase.so.1")
    code = "int later(void); int plug(void) { return later(); }"
    plug = link(code, "libplug.so.1", needs={"libbase.so": linked})
    build.runtime(libbase__so__1=old)
    build.deb("sample", {f"{PUBLIC}/libplug.so.1": plug})
    symbol = f"later@{needed}" if needed else "later"
    said = build.run()
    assert f"/{PRIVATE}/libplug.so.1 needs the symbol {symbol}, which no library of runtime13.1 defines" in said
    assert "bundle a version that does" in said


def found(build: Build, files: Mapping[str, bytes | str], **more: Any) -> dict[str, set[str]]:
    """Return the relations that the files of the native package need, by the file's name."""
    driver.OUT.mkdir()
    build.deb("sample", files, **more)
    debs = driver.read_debs(Path("packages"), "amd64")
    providers = driver.Providers(FACTS)
    tree = driver.unpack("sample", "sample-portable", debs, FACTS)
    driver.move_libraries([tree], FACTS)
    for name in debs.keys() - {"sample"}:
        providers.add_deb(debs[name])
    providers.add_tree(tree, "sample-portable", f"(= {FACTS['version']})")
    return {elf.path.name: providers.check(elf) for elf in driver.elves(tree, FACTS, data_regex([]))}


def test_what_a_plug_in_may_need(build: Build, link: Link) -> None:
    """Symbols with a version that the linker did not know, weak symbols, its own, and those of other packages."""
    base = versioned(link, "early", "BASE_1")
    plain = link("int early(void) { return 1; }", "libbase.so.1")
    other = link("int other(void) { return 1; }", "libother.so.1")
    code = (
        "int early(void); int other(void); __attribute__((weak)) int weak(void); int own(void) { return 1; }"
        "int plug(void) { return early() + other() + (weak ? weak() : 0) + own(); }"
    )
    plug = link(code, "libplug.so.1", needs={"libbase.so": plain, "libother.so": other})
    user = link("int plug(void); int user(void) { return plug(); }", "libuser.so.1", needs={"libplug.so": plug})
    build.runtime(libbase__so__1=base)
    build.deb("libother1-portable", {f"{PRIVATE}/libother.so.1": other}, "2-1~deb11~portable13.1")
    assert found(build, {f"{PUBLIC}/libplug.so.1": plug, "usr/lib/sample/user.so": user}) == {
        # The native package of the same name has a higher version, but not this name.
        "libplug.so.1": {"", "libother1-portable-portable13.1 (>= 2-1~deb11~portable13.1)"},
        "user.so": {f"sample-portable (= {FACTS['version']})"},
    }


def test_links_to_libraries_of_another_package(build: Build) -> None:
    trees = [Path("debian", name) for name in ("sample", "compat")]
    for tree in trees:
        (tree / PUBLIC).mkdir(parents=True)
    (trees[0] / PUBLIC / "libplug.so.1").touch()
    (trees[1] / PUBLIC / "libplug.so.0").symlink_to("libplug.so.1")
    (trees[1] / "usr/lib/plug.so").symlink_to("x86_64-linux-gnu/libplug.so.1")
    (trees[1] / PUBLIC / "plug.so.d").mkdir()
    driver.move_libraries(trees, FACTS)
    assert (trees[1] / PRIVATE / "libplug.so.0").readlink() == Path("libplug.so.1")
    assert (trees[1] / "usr/lib/plug.so").readlink() == Path("x86_64-linux-gnu/reef-portable/libplug.so.1")
    assert (trees[1] / PUBLIC / "plug.so.d").is_dir()


@pytest.mark.parametrize("linked", [True, False])
def test_libraries_are_found_by_the_names_of_files(build: Build, link: Link, *, linked: bool) -> None:
    """The loader opens files: a DT_SONAME without a file of this name is not found, the name of a link is."""
    plug = link("int plug(void) { return 1; }", "libplug.so.1")
    user = link("int plug(void); int user(void) { return plug(); }", "libuser.so.1", needs={"libplug.so": plug})
    build.runtime()
    files = {f"{PUBLIC}/libplug.so.1.2": plug, "usr/lib/sample/user.so": user}
    if linked:
        links = {f"{PUBLIC}/libplug.so.1": "libplug.so.1.2"}
        assert found(build, files, links=links)["user.so"] == {f"sample-portable (= {FACTS['version']})"}
    else:
        with pytest.raises(SystemExit, match=r"user\.so needs libplug\.so\.1, which runtime13\.1 lacks"):
            found(build, files)


def test_a_library_with_the_name_of_a_bundled_one(build: Build, link: Link) -> None:
    plug = link("int plug(void) { return 1; }", "libplug.so.1")
    build.runtime(libplug__so__1=plug)
    build.deb("sample", {f"{PUBLIC}/libplug.so.1": plug})
    said = build.run()
    assert f"/{PRIVATE}/libplug.so.1 and /{BUNDLE}/libplug.so.1 have the same name" in said
    assert "programs would find only one of them" in said


def test_files_that_need_no_loader(build: Build, link: Link) -> None:
    """A static program, and an object file."""
    static = link("void _start(void) { for (;;) {} }", "", "-static")
    unlinked = link("int a(void); int b(void) { return a(); }", "", "-c")
    build.runtime()
    files = {"usr/bin/static": static, "usr/lib/sample/unlinked.o": unlinked}
    assert found(build, files) == {"static": set(), "unlinked.o": set()}
    for path in files:
        assert not driver.Elf(Path("debian/sample-portable", path), FACTS).dynamic  # patchelf changes no such file


def test_places_of_the_files(build: Build, link: Link) -> None:
    plug = link("int plug;", "libplug.so.1")
    files: dict[str, bytes | str] = {
        f"{PUBLIC}/libplug.so.1": plug,
        f"{PUBLIC}/sample/by-path.so": plug,
        "usr/lib/systemd/system/sample.service": "[Service]",
        "usr/lib/udev/rules.d/60-sample.rules": "#",
        "usr/share/lintian/overrides/sample": "#",
        "usr/share/doc/sample/changelog.Debian.gz": "",
        "usr/share/doc/sample/copyright": "",
        "usr/share/doc/sample/README.Debian": "text",
        "etc/sample.conf": "a=b",
    }
    build.runtime()
    links = {
        f"{PUBLIC}/libplug.so": "libplug.so.1",
        f"{PUBLIC}/libby.so.1": "sample/by-path.so",
        "usr/lib/sample/plug.so": "../x86_64-linux-gnu/libplug.so.1",
        "usr/lib/sample/absolute.so": f"/{PUBLIC}/libplug.so.1",
        "usr/lib/sample/other.so": f"/{PUBLIC}/sample/by-path.so",
        "usr/lib/sample/unmerged.so": "/lib/x86_64-linux-gnu/libplug.so.1",
        "usr/lib/sample/upward.so": f"../../../../../{PUBLIC}/libplug.so.1",
        f"{PUBLIC}/libdebian.so.0": "libdebian.so.0.1",
        "usr/share/sample": "/etc/sample",
    }
    found(build, files, links=links)
    tree = Path("debian/sample-portable")
    pointed = {str(path.relative_to(tree)): str(path.readlink()) for path in tree.rglob("*") if path.is_symlink()}
    assert pointed == {
        f"{PRIVATE}/libplug.so": "libplug.so.1",
        f"{PRIVATE}/libby.so.1": "../sample/by-path.so",
        "usr/lib/sample/plug.so": "../x86_64-linux-gnu/reef-portable/libplug.so.1",
        "usr/lib/sample/absolute.so": "../x86_64-linux-gnu/reef-portable/libplug.so.1",
        "usr/lib/sample/other.so": f"/{PUBLIC}/sample/by-path.so",  # it did not move
        "usr/lib/sample/unmerged.so": "../x86_64-linux-gnu/reef-portable/libplug.so.1",
        "usr/lib/sample/upward.so": "../x86_64-linux-gnu/reef-portable/libplug.so.1",
        f"{PRIVATE}/libdebian.so.0": "../libdebian.so.0.1",  # nor did the board's own library
        "usr/share/sample": "/etc/sample",
    }
    assert sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()) == sorted(
        ["etc/sample.conf", f"{PRIVATE}/libplug.so.1", f"{PUBLIC}/sample/by-path.so",
         "usr/share/doc/sample-portable/README.Debian",
         *(path for path in pointed if (tree / path).is_file())]
    )  # fmt: skip
    assert not (tree / "usr/lib/systemd").exists()
    assert not (tree / "usr/share/lintian").exists()


def test_debugging_symbols_of_a_renamed_package(build: Build) -> None:
    debug = "usr/lib/debug/.build-id/ab/cd.debug"
    links = {"usr/share/doc/sample-dbgsym": "sample"}
    build.deb("sample-dbgsym", {debug: "data"}, links=links, Depends=f"sample (= {NATIVE})", Section="debug")
    driver.OUT.mkdir()
    debs = driver.read_debs(Path("packages"), "amd64")
    driver.repack_debug(debs["sample-dbgsym"], "sample", "sample-portable", FACTS)
    [made] = driver.OUT.iterdir()
    assert made.name == f"sample-portable-dbgsym_{FACTS['version']}_amd64.deb"
    fields = driver.output("dpkg-deb", "--field", str(made), "Package", "Version", "Depends", "Section").splitlines()
    version = FACTS["version"]
    assert set(fields) == {
        "Package: sample-portable-dbgsym", f"Version: {version}", f"Depends: sample-portable (= {version})",
        "Section: debug",
    }  # fmt: skip
    driver.output("dpkg-deb", "--extract", str(made), "unpacked")
    assert Path("unpacked", debug).read_text() == "data"
    assert Path("unpacked/usr/share/doc/sample-portable-dbgsym").readlink() == Path("sample-portable")
    assert not Path("unpacked/usr/share/doc/sample-dbgsym").is_symlink()


def test_a_library_that_the_root_of_the_runtime_lacks(build: Build, link: Link) -> None:
    gone = link("int gone(void) { return 1; }", "libgone.so.1")
    base = link("int gone(void); int base(void) { return gone(); }", "libbase.so.1", needs={"libgone.so": gone})
    Path("libbase.so.1").write_bytes(base)
    with pytest.raises(SystemExit) as caught:
        driver.closure(["libbase.so.1"], Path(), FACTS)
    assert "libbase.so.1 needs libgone.so.1, which is not in ." in str(caught.value)
    assert "add its package to build.libraries of this recipe" in str(caught.value)
    Path("libgone.so.1").write_bytes(for_other_cpu(gone))
    with pytest.raises(SystemExit, match=r"libgone\.so\.1 is for another CPU"):
        driver.closure(["libbase.so.1"], Path(), FACTS)
    Path("libgone.so.1").write_bytes(gone)
    assert driver.closure(["libbase.so.1"], Path(), FACTS) == ["libbase.so.1", "libgone.so.1"]


def test_relations_of_a_package(build: Build) -> None:
    tree = Path("debian/sample-portable")
    driver.write_relations("sample-portable", FACTS, {"b", "a (= 1)"}, "runtime13.1 (>= 13.1-1)", tree)
    written = build.folder / "debian" / "sample-portable.substvars"
    assert written.read_text() == "reef:Depends=a (= 1), b\nreef:Pre-Depends=runtime13.1 (>= 13.1-1)\nreef:Provides=\n"
    (tree / PRIVATE).mkdir(parents=True)
    driver.write_relations("sample-portable", FACTS, set(), "", tree)
    provides = f"sample-portable-portable13.1 (= {FACTS['version']})"
    assert written.read_text() == f"reef:Depends=\nreef:Pre-Depends=\nreef:Provides={provides}\n"


def test_the_relation_to_the_runtime_has_its_version(build: Build) -> None:
    build.runtime()
    driver.OUT.mkdir()
    providers = driver.Providers(FACTS)
    [runtime] = driver.read_debs(Path("packages"), "amd64").values()
    providers.add_deb(runtime)
    assert providers.runtime == "runtime13.1 (>= 13.1-1~deb11)"
