"""apt in a folder of its own, with Debian's lists of packages: the machine's apt stays as it is."""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from builders.errors import HostError, ReefError
from builders.host import debian_mirror, process
from builders.host.apt_access import CONFIG, LOGINS, access
from builders.host.files import disk_errors, document_digest, write_whole
from builders.host.log import Log
from builders.host.workspace import Workspace

NAME = "debian-index"
"""The folder in `Cache.mounts`."""
FETCHED, FAILED, DIGEST = "fetched", "failed", "settings.sha256"
"""Files in a suite's folder: the stamp of the last fetch, why a later one failed, and the digest of apt's settings."""
FOLDERS = (
    "etc/apt.conf.d", "etc/auth.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial",
    "cache/archives/partial",
)  # fmt: skip
"""Folders below a suite's folder that apt expects, and leaves empty or fills."""
DAY_S, RETRY_S = 86400.0, 600.0
"""Age at which the indices, and the reason of a failure, are asked for again."""
TIME_S = 60.0
CONNECT_S = 15
FIX = "run the same command again when Debian's mirror is reachable"


@dataclass(frozen=True)
class IsolatedApt:
    """apt with all its files below ``folder``; its settings ``config`` may contain passwords and end with the block."""

    folder: Path
    config: Path

    def run(self, *words: str, timeout_s: float | None = None) -> str:
        """Run a program of apt and return what it printed; raises HostError with apt's own first complaint."""
        lines: list[str] = []
        try:
            process.run(
                words, on_line=lines.append, timeout_s=timeout_s or TIME_S,
                extra_environment={"APT_CONFIG": str(self.config)},
            )  # fmt: skip
        except process.ProgramFailed as error:
            complaint = next((line.removeprefix("E: ") for line in lines if line.startswith("E: ")), error.what)
            raise HostError(complaint, "\n".join(lines[-30:]), FIX) from error
        return "\n".join(line for line in lines if line[:2] not in ("N:", "W:", "E:"))

    def make_folders(self) -> None:
        """Make the folders that apt expects, and a list of installed packages, empty if there is none."""
        with disk_errors(self.folder):
            for name in FOLDERS:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            (self.folder / "state" / "status").touch()

    def write_settings(self, options: Sequence[str], files: Mapping[str, bytes]) -> None:
        """Write apt's settings, and the ``files`` that they name, beside `config`."""
        with disk_errors(self.config):
            for name, content in files.items():
                (self.config.parent / name).write_bytes(content)
            written(self.config, options)

    @property
    def lists(self) -> Path:
        """The folder of indices."""
        return self.folder / "state" / "lists"


