"""What the parts of one fetch share, and how each says that a source cannot be had from some place."""

import re
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.settings import Settings


@dataclass(frozen=True)
class Run:
    """One call of `fetch`; ``stop`` is set when it is being given up, and every loop heeds it."""

    workspace: Workspace
    settings: Settings
    log: Log
    offline: bool
    stop: threading.Event = field(default_factory=threading.Event)

    def may_open(self, url: str) -> bool:
        """Tell whether ``url`` may be opened: offline only what lies on this machine."""
        return not self.offline or is_local(url)

    def mirrored(self, url: str) -> str:
        """Return ``url`` with the longest prefix of ``mirrors:`` that it has replaced."""
        fitting = [prefix for prefix in self.settings.mirrors if url.startswith(prefix)]
        if not fitting:
            return url
        longest = max(fitting, key=len)
        return self.settings.mirrors[longest] + url[len(longest) :]

    def locked(self, name: str, what: str) -> AbstractContextManager[None]:
        """Hold a lock on what is in the cache of sources, and say so where another run has to be waited for."""
        return self.workspace.locked(name, what=what, say=self.log.note, beside=self.workspace.cache.downloads)


class Stopped(Exception):
    """The run is being given up; met only inside worker threads."""


@dataclass(frozen=True)
class Reason:
    """Why a source could not be had from one place; ``wrong_bytes`` where the place gave others than wanted."""

    where: str
    why: str
    wrong_bytes: bool = False

    def __str__(self) -> str:
        return f"  {self.where}: {self.why}"


class NotHad(Exception):
    """A source cannot be had from any of the places tried."""

    def __init__(self, reasons: list[Reason]) -> None:
        super().__init__("; ".join(str(reason) for reason in reasons))
        self.reasons = reasons


def is_local(url: str) -> bool:
    """Tell whether ``url`` names something on this machine (``file://`` or a plain path)."""
    return url.startswith(("file://", "/"))


def shown(url: str) -> str:
    """Return ``url`` fit to be shown: without a user name and password."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def redacted(text: str) -> str:
    """Return ``text`` without the user names and passwords of URLs in it."""
    return re.sub(r"(\w://)[^/@\s]+@", r"\1", text)
