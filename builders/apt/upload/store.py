"""The interface of every kind of destination."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from builders.host.log import Step


@dataclass(frozen=True)
class File:
    """One file as it is to be at the destination: ``key`` is its path there and below the repository here.

    ``size`` in bytes, ``mtime`` in seconds since 1970; ``link`` is the target of a symbolic link, empty for a file.
    """

    key: str
    size: int
    mtime: int
    link: str = ""


@dataclass(frozen=True)
class RemoteFile:
    """A file at the destination: its size in bytes, and a word that changes when its bytes do."""

    size: int
    tag: str


class Store(Protocol):
    """A destination; every method raises PublishError where it refuses or cannot be reached."""

    def listing(self) -> dict[str, RemoteFile]:
        """Return every file at the destination by key; nothing where the destination does not exist yet."""

    def differing(self, files: Sequence[File], held: Mapping[str, RemoteFile]) -> list[File]:
        """Return those of ``files`` that are missing or different at the destination."""

    def discard_unfinished(self, files: Sequence[File]) -> str:
        """Remove unfinished ``files`` of killed runs; return the reason where that is impossible."""

    def put(self, files: Sequence[File], step: Step) -> None:
        """Upload ``files`` in any order; each appears whole or not at all."""

    def carry(self, suite: str, old: str, new: str) -> None:
        """Add the indices by hash of the publication ``old`` (a stamp) to ``new``; only where snapshots are kept."""

    def delete(self, keys: Collection[str]) -> None:
        """Remove files."""

    def read(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return files' contents by key, without those that do not exist."""

    def unsound(self, files: Sequence[File]) -> list[str]:
        """Return the keys of uploaded ``files`` that are missing or different."""
