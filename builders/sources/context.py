"""The context of a fetch, and the errors of places that do not provide a source."""

import re
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from builders.model.context import Context


@dataclass(frozen=True)
class FetchContext(Context):
    """The context of one `fetch`. Every loop ends when ``stop`` is set."""

    offline: bool
    stop: threading.Event = field(default_factory=threading.Event)

    @staticmethod
    def of(context: Context, *, offline: bool) -> "FetchContext":
        """Return the context of a fetch in a project."""
        return FetchContext(context.folder, context.settings, context.workspace, context.machine, context.log, offline)

    def may_open(self, url: str) -> bool:
        """Return whether ``url`` may be opened; offline, only files of this machine may."""
        return not self.offline or is_local(url)

    def mirrored(self, url: str) -> str:
        """Return ``url`` with its longest prefix in ``mirrors:`` replaced."""
        fitting = [prefix for prefix in self.settings.mirrors if url.startswith(prefix)]
        if not fitting:
            return url
        longest = max(fitting, key=len)
        return self.settings.mirrors[longest] + url[len(longest) :]

    def locked(self, name: str, what: str) -> AbstractContextManager[None]:
        """Lock a part of the cache of sources; a note says if another run must be waited for."""
        return self.workspace.locked(name, what=what, say=self.log.note, beside=self.workspace.cache.downloads)


class Stopped(Exception):
    """The fetch has been stopped; raised only in worker threads."""


@dataclass(frozen=True)
class Reason:
    """Why a place did not provide a source; ``wrong_bytes`` if it provided other bytes than expected."""

    where: str
    why: str
    wrong_bytes: bool = False

    def __str__(self) -> str:
        return f"  {self.where}: {self.why}"


class Unavailable(Exception):
    """A source is not available from any of its places."""

    def __init__(self, reasons: list[Reason]) -> None:
        super().__init__("; ".join(str(reason) for reason in reasons))
        self.reasons = reasons


def is_local(url: str) -> bool:
    """Return whether ``url`` is a file of this machine (``file://`` or a path)."""
    return url.startswith(("file://", "/"))


def shown(url: str) -> str:
    """Return ``url`` for messages, without a user name and password."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def redacted(text: str) -> str:
    """Return ``text`` without the user names and passwords of URLs in it."""
    return re.sub(r"(\w://)[^/@\s]+@", r"\1", text)


def plain(text: str) -> str:
    """Return a library's text for messages: as `redacted`, and without addresses of objects."""
    return redacted(re.sub(r"<[^<>]*object at 0x[0-9a-f]+>:? ?", "", text))
