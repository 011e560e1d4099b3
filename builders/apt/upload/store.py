"""What every kind of destination can do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from builders.host.log import Step


@dataclass(frozen=True)
class File:
    """One file as it is to lie at the destination: ``key`` is its path there and below the repository here.

    ``size`` in bytes, ``mtime`` in seconds since 1970; ``link`` is what a symbolic link says, empty for a file.
    """

    key: str
    size: int
    mtime: int
    link: str = ""


@dataclass(frozen=True)
class RemoteFile:
    """What a destination says of a file: its size in bytes and a word that changes when its bytes do."""

    size: int
    tag: str


class Store(Protocol):
    """A destination; every method raises PublishError where it refuses or cannot be reached."""

    def listing(self) -> dict[str, RemoteFile]:
        """Return everything that lies there, by key; nothing where the place is not there yet."""

    def differing(self, files: Sequence[File], held: Mapping[str, RemoteFile]) -> list[File]:
        """Return those of ``files`` that are not there with the same bytes."""

    def discard_unfinished(self, files: Sequence[File]) -> str:
        """Remove what killed runs left unseen of ``files``, which are sent anew; return why that cannot be, if so."""

    def put(self, files: Sequence[File], step: Step) -> None:
        """Bring ``files`` there, in any order; each appears whole or not at all."""

    def carry(self, suite: str, old: str, new: str) -> None:
        """Let the publication ``new`` (a stamp) hold by hash what ``old`` does; only where snapshots lie there."""

    def delete(self, keys: Collection[str]) -> None:
        """Remove files."""

    def read(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return files' contents by key; those that are not there are left out."""

    def unsound(self, files: Sequence[File]) -> list[str]:
        """Return the keys of ``files`` that are not there with the same bytes, now that they were put there."""
