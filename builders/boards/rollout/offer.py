"""The published packages, as boards can install them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from debian.debian_support import Version

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts
from builders.boards.inventory import Board
from builders.errors import nearest
from builders.model.packages import DEBUG_SUFFIX, PackageFile

EVERY_CPU = "all"
KEYRING_PACKAGE = "reef-archive-keyring"


@dataclass(frozen=True)
class PublishedFile:
    """A file that adds the repository to a board: its path there, and its content."""

    path: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Offer:
    """The packages of one published suite. ``stamp`` is its publication; ``url`` is the address that boards know."""

    suite: str
    stamp: str
    debs: Sequence[PackageFile]
    keyring: PublishedFile
    sources: PublishedFile
    url: str | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all packages but those of debugging symbols."""
        return tuple(sorted({deb.package for deb in self.debs if not deb.package.endswith(DEBUG_SUFFIX)}))

    @cached_property
    def architectures(self) -> frozenset[str]:
        """The architectures with packages of their own."""
        return frozenset(deb.architecture for deb in self.debs) - {EVERY_CPU, "source"}

    def versions(self, architecture: str) -> Mapping[str, tuple[str, ...]]:
        """Return the versions of each package for an architecture, the newest last."""
        found: dict[str, set[str]] = defaultdict(set)
        for deb in self.debs:
            if deb.architecture in (architecture, EVERY_CPU) and not deb.package.endswith(DEBUG_SUFFIX):
                found[deb.package].add(deb.version)
        return {name: tuple(sorted(versions, key=Version)) for name, versions in found.items()}


def offer_for(board: Board, facts: BoardFacts, offers: Mapping[str, Offer]) -> Offer:
    """Return the suite that a board installs from; raises BoardError if none fits its system and CPU."""
    suite = board.keys.reef_suite or facts.text("os_codename")
    system = facts.text("os_name") or "an unknown system"
    offer = offers.get(suite)
    if offer is None and board.keys.reef_suite:
        raise BoardError(
            f"{board}: reef_suite: {suite} is not published", nearest(suite, offers) if offers else "nothing is",
            "publish it, or correct boards.yml",
        )  # fmt: skip
    if offer is None:
        target = f"{suite or 'SUITE'}/{facts.architecture}"
        raise BoardError(
            f"{board}: nothing is published for {system}", f"published: {', '.join(offers) or 'nothing'}",
            f"./inv build-arm --target {target} publish-apt; for other systems than Debian set reef_suite: "
            "(Reef's docs/portable.md)",
        )  # fmt: skip
    if facts.architecture not in offer.architectures:
        raise BoardError(
            f"{board}: {suite} has no packages for {facts.architecture}",
            f"published: {', '.join(sorted(offer.architectures)) or 'none'}",
            f"./inv build-arm --target {suite}/{facts.architecture} publish-apt",
        )
    return offer


def names_of(offers: Iterable[Offer]) -> tuple[str, ...]:
    """Return the names of the packages of several suites."""
    return tuple(sorted({name for offer in offers for name in offer.names}))
