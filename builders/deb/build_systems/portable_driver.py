"""Runs in the root of a build job: bundles the libraries of a runtime, or repacks native packages to use them.

Started in the source tree as ``python3 debian/reef/portable_driver.py bundle|repack``; ``debian/reef/portable.json``
has the facts. It imports nothing of Reef, as the root does not have it.
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

DEBIAN = Path("debian")
OUT = DEBIAN / "reef" / "out"
START = "libreef-portable.so"
"""The runtime's library that every portable program loads first: it refuses a kernel that is too old."""
C_LIBRARY = ("libc.so.6", "libdl.so.2", "libnss_compat.so.2", "libpthread.so.0", "libresolv.so.2", "librt.so.1")
"""Always bundled. The system's modules for names of hosts and users (nsswitch.conf(5)) need its parts by these names.

An older system's own parts need another ``libc.so.6``.
"""
FIELDS = "${Package}\t${Version}\t${source:Package}=${source:Version}\t${Architecture}"
"""A line of bundled.tsv, as dpkg-query(1) prints it."""
MADE_AGAIN = (
    "usr/share/doc/{0}/changelog.Debian.gz", "usr/share/doc/{0}/copyright", "usr/share/lintian/overrides/{0}",
    "usr/lib/systemd/system/{0}.service", "usr/lib/udev/rules.d/60-{0}.rules",
)  # fmt: skip
"""Files of a native package ``{0}`` that debhelper makes again for the portable one."""
BPF = (b"\xf7\0", b"\0\xf7")
"""e_machine of objects for the kernel's BPF virtual machine."""
HIDDEN, GLOBAL_VERSION, WEAK = 0x8000, 1, 2
DAMAGED = (ELFError, struct.error, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError)
"""The errors of pyelftools on damaged files; only ELFError is raised on purpose."""
FIX_RUNTIME = (
    "add it to build.runtime.libraries, and its package to build.libraries, of the runtime's recipe; a library of "
    "another recipe: make that recipe portable for this suite; the program's own: install it in /usr/lib/<triplet>"
)


def main(words: list[str]) -> None:
    """Run the command ``bundle`` or ``repack``; a fault ends with its text and the status 1."""
    facts = json.loads((DEBIAN / "reef" / "portable.json").read_text())
    OUT.mkdir(exist_ok=True)
    {"bundle": bundle, "repack": repack}[words[0]](facts)


def fail(what: str, fix: str) -> NoReturn:
    sys.exit(f"portable: {what}\nportable: {fix}")


