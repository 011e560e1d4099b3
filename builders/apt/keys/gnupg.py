"""GnuPG's home: its owner, one user at a time, and no daemon left behind."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
DAEMON_END_S = 5.0
AGENT_MARK = "reef-started-agent"
OPTIONS = ("--no-options", "--no-textmode", "--no-comments", "--no-emit-version")
"""The home's gpg.conf changes nothing of Reef's requests. GnuPG 2.3 and later reads /etc/gnupg/gpg.conf anyway."""
COMMON = ("/etc/gnupg/common.conf", "common.conf")
"""Files of GnuPG 2.3 and later, the second in the home, in force with ``--no-options``: they say where keys are."""


@dataclass(frozen=True)
class Daemon:
    """A daemon that gpg starts for a home: the file that marks Reef's own, and gpg-connect-agent's words to end it."""

    mark: str
    kill: str
    options: tuple[str, ...] = ()


AGENT = Daemon(AGENT_MARK, "KILLAGENT")
KEYBOXD = Daemon("reef-started-keyboxd", "KILLKEYBOXD", ("--keyboxd",))
"""It keeps the public keys where common.conf says ``use-keyboxd``."""


@dataclass(frozen=True)
class Home:
    """A GnuPG home folder. Every method starts gpg; secrets stay with its agent."""

    path: Path

    def gpg(self, *arguments: str, input_text: str | None = None) -> str:
        """Run gpg on this home and return its standard output; raises ProgramFailed."""
        argv = ["gpg", "--homedir", str(self.path), *OPTIONS, "--batch", "--no-tty", *arguments]
        return process.capture(argv, input_text=input_text, timeout_s=GPG_TIME_S)

    def records(self, *arguments: str) -> list[list[str]]:
        """Run a listing and return its colon-separated records (GnuPG's doc/DETAILS); raises ProgramFailed."""
        answer = self.gpg("--with-colons", "--fixed-list-mode", *arguments)
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

    The block ends a daemon that gpg starts meanwhile or that a killed run left; a daemon that the user started stays.
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
        home = Home(path)
        with ExitStack() as daemons:
            for daemon in (AGENT, KEYBOXD) if _uses_keyboxd(home) else (AGENT,):
                daemons.enter_context(_ended(home, daemon))
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


def _uses_keyboxd(home: Home) -> bool:
    """Return whether the home's public keys are with keyboxd."""
    for name in COMMON:
        with suppress(OSError):
            if "use-keyboxd" in (line.strip() for line in (home.path / name).read_text(errors="replace").splitlines()):
                return True
    return False


@contextmanager
def _ended(home: Home, daemon: Daemon) -> Iterator[None]:
    mark = home.path / daemon.mark
    ours = mark.exists() or _pid(home, daemon) is None
    if ours:
        # Written first: after a kill, the next run knows that it may end the daemon.
        with disk_errors(mark):
            mark.touch()
    try:
        yield
    finally:
        if ours:
            _end(home, daemon)
            mark.unlink(missing_ok=True)


def _end(home: Home, daemon: Daemon) -> None:
    """End a daemon and wait for its end: one that is ending gives no answer."""
    pid = _pid(home, daemon, daemon.kill)
    deadline = time.monotonic() + DAEMON_END_S
    # A zombie that nobody collects gives no answer.
    with suppress(psutil.NoSuchProcess):
        while pid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.002)


def _pid(home: Home, daemon: Daemon, *more: str) -> int | None:
    """Ask a daemon of the home for its process, and send it ``more``; None where it does not run."""
    options = ["--homedir", str(home.path), "--no-autostart", *daemon.options]
    try:
        # The status is 0 in either case; only the answer differs.
        answer = process.capture(["gpg-connect-agent", *options, "GETINFO pid", *more, "/bye"], timeout_s=GPG_TIME_S)
    except process.ProgramFailed:  # GnuPG 2.2 has no keyboxd
        return None
    return int(answer.split()[1]) if answer.startswith("D ") else None
