"""Debian's newest versions of packages that a build bundles: apt itself is asked, in folders of its own.

The machine's apt stays as it is. The indices are fetched at most once a day, within a time limit. Without an
answer (no apt, no network, no mirror) the sentence gives the reason: nothing but a message depends on it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from debian.debian_support import Version

from builders.errors import HostError, ReefError
from builders.host.isolated_apt import DebianLists, IsolatedApt
from builders.model.arch import Architecture
from builders.model.bundled import BundledPackage, read_bundled
from builders.model.context import Context


@dataclass(frozen=True)
class Offer:
    """The newest version of a package, and the suite that has it."""

    version: str
    suite: str


@dataclass(frozen=True)
class Comparison:
    """A sentence on a build's bundled packages, and a line for each package that Debian has in a newer version."""

    sentence: str
    newer: tuple[str, ...] = ()


def compare(context: Context, path: Path, suite: str, architecture: Architecture) -> Comparison:
    """Return how the packages in the ``bundled.tsv`` at ``path`` compare with Debian's.

    They were taken from ``suite`` for ``architecture``.
    """
    try:
        bundled = read_bundled(path)
        offers = newest(context, suite, architecture, [package.name for package in bundled])
    except ReefError as error:
        return Comparison(f"it is unknown whether Debian has newer versions of its bundled packages: {error.what}")
    newer = list(_newer(bundled, offers))
    if not newer:
        return Comparison(f"{len(bundled)} bundled Debian packages are current")
    return Comparison(
        f"Debian has newer versions of {len(newer)} of {len(bundled)} bundled packages",
        tuple(_line(package, offer, suite) for package, offer in newer),
    )


def newest(context: Context, suite: str, architecture: Architecture, packages: Iterable[str]) -> Mapping[str, Offer]:
    """Return the newest version of each package that Debian has; raises a ReefError that says why it is unknown."""
    with _refreshed(context, suite, architecture) as index:
        # Each line: package, version, and "site suite/component architecture Packages" (apt-cache(8), madison).
        said = index.run("apt-cache", "madison", *packages)
    found: dict[str, Offer] = {}
    for line in said.splitlines():
        package, version, place = (part.strip() for part in line.split("|"))
        found.setdefault(package, Offer(version, place.split()[1].partition("/")[0]))  # apt lists the newest first
    return found


def summaries(context: Context, suite: str, architecture: Architecture, packages: Iterable[str]) -> dict[str, str]:
    """Return the first line of the description of each package that the suite has; raises HostError."""
    with _refreshed(context, suite, architecture) as index:
        try:
            text = index.run("apt-cache", "show", "--no-all-versions", *packages)
        except HostError as error:
            if "No packages found" in error.what:
                return {}
            raise
    found = (dict(re.findall(r"^(Package|Description): (.*)$", part, re.MULTILINE)) for part in text.split("\n\n"))
    return {fields["Package"]: fields.get("Description", "") for fields in found if "Package" in fields}


def source_stanzas(context: Context, suite: str, name: str) -> str:
    """Return the stanzas of the source package ``name``, empty if Debian has none; raises HostError."""
    with _refreshed(context, suite, context.machine, "deb-src") as index:
        try:
            return index.run("apt-cache", "--only-source", "showsrc", name)
        except HostError as error:
            if "Unable to locate package" in error.what or "No packages found" in error.what:
                return ""
            raise


def source_names(context: Context, suite: str) -> Mapping[str, Sequence[str]]:
    """Return the names of all source packages of a suite, each with its binary packages; raises HostError."""
    found: dict[str, Sequence[str]] = {}
    with _refreshed(context, suite, context.machine, "deb-src") as index:
        lists = sorted((index.folder / "state" / "lists").glob("*_Sources*"))
        text = index.run("/usr/lib/apt/apt-helper", "cat-file", *map(str, lists)) if lists else ""
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Binary): (.*(?:\n .*)*)$", stanza, re.MULTILINE))
        if "Package" in fields:
            found[fields["Package"]] = [name.strip() for name in fields.get("Binary", "").split(",")]
    return found


def _refreshed(
    context: Context, suite: str, architecture: Architecture, kind: str = "deb"
) -> AbstractContextManager[IsolatedApt]:
    """Give apt with the indices of a suite, none older than a day; ``kind`` is ``deb`` or ``deb-src``."""
    lists = DebianLists(context.workspace, context.log, context.settings.debian_mirror)
    return lists.of(suite, architecture.debian, kind)


def _newer(
    bundled: Iterable[BundledPackage], offers: Mapping[str, Offer]
) -> Iterator[tuple[BundledPackage, Offer | None]]:
    """Yield the packages of which Debian has a newer version, or none at all any more."""
    for package in bundled:
        offer = offers.get(package.name)
        if offer is None or Version(offer.version) > Version(package.version):
            yield package, offer


def _line(package: BundledPackage, offer: Offer | None, suite: str) -> str:
    start = f"{package.name} {package.version} ->"
    if offer is None:
        return f"{start} no longer in {suite}"
    if offer.suite == suite:
        return f"{start} {offer.version}"
    return f"{start} {offer.version}, in {offer.suite}"