class Elf:
    """A shared library or program; the properties are read when they are needed."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        try:
            self.file: Any = ELFFile(path.open("rb"))
            found = [self.file.elfclass, struct.unpack_from("<H", path.read_bytes(), 18)[0]]
            self.dynamic = self.section(".dynamic")
            tags = list(self.dynamic.iter_tags()) if self.dynamic else []
            self.needed: list[str] = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
            self.starts = any(segment.header.p_type == "PT_INTERP" for segment in self.file.iter_segments())
        except DAMAGED as error:
            fail(f"{path} is not a whole ELF file: {error}", "build its package again")
        if found != facts["elf"]:
            fail(
                f"{path} is for another CPU (ELF class and machine {found}, expected: {facts['elf']})",
                f"take it from a package for {facts['architecture']}",
            )

    def section(self, name: str) -> Any:
        """Return a section, None if there is none of this name."""
        return self.file.get_section_by_name(name)

    @cached_property
    def symbols(self) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
        """The defined and the needed symbols, each with its version (empty: none); weak ones are not needed."""
        table, versions = self.section(".dynsym"), self._versions()
        if table is None:
            return frozenset(), frozenset()
        names, data = table.stringtable.data(), table.data()
        layout = struct.Struct("<IBBHQQ" if self.file.elfclass == 64 else "<IIIBBH")
        indices = self.section(".gnu.version")
        numbers = [number for (number,) in struct.iter_unpack("<H", indices.data())] if indices else []
        defined, needed = set(), set()
        for place, fields in enumerate(layout.iter_unpack(data)):
            info, section = (fields[1], fields[3]) if self.file.elfclass == 64 else (fields[3], fields[5])
            end = names.index(b"\0", fields[0])
            number = (numbers[place] if numbers else GLOBAL_VERSION) & ~HIDDEN
            symbol = (names[fields[0] : end].decode(), versions.get(number, ""))
            if section:
                defined.add(symbol)
            elif symbol[0] and info >> 4 != WEAK:
                needed.add(symbol)
        return frozenset(defined), frozenset(needed)

    def _versions(self) -> dict[int, str]:
        versions: dict[int, str] = {}
        if required := self.section(".gnu.version_r"):
            for _, items in required.iter_versions():
                versions |= {item.entry.vna_other: item.name for item in items}
        if own := self.section(".gnu.version_d"):
            for entry, names in own.iter_versions():
                if entry.entry.vd_ndx != GLOBAL_VERSION:  # the file's own name: its symbols have no version
                    versions[entry.entry.vd_ndx] = next(names).name
        return versions


def bundle(facts: Mapping[str, Any]) -> None:
    """Copy the libraries, the loader and all that they need below DESTDIR, with the copyright files of their packages.

    ``bundled.tsv`` lists the Debian packages: name, version, source package with its version, CPU. The package's field
    Built-Using (Policy 7.8) names the sources.
    """
    destination = Path(os.environ["DESTDIR"])
    public, target = Path("/", facts["public"]), destination / facts["bundle"]
    target.mkdir(parents=True)
    packages = set()
    for name in closure([*facts["libraries"], *C_LIBRARY, facts["loader"]], public, facts):
        real = (public / name).resolve()
        shutil.copyfile(real, target / name)
        packages.add(owner(real))
    (target / facts["loader"]).chmod(0o755)
    lines = [package_line(package) for package in sorted(packages)]
    # In a folder for each CPU: a board may have the runtimes of two, of which one has a newer file of the same path.
    docs = destination / "usr/share/doc" / facts["package"] / "bundled" / facts["architecture"]
    for package in sorted(packages):
        name = package.partition(":")[0]
        (docs / name).mkdir(parents=True)
        shutil.copyfile(Path("/usr/share/doc", name, "copyright"), docs / name / "copyright")
    for folder in (target, OUT):
        (folder / "bundled.tsv").write_text("".join(f"{line}\n" for line in lines))
    sources = {line.split("\t")[2] for line in lines}
    using = ", ".join(f"{name} (= {version})" for name, version in sorted(source.split("=") for source in sources))
    (DEBIAN / f"{facts['package']}.substvars").write_text(f"reef:Built-Using={using}\n")


def closure(names: Iterable[str], public: Path, facts: Mapping[str, Any]) -> list[str]:
    """Return the libraries and all that they need, sorted."""
    found: dict[str, str] = {}
    waiting = [(name, "the recipe") for name in names]
    while waiting:
        name, user = waiting.pop()
        if name in found:
            continue
        if not (public / name).exists():
            fail(f"{user} needs {name}, which is not in {public}", "add its package to build.libraries of this recipe")
        found[name] = user
        waiting += [(needed, name) for needed in Elf(public / name, facts).needed]
    return sorted(found)


def owner(path: Path) -> str:
    """Return the Debian package that holds a file, as ``name:architecture``."""
    line = output("dpkg-query", "--search", str(path)).splitlines()[0]
    return line.partition(": ")[0]


def package_line(package: str) -> str:
    return output("dpkg-query", "-W", "-f", FIELDS, package)


def output(*words: str) -> str:
    """Return what a program prints; if the program fails, so does the driver."""
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        fail(f"{' '.join(words)}: {done.stderr.strip()}", "see the job's log; a package may be damaged: build it again")
    return done.stdout


def repack(facts: Mapping[str, Any]) -> None:
    """Fill ``debian/<package>`` with the files of the native packages, changed to use the runtime's libraries."""
    debs = read_debs(Path(facts["debs"]), facts["architecture"])
    providers = Providers(facts)
    trees = {new: unpack(old, new, debs, facts) for old, new in facts["packages"].items()}
    move_libraries(trees.values(), facts)
    for name, deb in debs.items():
        if deb.fields["Version"] != facts["native_version"] and not name.endswith("-dbgsym"):
            providers.add_deb(deb)  # the runtime, and portable packages of other recipes
    for name, tree in trees.items():
        providers.add_tree(tree, name, f"(= {facts['version']})")
    for name, tree in trees.items():
        depends, linked = set(), False
        for elf in elves(tree, facts, facts["data"][name]):
            depends |= providers.check(elf)
            if elf.dynamic:  # a statically linked program needs nothing
                adapt(elf, facts, first=START if START in providers.libraries else "")
                linked = True
        write_relations(name, facts, depends - {""}, providers.runtime if linked else "", tree)
    for old, new in facts["packages"].items():
        if f"{old}-dbgsym" in debs:
            repack_debug(debs[f"{old}-dbgsym"], old, new, facts)


