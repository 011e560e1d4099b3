"""GnuPG's home: its owner, one user at a time, and no agent left behind."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import filelock
import psutil

from builders.errors import BusyError, DiskError, PublishError
from builders.host import process
from builders.host.files import disk_errors
from builders.model.settings import Settings

LONGEST_SOCKET = 107
"""Bytes that Linux allows in the path of a Unix socket (unix(7)), such as the agent's."""
LONGEST_SOCKET_NAME = "S.gpg-agent.browser"
WAIT_S = 120.0
GPG_TIME_S = 120.0
AGENT_END_S = 5.0
AGENT_MARK = "reef-started-agent"


@dataclass(frozen=True)
class Home:
    """A GnuPG home folder. Every method starts gpg; secrets stay with its agent."""

    path: Path

    def gpg(self, *arguments: str, input_text: str | None = None) -> str:
        """Run gpg on this home and return its standard output; raises ProgramFailed."""
        argv = ["gpg", "--homedir", str(self.path), "--batch", "--no-tty", *arguments]
        return process.capture(argv, input_text=input_text, timeout_s=GPG_TIME_S)

    def records(self, *arguments: str) -> list[list[str]]:
        """Run a listing and return its colon-separated records (GnuPG's doc/DETAILS), none where gpg finds none."""
        try:
            answer = self.gpg("--with-colons", "--fixed-list-mode", *arguments)
        except process.ProgramFailed as error:
            if error.completed.returncode == 2:
                return []
            raise
        return [line.split(":") for line in answer.splitlines()]


def home_path(settings: Settings) -> Path:
    """Return the GnuPG home: REEF_GNUPGHOME, else ``signing.home``, else ``$XDG_DATA_HOME/reef/gnupg``."""
    if given := os.environ.get("REEF_GNUPGHOME") or settings.signing.home:
        return Path(given).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "reef" / "gnupg"


@contextmanager
def opened(path: Path) -> Iterator[Home]:
    """Make the home if necessary (mode 0700) and keep other runs out of it.

    The block ends an agent that gpg starts meanwhile or that a killed run left; an agent that the user started stays.
    Raises BusyError, DiskError, and PublishError for a home that gpg could not use.
    """
    _checked(path)
    lock = filelock.FileLock(path / "reef.lock", timeout=WAIT_S, mode=0o600)
    with disk_errors(path):
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise BusyError(f"another run of Reef uses the keys in {path}", fix="wait until it ends") from error
    try:
        with _agent(Home(path)) as home:
            yield home
    finally:
        lock.release()


def _checked(path: Path) -> None:
    if not Path("/run/user", str(os.getuid())).is_dir():
        socket = os.fsencode(path / LONGEST_SOCKET_NAME)
        if len(socket) > LONGEST_SOCKET:
            raise PublishError(
                f"the path of the GnuPG home is too long: {path}",
                f"gpg-agent's socket would be {len(socket)} bytes, {LONGEST_SOCKET} are possible",
                "choose a shorter one with signing.home in reef.yml or REEF_GNUPGHOME",
            )
    with disk_errors(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = path.stat()
    if facts.st_uid != os.getuid():
        raise DiskError(f"{path} belongs to another user", fix="choose another folder with signing.home in reef.yml")
    if stat.S_IMODE(facts.st_mode) & 0o077:
        raise PublishError(f"others can read the GnuPG home {path}", fix=f"run: chmod 700 {path}")


@contextmanager
def _agent(home: Home) -> Iterator[Home]:
    mark = home.path / AGENT_MARK
    ours = mark.exists() or _agent_pid(home) is None
    if ours:
        # Written first: after a kill, the next run knows that it may end the agent.
        with disk_errors(mark):
            mark.touch()
    try:
        yield home
    finally:
        if ours:
            _end_agent(home)
            mark.unlink(missing_ok=True)


def _end_agent(home: Home) -> None:
    """End the home's agent and wait for its end: an agent that is ending gives no answer."""
    pid = _agent_pid(home, "KILLAGENT")
    deadline = time.monotonic() + AGENT_END_S
    # A zombie that nobody collects gives no answer.
    with suppress(psutil.NoSuchProcess):
        while pid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.002)


def _agent_pid(home: Home, *more: str) -> int | None:
    """Ask the home's agent for its process, and send it ``more``; None where no agent runs."""
    # Its status is 0 in either case; only the answer differs.
    ask = ["gpg-connect-agent", "--homedir", str(home.path), "--no-autostart", "GETINFO pid", *more, "/bye"]
    answer = process.capture(ask, timeout_s=GPG_TIME_S)
    return int(answer.split()[1]) if answer.startswith("D ") else None