@dataclass(frozen=True)
class DebianLists:
    """Debian's lists of packages, in the cache of ``workspace``; ``mirror`` is the setting ``debian_mirror``."""

    workspace: Workspace
    log: Log
    mirror: str | None

    @contextmanager
    def of(
        self, suite: str, cpu: str, kind: str = "deb", *, oldest_s: float = DAY_S
    ) -> Iterator[IsolatedApt]:  # fmt: skip
        """Give apt with the indices of a suite, none older than ``oldest_s``; ``kind`` is ``deb`` or ``deb-src``.

        Raises a ReefError that says why there are no indices.
        """
        name = f"{suite}-{cpu}" if kind == "deb" else f"{suite}-source"
        folder = self.workspace.cache.mounts / NAME / name
        with (
            self.workspace.cache.in_use(),
            self.workspace.locked(NAME, wait_s=TIME_S, beside=folder),
            tempfile.TemporaryDirectory(prefix="reef-") as private,
        ):
            index = IsolatedApt(folder, Path(private) / CONFIG)
            if self._configure(index, suite, cpu, kind):  # for another mirror, for instance
                (folder / FETCHED).unlink(missing_ok=True)
                (folder / FAILED).unlink(missing_ok=True)
            what = f"packages of {suite} for {cpu}" if kind == "deb" else f"source packages of {suite}"
            self._refresh(index, what, oldest_s)
            yield index

    def sources(self, suite: str, kind: str = "deb") -> list[str]:
        """Return the lines of sources.list(5) for a suite and its security updates; raises HostError."""
        security = debian_mirror.security_mirror()
        found = [_source(kind, debian_mirror.chosen(self.mirror).url, suite)]
        return found + ([_source(kind, security.url, f"{suite}-security")] if security else [])

    def access(self, private: Path) -> tuple[list[str], dict[str, bytes]]:
        """Return the lines of apt.conf(5) by which apt reaches the mirror, and the files that they name.

        The files belong into the folder ``private``: some are secret. Raises HostError.
        """
        files = access(debian_mirror.chosen(self.mirror)).content(str(private))
        return os.fsdecode(files.pop(CONFIG)).splitlines(), files

    def _refresh(self, index: IsolatedApt, what: str, oldest_s: float) -> None:
        """Fetch the indices if they are too old. A failure is repeated from its record for some minutes."""
        fetched, failed = index.folder / FETCHED, index.folder / FAILED
        if _age(fetched) < oldest_s:
            return
        if _age(failed) < RETRY_S:
            raise HostError(failed.read_text(encoding="utf-8"), fix=FIX)
        try:
            with self.log.step(f"fetch Debian's list of {what}"):
                index.run("apt-get", "update", "--error-on=any")
        except ReefError as error:
            write_whole(failed, error.what)
            raise
        write_whole(fetched, "")

    def _configure(self, index: IsolatedApt, suite: str, cpu: str, kind: str) -> bool:
        """Write apt's settings and sources, and return whether they differ from those before."""
        folder, private = index.folder, index.config.parent
        sources = self.sources(suite, kind)
        lines, files = self.access(private)
        options = [*lines, *settings(folder, [cpu])]
        index.make_folders()
        with disk_errors(folder):
            for old in (folder / CONFIG, folder / LOGINS, *folder.glob("*.pem")):  # kept by earlier versions
                old.unlink(missing_ok=True)
            index.write_settings(options, files)
            known = "\n".join(options).replace(str(private), "")
            digest = document_digest([known, {name: sha256(content).hexdigest() for name, content in files.items()}])
            (folder / DIGEST).touch(mode=0o600)  # a short password could be tried
            changed = [written(folder / DIGEST, [digest]), written(folder / "etc" / "sources.list", sources)]
        return any(changed)


def settings(folder: Path, cpus: Sequence[str]) -> list[str]:
    """Return the lines of apt.conf(5) that keep apt in ``folder``, for a machine of ``cpus``, its own first."""
    names = " ".join(f'"{cpu}";' for cpu in cpus)
    return [
        f'Dir "{folder.absolute()}";',
        'Dir::Etc "etc";', 'Dir::Etc::sourceparts "-";', 'Dir::State "state";', 'Dir::State::status "status";',
        'Dir::Cache "cache";', 'Dir::Cache::srcpkgcache "";',
        f'APT::Architecture "{cpus[0]}";', f"APT::Architectures {{ {names} }};",
        'APT::Sandbox::User "root";',  # the cache may be in a folder that apt's own user cannot enter
        # Of compressed lists apt unpacks all that precedes a package, for each package.
        'Acquire::Languages "none";', 'Acquire::GzipIndexes "false";', 'Acquire::Retries "0";',
        *(f'Acquire::{method}::Timeout "{CONNECT_S}";' for method in ("http", "https")),
    ]  # fmt: skip


def written(path: Path, lines: Iterable[str]) -> bool:
    """Write ``lines`` to ``path``, and return whether that changes it."""
    text = os.fsencode("".join(f"{line}\n" for line in lines))
    before = path.read_bytes() if path.exists() else b""
    if text != before:
        path.write_bytes(text)
    return text != before


def _age(path: Path) -> float:
    with disk_errors(path):
        return time.time() - path.stat().st_mtime if path.exists() else float("inf")


def _source(kind: str, site: str, suite: str) -> str:
    return f"{kind} [signed-by={debian_mirror.KEYRING}] {site} {suite} main"
