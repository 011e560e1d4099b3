"""``archive``: the dpkg of the target's suite can unpack the package.

deb(5) and deb-conffiles(5) of dpkg say since which version each part of a .deb is understood. The fields of the control
file need no check: dpkg-deb parses them as dpkg does (lib/dpkg/parse.c), and builds no package that dpkg refuses. Those
of packages that somebody else built were read as publishing reads them, before the job.
"""

from collections.abc import Iterator, Mapping

from builders.checks.static.contents import Contents
from builders.checks.verdict import judged
from builders.model.packages import Verdict
from builders.model.target import Suite, Target

Version = tuple[int, ...]

DPKG: Mapping[str, Version] = {
    "buster": (1, 19, 7),
    "bullseye": (1, 20, 9),
    "bookworm": (1, 21, 22),
    "trixie": (1, 22, 21),
}
"""The dpkg of each suite's first release: a board may lack later updates."""
FORMAT = "debian-binary"
CONTROL: Mapping[str, Version] = {"": (1, 17, 6), ".gz": (0,), ".xz": (1, 17, 6), ".zst": (1, 21, 18)}
DATA: Mapping[str, Version] = {
    "": (1, 10, 24), ".gz": (0,), ".bz2": (1, 10, 24), ".lzma": (1, 13, 25), ".xz": (1, 15, 6), ".zst": (1, 21, 18),
}  # fmt: skip
"""The compressions of the two archives by suffix, with the dpkg that reads them first (deb(5))."""
REMOVE_ON_UPGRADE: Version = (1, 20, 6)
"""Older dpkg takes the flag for a part of the path (deb-conffiles(5))."""
FIX = "make it with dpkg-deb -Zxz (in debian/rules: dh_builddeb -- -Zxz)"


def check_archive(contents: Contents, target: Target) -> Verdict:
    """Judge the members of the outer archive, the headers in the data archive, and the flags of conffiles."""
    shown = ", ".join(name for name in contents.archive[1:] if not name.startswith("_"))
    return judged("archive", contents.deb.package, _faults(contents, target.suite), FIX, passed=shown)


def _faults(contents: Contents, suite: Suite) -> Iterator[str]:
    # Members whose names begin with an underscore are for other programs; dpkg skips them.
    names = [name for name in contents.archive if not name.startswith("_")]
    if len(names) != 3 or names[0] != FORMAT:
        yield f"its members are {', '.join(names) or 'none'}, expected: {FORMAT}, control.tar.* and data.tar.*"
        return
    yield from _member_faults(names[1], "control.tar", CONTROL, suite)
    yield from _member_faults(names[2], "data.tar", DATA, suite)
    for entry in contents.entries:
        if entry.pax:
            yield f"/{entry.path}: a POSIX (pax) header, which no dpkg reads"
    for path in contents.remove_on_upgrade:
        yield from _newer(f"remove-on-upgrade of {path}", REMOVE_ON_UPGRADE, suite)


def _member_faults(name: str, start: str, known: Mapping[str, Version], suite: Suite) -> Iterator[str]:
    suffix = name.removeprefix(start)
    if suffix not in known:
        yield f"no dpkg reads the member {name} as {start}"
    else:
        yield from _newer(name, known[suffix], suite)


def _newer(what: str, since: Version, suite: Suite) -> Iterator[str]:
    if since > DPKG[suite.name]:
        yield f"{what} needs dpkg {_shown(since)}, {suite.name} has {_shown(DPKG[suite.name])}"


def _shown(version: Version) -> str:
    return ".".join(map(str, version))