def write_relations(name: str, facts: Mapping[str, Any], depends: set[str], runtime: str, tree: Path) -> None:
    """Write the substitution variables of a package (deb-substvars(5)).

    A package with libraries provides a name of its own, by which portable packages depend on it: the native package of
    the same name has a higher version, but not the libraries of the private folder. The name carries the runtime's
    version, because a library of another runtime may need what this runtime lacks.
    """
    provides = f"{portable_name(name, facts)} (= {facts['version']})" if (tree / facts["private"]).is_dir() else ""
    variables = {"Depends": ", ".join(sorted(depends)), "Pre-Depends": runtime, "Provides": provides}
    text = "".join(f"reef:{field}={value}\n" for field, value in variables.items())
    (DEBIAN / f"{name}.substvars").write_text(text)


def portable_name(package: str, facts: Mapping[str, Any]) -> str:
    return f"{package}-portable{Path(facts['bundle']).name}"


class Deb:
    """A .deb of another build."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = output("dpkg-deb", "--field", str(path), "Package", "Version", "Architecture").splitlines()
        self.fields = dict(line.split(": ", 1) for line in lines)


def read_debs(folder: Path, architecture: str) -> dict[str, Deb]:
    """Return the .debs for a CPU, by package."""
    found = (Deb(path) for path in sorted(folder.glob("*.deb")))
    return {deb.fields["Package"]: deb for deb in found if deb.fields["Architecture"] in (architecture, "all")}


def unpack(old: str, new: str, debs: Mapping[str, Deb], facts: Mapping[str, Any]) -> Path:
    """Unpack a native package to ``debian/<new>`` without what debhelper makes again; return that folder."""
    if old not in debs or debs[old].fields["Version"] != facts["native_version"]:
        fail(f"no .deb of {old} {facts['native_version']}", f"build {facts['recipe']} for the native suite again")
    tree = DEBIAN / new
    output("dpkg-deb", "--extract", str(debs[old].path), str(tree))
    for name in MADE_AGAIN:
        remove(tree / name.format(old), tree)
    docs = tree / "usr/share/doc" / old
    if old != new and docs.is_dir():
        docs.rename(docs.with_name(new))
    return tree


def move_libraries(trees: Collection[Path], facts: Mapping[str, Any]) -> None:
    """Move all public libraries to the private folder; links in all packages keep what they point to on a board."""
    public, private = Path("/", facts["public"]), Path("/", facts["private"])
    found = [
        (tree, path)
        for tree in trees
        for path in (tree / facts["public"]).glob("*.so*")
        if path.is_file() or path.is_symlink()
    ]
    moved = {public / path.name: private / path.name for _, path in found}
    links = [(tree, path, pointed_to(path, tree)) for tree in trees for path in tree.rglob("*") if path.is_symlink()]
    for tree, path in found:
        (tree / facts["private"]).mkdir(exist_ok=True)
        path.rename(tree / facts["private"] / path.name)
    for tree, path, target in links:
        link = Path("/", path.relative_to(tree))
        place = moved.get(link, link)
        if link in moved or target in moved:
            new = tree / place.relative_to("/")
            new.unlink()
            new.symlink_to(os.path.relpath(moved.get(target, target), place.parent))


def pointed_to(link: Path, tree: Path) -> Path:
    """Return the absolute path that a link points to on a board, whose /lib is part of /usr."""
    path = os.path.normpath(os.path.join("/", link.relative_to(tree).parent, link.readlink()))
    return Path("/usr" + path if path.startswith("/lib/") else path)


def remove(file: Path, tree: Path) -> None:
    """Remove a file, if it exists, and the folders below ``tree`` that then hold nothing."""
    if not file.exists():
        return
    file.unlink()
    for folder in file.relative_to(tree).parents:
        if folder.name and not any((tree / folder).iterdir()):
            (tree / folder).rmdir()


def elves(tree: Path, facts: Mapping[str, Any], data: str) -> Iterator[Elf]:
    """Yield the programs and libraries below a folder, without links, BPF objects and paths that match ``data``."""
    for path in sorted(tree.rglob("*")):
        if path.is_symlink() or not path.is_file() or re.search(data, str(path.relative_to(tree))):
            continue
        head = path.open("rb").read(20)
        if head.startswith(b"\x7fELF") and head[18:] not in BPF:
            yield Elf(path, facts)


class Providers:
    """The libraries that portable programs find: those of the runtime, and those of portable packages."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self.libraries: dict[str, Elf] = {}
        self.relations: dict[str, str] = {}
        self.runtime = ""
        """The relation to the runtime."""

    def add_deb(self, deb: Deb) -> None:
        """Add the libraries in a .deb of the runtime, or of a portable package of another recipe."""
        folder = Path("debian/reef/beside", deb.fields["Package"])
        folder.mkdir(parents=True)
        output("dpkg-deb", "--extract", str(deb.path), str(folder))
        name, version = deb.fields["Package"], deb.fields["Version"]
        runtime = name == self.facts["runtime"]
        place = folder / self.facts["bundle"] if runtime else folder / self.facts["private"]
        self._add(place, "" if runtime else f"{portable_name(name, self.facts)} (>= {version})")
        if runtime:
            self.runtime = f"{name} (>= {version})"
            shutil.copyfile(place / "bundled.tsv", OUT / "runtime.tsv")

    def add_tree(self, tree: Path, package: str, relation: str) -> None:
        """Add the libraries of a package of this build."""
        self._add(tree / self.facts["private"], f"{package} {relation}")

    def _add(self, place: Path, relation: str) -> None:
        for path in sorted(place.glob("*.so*")):
            if not path.is_file():  # a link to a file of another package
                continue
            # Packages that exclude each other may share a name; a library of the runtime would always be found first.
            if path.name in self.libraries and "" in (relation, self.relations[path.name]):
                fail(
                    f"{shown(path)} and {shown(self.libraries[path.name].path)} have the same name",
                    "programs would find only one of them: rename one, or leave it out of its package",
                )
            # The loader searches by the names of files and links; a DT_SONAME alone is not found (ld.so(8)).
            self.libraries[path.name] = Elf(path, self.facts)
            self.relations[path.name] = relation

    def check(self, elf: Elf) -> set[str]:
        """Return the relations to the packages that hold the needed libraries; a missing library or symbol fails."""
        found: dict[str, Elf] = {}
        waiting = [(name, elf) for name in elf.needed]
        while waiting:
            name, user = waiting.pop()
            if name not in self.libraries:
                fail(f"{shown(user.path)} needs {name}, which {self.facts['runtime']} lacks", FIX_RUNTIME)
            if name not in found:
                found[name] = self.libraries[name]
                waiting += [(needed, found[name]) for needed in found[name].needed]
        defined: set[tuple[str, str]] = set().union(*(library.symbols[0] for library in found.values()))
        defined |= elf.symbols[0]
        names = {name for name, _ in defined}
        for name, version in sorted(elf.symbols[1]):
            if (name, version) not in defined and (version or name not in names):
                symbol = f"{name}@{version}" if version else name
                fail(
                    f"{shown(elf.path)} needs the symbol {symbol}, which no library of {self.facts['runtime']} defines",
                    "link it with the library that defines the symbol, or bundle a version that does",
                )
        return {self.relations[name] for name in elf.needed}


