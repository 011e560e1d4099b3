"""Names and paths in the repository: which names are safe, and where each file is.

::

    pool/<component>/<prefix>/<source>/<package>_<version>_<architecture>.deb
    pool/<component>/<prefix>/<source>/<source>_<version>.dsc, and beside it the files that it names
    snapshots/<suite>/<stamp>/dists/<suite>/    one publication: InRelease, Release, Release.gpg, indices, by-hash
    snapshots/<suite>/<stamp>/pool              link to the pool, so that a snapshot is an apt repository by itself
    dists/<suite>                               link to the live publication; one rename of it publishes
    reef-archive-keyring.gpg, .asc, <label>-<suite>.sources, index.html

``dists/<suite>`` is a relative link as in Debian's own archive (``stable``): rsync and every HTTP server keep it.
"""

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.errors import InputError, PublishError, nearest
from builders.model.target import SUITES

KEYRING = "reef-archive-keyring.gpg"
ARMORED_KEYRING = "reef-archive-keyring.asc"
INSTALLED_KEYRING = f"/usr/share/keyrings/{KEYRING}"
"""Path of the keyring on a board; the keyring package installs it there too."""
PAGE = "index.html"
"""The landing page, at the repository's root."""
DEBUG_COMPONENT = "debug"
"""Component of the -dbgsym packages: boards on slow lines do not download their half of the index."""

MOST_NAME = 240
"""Characters of a file name: filesystems allow 255, and the name of an unfinished file is a few longer."""

PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
VERSION = re.compile(r"(?:[0-9]+:)?[0-9A-Za-z][0-9A-Za-z.+~-]*")
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]+")
SUITE = re.compile(r"[a-z0-9][a-z0-9+.-]*")
COMPONENT = re.compile(r"[a-z0-9][a-z0-9+-]*")
PART = re.compile(r"[0-9A-Za-z+.~_-]+\.(?:tar\.(?:gz|bz2|xz|lzma)(?:\.asc)?|diff\.gz)")
"""End of the name of a source package's tarball, diff or upstream signature, after the source's name and ``_``."""
STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True)
class RepositoryLayout:
    """The fixed paths of the repository in the folder ``path``."""

    path: Path

    @property
    def pool(self) -> Path:
        """The folder of all .debs of all suites and publications."""
        return self.path / "pool"

    def live(self, suite: str) -> Path:
        """Return the link that readers follow to a suite's indices."""
        return self.path / "dists" / suite

    def snapshots(self, suite: str) -> Path:
        """Return the folder of a suite's publications, one folder per stamp."""
        return self.path / "snapshots" / suite

    def snapshot(self, suite: str, stamp: str) -> Path:
        """Return one publication of a suite: an apt repository by itself."""
        return self.snapshots(suite) / stamp

    def indices(self, suite: str, stamp: str) -> Path:
        """Return the folder of one publication's InRelease and indices."""
        return self.snapshot(suite, stamp) / "dists" / suite

    def stamps(self, suite: str) -> list[str]:
        """Return the stamps of a suite's publications, oldest first, including those that a killed run left."""
        names = (path.name for path in self.snapshots(suite).glob("*"))
        return sorted(name for name in names if STAMP.fullmatch(name))

    def suites(self) -> list[str]:
        """Return the names of the published suites."""
        links = (path.name for path in (self.path / "dists").glob("*") if path.is_symlink())
        return sorted(name for name in links if not name.startswith("."))

    def live_stamp(self, suite: str) -> str | None:
        """Return the stamp of a suite's live publication, None where there is none; raises PublishError."""
        link = self.live(suite)
        if not os.path.lexists(link):
            return None
        target = os.readlink(link) if link.is_symlink() else ""
        parts = target.split("/")
        if len(parts) != 6 or parts[:3] != ["..", "snapshots", suite] or parts[4:] != ["dists", suite]:
            raise PublishError(
                f"{link} was not made by Reef",
                f"expected a link into snapshots/{suite}, found: {target or 'a folder or file'}",
                "publish into an empty folder, or move this path away",
            )
        return parts[3]


