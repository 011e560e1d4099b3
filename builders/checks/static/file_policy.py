"""``file-policy``: places, owners and modes of files follow Debian Policy and the FHS."""

import posixpath
from collections.abc import Iterator

from builders.checks.static.contents import Contents, Entry
from builders.checks.static.places import linked, misplaced, within
from builders.checks.verdict import judged
from builders.model.packages import Verdict
from builders.model.target import Target

STATIC_IDS = range(100)
"""Users and groups that are the same on every Debian system (Debian Policy 9.2.2), such as root and games."""
GAMES_GID = 60
FIX = "correct files:, links: or conffiles: of the package, or the install script, in the recipe"


def check_files(contents: Contents, target: Target) -> Verdict:
    """Judge each path, mode, owner and link of a package.

    Sources: the FHS and Debian Policy 9.1 (places), 10.5 (symbolic links), 10.6 (device files), 10.7.2 (configuration
    files), 10.9 (permissions and owners), 11.11 (games), 8.2 and the Multi-Arch specification (libraries in the
    triplet's folder).
    """
    parents = {posixpath.dirname(entry.path) for entry in contents.entries}
    faults = [fault for entry in contents.entries if entry.path for fault in _entry_faults(entry, contents)]
    faults += [
        f"/{entry.path}: {reason}"
        for entry in contents.entries
        # Of a folder in a wrong place, the content is a fault.
        if entry.path and not (entry.kind == "folder" and entry.path in parents)
        if (reason := misplaced(entry, contents, target))
    ]
    faults += [f"/{path}: its text contains {contents.build_path}, the folder of the build" for path in contents.leaks]
    faults += _conffile_faults(contents)
    faults += _same_faults(contents, target)
    return judged("file-policy", contents.deb.package, faults, FIX, passed=f"{len(contents.entries)} entries")


def _entry_faults(entry: Entry, contents: Contents) -> Iterator[str]:
    where = f"/{entry.path}"
    yield from (f"{where}: {why}" for why in (*_path_faults(entry, contents), *_owner_faults(entry)))
    if entry.kind == "special":
        yield f"{where}: a device or named pipe, which no package may ship"
    if entry.kind == "hardlink" and within(entry.path, ("etc",)):
        yield f"{where}: a hard link of a configuration file, which editors and dpkg break (Debian Policy 10.7.3)"
    if entry.kind == "symlink":
        yield from (f"{where} -> {entry.link}: {why}" for why in _link_faults(entry))
    else:
        yield from (f"{where}: {why}" for why in _mode_faults(entry))


def _owner_faults(entry: Entry) -> Iterator[str]:
    """Yield faults by Policy 10.9 and 9.2.2: root owns files, or another user or group that every system has."""
    user, _, group = entry.owner.partition(":")
    root = (entry.uid or user in ("root", "0")) and (entry.gid or group in ("root", "0"))
    if entry.uid not in STATIC_IDS or entry.gid not in STATIC_IDS or not root:
        yield f"owned by {entry.owner} ({entry.uid}:{entry.gid}), expected: root:root"


def _mode_faults(entry: Entry) -> Iterator[str]:
    """Yield faults by Policy 10.9; folders may be setgid, and games for their scores (Policy 11.11)."""
    game = within(entry.path, ("usr/games",)) and entry.gid == GAMES_GID and entry.mode == 0o2755
    if entry.mode & 0o4000 or (entry.mode & 0o2000 and entry.kind != "folder" and not game):
        yield f"setuid or setgid (mode {entry.mode:04o})"
    if entry.mode & 0o002:
        yield f"writable by everyone (mode {entry.mode:04o})"


def _path_faults(entry: Entry, contents: Contents) -> Iterator[str]:
    parts = entry.path.split("/")
    if ".." in parts or "." in parts:
        yield "the path contains . or .."
    if contents.build_path.strip("/") in entry.path:
        yield "the path contains the folder of the build"


def _link_faults(entry: Entry) -> Iterator[str]:
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
    if not resolved.startswith("..") and not linked(resolved):
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
    triplet = target.architecture.triplet
    libraries = [
        entry.path
        for entry in contents.entries
        for name in [posixpath.basename(entry.path)]
        if entry.kind != "folder" and (name.endswith((".so", ".a")) or ".so." in name)
        if within(entry.path, ("usr/lib", "lib"))
    ]
    for path in dict.fromkeys([*(elf.path for elf in contents.elves), *libraries]):
        # In the folder's name, or in the file's as of Python's modules.
        if triplet not in path:
            yield f"/{path}: Multi-Arch: same, but outside /usr/lib/{triplet}"
