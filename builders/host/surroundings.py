"""The inheritance of a run from its caller: standard files, locale, umask and home, each brought into a known state.

A run from cron, from a service or through ssh then does the same as a run in a terminal.
"""

import codecs
import io
import os
import pwd
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from builders.errors import OutputError

UMASK = 0o022
"""Folders and files of roots, packages and repositories are readable for all; private files set their own mode."""
PLAIN = {"▸": ">", "✓": "+", "✗": "x", "…": "...", "→": "->"}
"""Marks of the display, for terminals whose encoding lacks them."""
HANDLER = "reef.plain"
PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+-]{,50}")
"""A path for temporary files: apt's lists of sources take no spaces, and sockets no more than 107 bytes (unix(7))."""
STDERR = 2
NOWHERE = "/"
"""The home of a user who has none, as in containers."""


def settle() -> None:
    """Bring everything that the process inherited into a known state. May start the process again, once."""
    _open_missing_files()
    _use_utf8()
    _show_everything()
    os.umask(UMASK)
    _have_a_home()
    _have_plain_temporary_files()


def _open_missing_files() -> None:
    """Open /dev/null for each standard file that the caller closed: the next file opened would take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))  # noqa: SIM115


def _use_utf8() -> None:
    """Start Python again in its UTF-8 mode if the locale has another encoding.

    Recipes, logs and names of files are UTF-8 whatever the locale; its encoding would change their bytes.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - this program


class Output(io.TextIOWrapper):
    """A standard file that shows every character, and raises OutputError, once, when it cannot be written.

    The run goes on without its messages where standard error cannot be written.
    """

    def write(self, text: str) -> int:
        with self._guarded():
            return super().write(text)

    def flush(self) -> None:
        with self._guarded():
            super().flush()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Later writes, by clean-up or at Python's end, must not fail again.
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())
            if self.fileno() == STDERR:
                return
            raise OutputError(
                "the output cannot be written", str(error), "send it elsewhere, then run the same command again"
            ) from error


def _show_everything() -> None:
    """Let no character end the run: show those that the terminal's encoding lacks in another way."""
    codecs.register_error(HANDLER, plain)
    for name in ("stdout", "stderr"):
        file = getattr(sys, name)
        if type(file) is not io.TextIOWrapper:  # a test's
            continue
        output = Output(file.detach(), _encoding(file), HANDLER, line_buffering=file.line_buffering)
        setattr(sys, name, output)


def _encoding(file: TextIO) -> str:
    """Return the encoding of the terminal; Python's UTF-8 mode would send UTF-8 to every terminal."""
    if sys.flags.utf8_mode:
        import locale  # every run passes here

        found = locale.getencoding()
        with suppress(LookupError):  # Python does not know it
            if codecs.lookup(found).name != "ascii":  # in the C locale Python itself writes UTF-8 (PEP 540)
                return found
    return file.encoding


def plain(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement of characters that cannot be encoded, and where to continue (`codecs.register_error`)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(PLAIN.get(each) or _escaped(each) for each in characters), error.end


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a file's name that is not UTF-8 (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("ascii", "backslashreplace").decode()


def _have_a_home() -> None:
    """Set HOME where it is unset or empty: to the user's home, or `NOWHERE` for a user id without a name."""
    if not os.environ.get("HOME"):
        try:
            os.environ["HOME"] = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            os.environ["HOME"] = NOWHERE


def _have_plain_temporary_files() -> None:
    """Unset TMPDIR where temporary files of other programs would fail: they are small, and /tmp holds them."""
    place = os.environ.get("TMPDIR")
    if place and not (PLAIN_PATH.fullmatch(place) and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)):
        del os.environ["TMPDIR"]