def shown(path: Path) -> str:
    return re.sub(r"^debian/(reef/beside/)?[^/]+", "", str(path))


def adapt(elf: Elf, facts: Mapping[str, Any], *, first: str) -> None:
    """Make a program start with the bundled loader, and search libraries in the bundle alone.

    DT_RPATH, unlike DT_RUNPATH, precedes LD_LIBRARY_PATH and serves libraries that plug-ins need (ld.so(8)). With
    DF_1_NODEFLIB a library that is not bundled is an error, rather than taken from the board. A program loads the
    library ``first`` before all others.
    """
    words = ["patchelf", "--page-size", "65536", "--no-default-lib"]
    if elf.starts:
        bundle, private = f"/{facts['bundle']}", f"/{facts['private']}"
        words += ["--set-interpreter", f"{bundle}/{facts['loader']}", *(["--add-needed", first] if first else [])]
        words += ["--force-rpath", "--set-rpath", f"{bundle}:{private}"]
    output(*words, str(elf.path))


def repack_debug(deb: Deb, old: str, new: str, facts: Mapping[str, Any]) -> None:
    """Write the native package's debugging symbols as those of the portable one; the data stays as it is.

    patchelf moves no code and keeps the build ID, by which debuggers find the symbols.
    """
    tree = DEBIAN / "reef" / "debug" / new
    tree.parent.mkdir(parents=True, exist_ok=True)
    output("dpkg-deb", "--raw-extract", str(deb.path), str(tree))
    control = tree / "DEBIAN" / "control"
    fields = {
        "Package": f"{new}-dbgsym", "Version": facts["version"], "Depends": f"{new} (= {facts['version']})",
        "Description": f"debug symbols for {new}",
    }  # fmt: skip
    lines = [
        f"{name}: {fields[name]}" if (name := line.partition(":")[0]) in fields else line
        for line in control.read_text().splitlines()
    ]
    control.write_text("\n".join(lines) + "\n")
    if old != new:
        docs = tree / "usr/share/doc"
        (docs / f"{old}-dbgsym").unlink()
        (docs / f"{new}-dbgsym").symlink_to(new)  # as dh_installdocs links them
    # The sections are compressed already.
    output("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(OUT))


if __name__ == "__main__":
    main(sys.argv[1:])
