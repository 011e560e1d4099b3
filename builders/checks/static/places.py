"""Places of a package's files: those of the FHS 3.0, with the exceptions of Debian Policy 9.1."""

import re
from collections.abc import Iterable

from builders.checks.static.contents import Contents, Entry
from builders.model.arch import ARCHITECTURES
from builders.model.target import Target

PLACES = (
    "boot", "etc", "usr/bin", "usr/games", "usr/include", "usr/lib", "usr/lib32", "usr/libexec", "usr/libx32",
    "usr/sbin", "usr/share", "usr/src", "var/games", "var/lib", "var/spool", "var/www",
)  # fmt: skip
"""The places for files (FHS 3.5 to 5.14); /var/www is an addition of Debian Policy 9.1.1."""
EMPTY_PLACES = ("var/account", "var/cache", "var/crash", "var/log")
"""Places in which a package may make folders but no files: these belong to run time (FHS 5.4 to 5.6, 5.10)."""
TOOLCHAIN = re.compile(r"usr/([^/-]+-[^/-]+(?:-[^/-]+){0,2})(?:/|$)")
"""A folder named as a GNU system (arm-none-eabi), where cross toolchains install by default."""
OLD_PLACES = ("bin", "lib", "sbin")
"""Further places before trixie; from trixie on only base-files may ship these, as links into /usr."""
DEBUG_PLACES = ("usr/lib/debug", "usr/share/doc")
REFUSED = {
    "usr/local": "the administrator's own; no package has files or folders there (Debian Policy 9.1.2)",
    "usr/lib64": "no package for a 64-bit CPU has files there (Debian Policy 9.1.1): put it under /usr/lib/{triplet}",
    "lib64": "only the C library may use it (Debian Policy 9.1.1): put it under /usr/lib/{triplet}",
    "run": "it is empty at each start: use RuntimeDirectory= of the unit, or tmpfiles.d (Debian Policy 9.1.4)",
    "var/run": "a link to /run: use RuntimeDirectory= of the unit, or tmpfiles.d (Debian Policy 9.1.4)",
    "var/lock": "a link to /run/lock: use tmpfiles.d (Debian Policy 9.1.4)",
    "tmp": "programs must not assume that files in it are preserved (FHS 3.18): use tmpfiles.d",
    "var/tmp": "its files are deleted in a site-specific manner (FHS 5.15): use tmpfiles.d",
    "var/mail": "a part of the base system (Debian Policy 9.1.3)",
    "var/backups": "of base-files and dpkg for copies of system files, not of the FHS: use /var/lib",
    "home": "it belongs to the users (FHS 3.8); for a service use /var/lib",
    "root": "it belongs to the administrator (FHS 3.14)",
    "srv": "its structure is the administrator's (FHS 3.17): use /usr/share, /var/lib or /var/www",
    "media": "for mount points of removable media (FHS 3.11)",
    "mnt": "for temporary mounts of the administrator (FHS 3.12)",
    "dev": "the kernel's and udev's", "proc": "the kernel's", "sys": "the kernel's",
    "opt": "for software beside the distribution (FHS 3.13); if a vendor's program needs it, accept: bears it",
    "var/opt": "the data of software in /opt (FHS 5.12): use /var/lib",
}  # fmt: skip
"""Places that no package has, with the reason."""
LINKED_OUTSIDE = (*OLD_PLACES, "dev", "lib64", "opt", "proc", "run", "sys", "usr/lib64", "var")
"""Targets of links besides the places for files."""


def misplaced(entry: Entry, contents: Contents, target: Target) -> str:
    """Return why ``entry`` is in the wrong place, empty if it is not."""
    path, folder = entry.path, entry.kind == "folder"
    if contents.debug:
        fits = within(path, DEBUG_PLACES) or (folder and _above(path, DEBUG_PLACES))
        named = " and ".join(f"/{place}" for place in DEBUG_PLACES)
        return "" if fits else f"a package of debugging symbols holds only {named}"
    for place, reason in REFUSED.items():
        if within(path, (place,)):
            why = reason.format(triplet=target.architecture.triplet)
            return f"/{place} is not a place for a package's files: {why}"
    if found := TOOLCHAIN.match(path):
        system = found[1]
        return (
            f"/usr/{system} is not a place for a package's files: neither FHS 4 nor Debian Policy 9.1.1 has "
            f"it for cross toolchains; put it under /usr/lib/{system}, or accept it"
        )
    return _other_triplet(path, contents, target) or _outside(path, target, folder=folder)


def linked(path: str) -> bool:
    """Return whether a package may link to ``path``."""
    return within(path, (*PLACES, *LINKED_OUTSIDE))


def within(path: str, places: Iterable[str]) -> bool:
    """Return whether ``path`` is one of ``places`` or below it."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _outside(path: str, target: Target, *, folder: bool) -> str:
    places = PLACES if target.suite.usr_merged else PLACES + OLD_PLACES
    fits = within(path, places)
    if folder:
        # A package may also make the folders above a place, and folders for run-time data.
        fits = fits or _above(path, (*places, *EMPTY_PLACES)) or within(path, EMPTY_PLACES)
    if fits:
        return ""
    if target.suite.usr_merged and within(path, OLD_PLACES):
        top = path.split("/", 1)[0]
        return f"{target.suite.name} has /{top} as a link to /usr/{top}: put it under /usr/{top}"
    if within(path, EMPTY_PLACES):
        return "a package may make folders here, but no files: they belong to run time (FHS 5.4 to 5.6, 5.10)"
    named = ", ".join(f"/{place}" for place in places)
    return f"not a place for a package's files; places: {named}"


def _other_triplet(path: str, contents: Contents, target: Target) -> str:
    """Policy 9.1.1: no package has files in the folders of another CPU than its own."""
    own = "" if contents.control["Architecture"] == "all" else target.architecture.triplet
    for other in ARCHITECTURES.values():
        folders = (f"{top}/{other.triplet}" for top in ("usr/lib", "usr/include", "lib"))
        if other.triplet != own and within(path, folders):
            return f"the folder of another CPU, {other.debian}; the package is for {contents.control['Architecture']}"
    return ""


def _above(path: str, places: tuple[str, ...]) -> bool:
    return any(place.startswith(f"{path}/") for place in places)