def link_target(suite: str, stamp: str) -> str:
    """Return the target of the link ``dists/<suite>`` for one publication."""
    return f"../snapshots/{suite}/{stamp}/dists/{suite}"


def stamp_of(date: int) -> str:
    """Return a publication's name from its Release date (seconds since 1970): ``20261231T235959Z``."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(date))


def checked(kind: str, value: str, pattern: re.Pattern[str], where: str = "") -> str:
    """Return ``value`` where it matches ``pattern`` and cannot leave its folder; raises PublishError."""
    if not pattern.fullmatch(value) or ".." in value.split("/"):
        place = f"{where}: " if where else ""
        raise PublishError(f"{place}unsafe {kind}: {value!r}", f"it must match {pattern.pattern}", "correct it")
    return value


def pool_path(control: Mapping[str, str], component: str, where: str) -> str:
    """Return a package's path below the repository (Debian Policy 5.6; pool prefixes as in Debian's archive).

    ``control`` contains its control fields, ``where`` names the .deb in an error. Raises PublishError for a name,
    version or architecture that Debian Policy (5.6.1, 5.6.7, 5.6.12) does not allow.
    """
    package = checked("package name", control["Package"], PACKAGE, where)
    version = checked("version", control["Version"], VERSION, where)
    architecture = checked("architecture", control["Architecture"], ARCHITECTURE, where)
    named = control.get("Source", package).partition(" ")[0]
    source = checked("source name", named, PACKAGE, where)
    return _placed(source, f"{package}_{_without_epoch(version)}_{architecture}.deb", component, where)


def source_paths(fields: Mapping[str, str], parts: Iterable[str], component: str, where: str) -> list[str]:
    """Return the paths below the repository of a .dsc with ``fields`` and of its ``parts``, which keep their names.

    Raises PublishError naming ``where`` as `pool_path` does, and for a part that is not named after the source.
    """
    source = checked("source name", fields["Source"], PACKAGE, where)
    version = checked("version", fields["Version"], VERSION, where)
    own = re.compile(re.escape(source) + "_" + PART.pattern)
    names = [f"{source}_{_without_epoch(version)}.dsc", *(checked("file name", part, own, where) for part in parts)]
    return [_placed(source, name, component, where) for name in names]


def _without_epoch(version: str) -> str:
    _, colon, rest = version.partition(":")
    return rest if colon else version


def _placed(source: str, name: str, component: str, where: str) -> str:
    prefix = source[:4] if source.startswith("lib") and len(source) > 3 else source[0]
    if max(len(name), len(source)) > MOST_NAME:
        raise PublishError(
            f"{where}: its name is too long for a file: {max(len(name), len(source))} characters",
            f"{name[:80]}…: at most {MOST_NAME} are possible",
            "shorten the package's name or version",
        )
    return f"pool/{component}/{prefix}/{source}/{name}"


def component_of(control: Mapping[str, str], main: str) -> str:
    """Return the component of a package: debug symbols (deb-control(5), Auto-Built-Package) have their own."""
    return DEBUG_COMPONENT if control.get("Auto-Built-Package") == "debug-symbols" else main


def codename(suite: str) -> str:
    """Return the board release that a suite serves: ``trixie`` of ``trixie-testing``; raises InputError."""
    name = suite.partition("-")[0]
    if name not in SUITES:
        raise InputError(
            f"unknown suite: {suite!r}",
            "a suite is a release's codename, alone or with a suffix as in trixie-testing",
            nearest(name, SUITES),
        )
    return name


def suffixed(suite: str, suffix: str) -> str:
    """Return the suite to publish into: ``trixie-testing`` of ``trixie`` and ``testing``; raises InputError."""
    if suffix and not suffix.isalnum():
        raise InputError(
            f"invalid suffix of a suite: {suffix!r}", "it may contain letters and digits", "choose one like testing"
        )
    return f"{suite}-{suffix.lower()}" if suffix else suite
