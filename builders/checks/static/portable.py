"""``portable``: a portable package uses the C library and the loader of its runtime, and nothing of the board's."""

import posixpath
from collections.abc import Iterator

from builders.checks.static.contents import Contents
from builders.checks.static.elf import Elf
from builders.checks.verdict import judged
from builders.model.packages import Verdict
from builders.model.recipe import PortableFolders, Recipe
from builders.model.target import Target

FIX = "look into debian/reef/portable_driver.py in the build's root, and into portable: of the recipe"


def check_portable(contents: Contents, target: Target, recipe: Recipe) -> Verdict:
    """Judge loaders and search paths (gABI, "Dynamic Linking"; DT_RPATH precedes LD_LIBRARY_PATH, ld.so(8)).

    A runtime holds all libraries that its libraries need. A program names the runtime's loader, and searches libraries
    in the runtime's folder and in the folder of portable libraries. No library is where the board's loader looks.
    """
    faults = _of_runtime(contents) if recipe.build.runtime else _of_programs(contents, target, recipe)
    programs = sum(bool(elf.loader) for elf in contents.elves)
    others = len(contents.elves) - programs
    return judged("portable", contents.deb.package, faults, FIX, passed=f"{programs} programs, {others} libraries")


def _of_runtime(contents: Contents) -> Iterator[str]:
    files = {posixpath.split(elf.path) for elf in contents.elves}
    for elf in contents.elves:
        if elf.fault:
            yield f"{elf.path}: {elf.fault}"
        folder = posixpath.dirname(elf.path)
        for name in elf.needed:
            if (folder, name) not in files:
                yield f"{elf.path}: needs {name}, which is not in /{folder}"
    for entry in contents.entries:
        if posixpath.basename(entry.path).startswith("ld-linux") and entry.mode & 0o111 != 0o111:
            yield f"{entry.path}: the loader is not executable (mode {entry.mode:04o})"


def _of_programs(contents: Contents, target: Target, recipe: Recipe) -> Iterator[str]:
    if contents.debug or recipe.build.repack is None:
        return
    folders = PortableFolders(target.architecture, recipe.build.repack.runtime_version)
    for elf in contents.elves:
        yield from _fault(elf, folders)
        if f"/{posixpath.dirname(elf.path)}" == folders.public:
            yield f"{elf.path}: programs of the board would load it; libraries belong into {folders.private}"


def _fault(elf: Elf, folders: PortableFolders) -> Iterator[str]:
    if elf.fault:
        yield f"{elf.path}: {elf.fault}"
    elif elf.loader and elf.loader != folders.loader:
        yield f"{elf.path}: its loader is {elf.loader}, expected: {folders.loader}"
    elif elf.loader and elf.rpath != folders.rpath:
        yield f"{elf.path}: its DT_RPATH is {elf.rpath or 'missing'}, expected: {folders.rpath}"
    elif elf.loader and elf.default_folders:
        yield f"{elf.path}: it looks for libraries in the board's folders too (no DF_1_NODEFLIB)"
