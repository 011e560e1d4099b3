"""Errors for users, each with three parts: what failed, the detail, what to do. Each class has an exit code."""

import difflib
from collections.abc import Iterable
from pathlib import Path


class ReefError(Exception):
    """A failure in three parts; only the command line prints it.

    ``what`` is one line that names the failed thing, ``detail`` is the evidence (any number of lines), ``fix`` is the
    advice to the user.
    """

    exit_code = 1

    def __init__(self, what: str, detail: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.detail = detail
        self.fix = fix

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.detail, self.fix) if part)


class InputError(ReefError):
    """A recipe, a setting or a command-line value is wrong."""

    exit_code = 3


class SourceError(ReefError):
    """A source cannot be fetched, verified, unpacked or edited."""

    exit_code = 4


class HostError(ReefError):
    """The machine lacks a tool, a permission or a kernel feature."""

    exit_code = 5


class RootError(ReefError):
    """A build root cannot be made or entered."""

    exit_code = 6


class BuildError(ReefError):
    """A script of a build job failed; ``log`` is the file with its whole output, if there is any."""

    exit_code = 7

    def __init__(self, what: str, detail: str = "", fix: str = "", log: Path | None = None) -> None:
        super().__init__(what, detail, fix)
        self.log = log


class PackageError(ReefError):
    """The packaging files cannot be rendered, or a .deb is malformed."""

    exit_code = 8


class CheckError(ReefError):
    """A check on finished packages failed, so they must not be published."""

    exit_code = 9


class PublishError(ReefError):
    """The apt repository cannot be written, signed or verified."""

    exit_code = 10


class DiskError(ReefError):
    """No space left, or a file under artifacts/ cannot be read or written."""

    exit_code = 11


class BusyError(ReefError):
    """Another run holds a lock that this run needs."""

    exit_code = 12


class TimeError(ReefError):
    """The run's time limit has passed; finished work is kept."""

    exit_code = 13


class OutputError(ReefError):
    """Standard output cannot be written. If its reader has ended, as head(1) does, the exit code is 141."""

    exit_code = 14


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint naming the known word closest to ``word``, or listing them all."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
