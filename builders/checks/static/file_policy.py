"""``file-policy``: places, owners and modes of files follow Debian Policy and the FHS."""

import posixpath
from collections.abc import Iterator

from builders.checks.static.contents import Contents, Entry
from builders.checks.verdict import judged
from builders.model.packages import Verdict
from builders.model.target import Target

PLACES = (
    "usr/bin", "usr/sbin", "usr/lib", "usr/libexec", "usr/share", "usr/include", "usr/src", "etc", "var/lib",
)  # fmt: skip
"""The places for files of a package (Debian Policy 9.1.1, FHS 3.0); usr/src is for drivers that boards compile."""
EMPTY_PLACES = ("var/cache", "var/log")
"""Places in which a package may make folders but no files: these belong to run time (FHS 5.5, 5.10)."""
OLD_PLACES = ("lib/udev", "lib/systemd", "lib/firmware", "lib/modprobe.d")
"""Further places before trixie; from trixie on only base-files may ship /lib, which is an alias of /usr/lib."""
DEBUG_PLACES = ("usr/lib/debug", "usr/share/doc")
LINKED_OUTSIDE = ("dev/null", "run", "var")
"""Targets of absolute links besides the places of packages."""
FIX = "correct files:, links: or conffiles: of the package, or the install script, in the recipe"


def check_files(contents: Contents, target: Target) -> Verdict:
    """Judge each path, mode, owner and link of a package.

    Sources: Debian Policy 9.1.1 (file system), 10.5 (symbolic links), 10.6 (device files), 10.7.2 (configuration
    files), 10.9 (permissions and owners), 8.2 and the Multi-Arch specification (libraries in the triplet's folder).
    """
    faults = [fault for entry in contents.entries if entry.path for fault in _entry_faults(entry, contents, target)]
    faults += _conffile_faults(contents)
    faults += _same_faults(contents, target)
    return judged("file-policy", contents.deb.package, faults, FIX, passed=f"{len(contents.entries)} entries")


def _entry_faults(entry: Entry, contents: Contents, target: Target) -> Iterator[str]:
    where = f"/{entry.path}"
    yield from (f"{where}: {why}" for why in _place_faults(entry, contents, target))
    if entry.uid or entry.gid or entry.owner not in ("root:root", "0:0", "root:0", "0:root"):
        yield f"{where}: owned by {entry.owner} ({entry.uid}:{entry.gid}), expected: root:root"
    if entry.kind == "special":
        yield f"{where}: a device or named pipe, which no package may ship"
    if entry.kind == "symlink":
        yield from (f"{where} -> {entry.link}: {why}" for why in _link_faults(entry, target))
        return
    if entry.mode & 0o6000:
        yield f"{where}: setuid or setgid (mode {entry.mode:04o})"
    if entry.mode & 0o002:
        yield f"{where}: writable by everyone (mode {entry.mode:04o})"


def _place_faults(entry: Entry, contents: Contents, target: Target) -> Iterator[str]:
    parts = entry.path.split("/")
    if ".." in parts or "." in parts:
        yield "the path contains . or .."
    if "build" in parts[:-1] and not _within(entry.path, ("usr/include",)):
        yield "the path contains the name of the build folder"
    places = DEBUG_PLACES if contents.debug else _places(target)
    fits = _within(entry.path, places)
    if entry.kind == "folder":
        # A package may also make the folders above a place, and folders for run-time data.
        fits = fits or _above(entry.path, places) or _within(entry.path, EMPTY_PLACES)
        fits = fits or _above(entry.path, EMPTY_PLACES)
    if not fits:
        yield _refusal(entry.path, contents, target)


def _refusal(path: str, contents: Contents, target: Target) -> str:
    if contents.debug:
        return f"a package of debugging symbols holds only {' and '.join(f'/{place}' for place in DEBUG_PLACES)}"
    if _within(path, ("lib",)) and target.suite.usr_merged:
        return f"{target.suite.name} has /lib as a link to /usr/lib: put it under /usr/lib"
    return f"not a place for a package's files; places: {', '.join(f'/{place}' for place in _places(target))}"


def _places(target: Target) -> tuple[str, ...]:
    return PLACES if target.suite.usr_merged else PLACES + OLD_PLACES


def _within(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _above(path: str, places: tuple[str, ...]) -> bool:
    return any(place.startswith(f"{path}/") for place in places)


def _link_faults(entry: Entry, target: Target) -> Iterator[str]:
    """Yield faults by Policy 10.5: relative within a top-level folder, absolute between two, inside the root."""
    top = entry.path.split("/", 1)[0]
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.link)).lstrip("/")
    if entry.link.startswith("/"):
        if resolved.split("/", 1)[0] == top:
            yield "an absolute link within one top-level folder: make it relative"
    elif resolved.startswith(".."):
        yield "leads above the root"
    elif resolved.split("/", 1)[0] != top:
        yield "a relative link into another top-level folder: make it absolute"
    if not resolved.startswith("..") and not _within(resolved, (*_places(target), *LINKED_OUTSIDE)):
        yield "leads to a place that no package owns"


def _conffile_faults(contents: Contents) -> Iterator[str]:
    files = {f"/{entry.path}" for entry in contents.entries if entry.kind in ("file", "hardlink")}
    for path in sorted(files - set(contents.conffiles)):
        if path.startswith("/etc/"):
            yield f"{path}: a file under /etc that is not a conffile, so upgrades would overwrite the owner's changes"
    for path in contents.conffiles:
        if path not in files:
            yield f"{path}: a conffile that the package does not hold"
        elif not path.startswith("/etc/"):
            yield f"{path}: a conffile outside /etc"


def _same_faults(contents: Contents, target: Target) -> Iterator[str]:
    """Yield files of one CPU at a path of all: ``Multi-Arch: same`` is installed for several CPUs at once."""
    if contents.control.get("Multi-Arch") != "same" or contents.debug:
        return
    place = f"usr/lib/{target.architecture.triplet}"
    for path in dict.fromkeys(elf.path for elf in contents.elves):
        if not _within(path, (place,)):
            yield f"/{path}: Multi-Arch: same, but outside /{place}"
    for entry in contents.entries:
        name = posixpath.basename(entry.path)
        library = entry.kind != "folder" and (name.endswith((".so", ".a")) or ".so." in name)
        if library and _within(entry.path, ("usr/lib", "lib")) and not _within(entry.path, (place,)):
            yield f"/{entry.path}: Multi-Arch: same, but outside /{place}"
