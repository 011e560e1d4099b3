"""The published packages, as boards can install them."""

import hashlib
import re
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
from builders.model.target import SUITES, Suite

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
    """The packages of one published suite. ``stamp`` is its publication; ``url`` is the address that boards know.

    ``beside`` is the .sources file of another suite, whose packages are among ``debs`` too: a candidate's.
    """

    suite: str
    stamp: str
    debs: Sequence[PackageFile]
    keyring: PublishedFile
    sources: PublishedFile
    url: str | None = None
    beside: PublishedFile | None = None

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
    """Return the suite that a board installs from; raises BoardError if none fits its system and CPU.

    Debian and Raspberry Pi OS take their own suite, whose packages are native or portable. Any other relative of
    Debian, as Ubuntu and Mendel, takes the newest suite that needs no newer C library and systemd than it has.
    """
    suite = board.keys.reef_suite or suite_of(facts, offers)
    offer = offers.get(suite)
    if offer is None and board.keys.reef_suite:
        raise BoardError(
            f"{board}: reef_suite: {suite} is not published", nearest(suite, offers) if offers else "nothing is",
            "publish it, or correct boards.yml",
        )  # fmt: skip
    if offer is None:
        raise _unpublished(board, facts, suite, offers)
    wished, offered = {*board.keys.reef_packages}, {*offer.versions(facts.architecture)}
    if facts.architecture not in offer.architectures and not (wished and wished <= offered):
        raise BoardError(
            f"{board}: {suite} has no packages for {facts.architecture}",
            f"published: {', '.join(sorted(offer.architectures)) or 'none'}",
            f"./inv build-arm --target {suite}/{facts.architecture} publish-apt",
        )
    return offer


def suite_of(facts: BoardFacts, offers: Mapping[str, Offer]) -> str:
    """Return the suite for a board's system, the newest suitable one if none is published; empty if none suits it."""
    codename = facts.text("os_codename")
    if codename in SUITES or codename in offers:
        return codename
    suitable = [suite.name for suite in SUITES.values() if _runs(facts, suite)]
    published = [
        name for name in suitable if name in offers and facts.architecture in offers[name].architectures
    ]  # fmt: skip
    return (published or suitable or [""])[-1]


def _runs(facts: BoardFacts, suite: Suite) -> bool:
    """Return whether packages of a suite fit a system of another name: its C library, and its systemd if it runs."""
    libc = tuple(int(number) for number in re.findall(r"\d+", facts.text("glibc")))
    systemd = facts.number("systemd")
    return libc >= suite.glibc and (systemd is None or systemd >= suite.systemd)


def _unpublished(board: Board, facts: BoardFacts, suite: str, offers: Mapping[str, Offer]) -> BoardError:
    system = facts.text("os_name") or "an unknown system"
    if not suite:
        has = ", ".join(filter(None, (facts.text("glibc"), f"systemd {facts.text('systemd')}".strip())))
        return BoardError(
            f"{board}: no suite fits {system}", f"it has {has}; the oldest suite is {next(iter(SUITES))}",
            "install a system that is not older than Debian 10, or set reef_suite: in boards.yml",
        )  # fmt: skip
    return BoardError(
        f"{board}: nothing is published for {system}",
        f"it takes packages of {suite}; published: {', '.join(offers) or 'nothing'}",
        f"./inv build-arm --target {suite}/{facts.architecture} publish-apt; reef_suite: in boards.yml names another",
    )


def names_of(offers: Iterable[Offer]) -> tuple[str, ...]:
    """Return the names of the packages of several suites."""
    return tuple(sorted({name for offer in offers for name in offer.names}))
