"""The .debs that a board lacks, as this machine's apt finds them from the board's own list of installed packages."""

import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts
from builders.boards.rollout.offer import EVERY_CPU, Offer
from builders.boards.rollout.plan import BoardPlan
from builders.boards.rollout.steps import sources_at
from builders.errors import HostError
from builders.host.apt_access import CONFIG
from builders.host.files import disk_errors, document_digest, link_or_copy, sha256_of
from builders.host.isolated_apt import DAY_S, DebianLists, IsolatedApt, settings, written
from builders.model.deb_file import read_deb
from builders.model.packages import DebFile

INSTALL = (
    "--yes", "--no-install-recommends", "--allow-downgrades", "-o", "Acquire::ForceHash=SHA256",
    "-o", "APT::Get::Upgrade-By-Source-Package=false", "-o", "APT::Get::Always-Include-Phased-Updates=true",
)  # fmt: skip
"""apt's words for an installation, as ``scripts/apt.sh`` has them."""
REEF = "reef.sources"
"""The file of the published repository in a folder of apt."""
URI = re.compile(r"'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})")
DOWNLOAD_S = 3600.0
SYSTEM = "debian"
"""The ID in os-release(5) of systems that take Debian's packages; Raspberry Pi OS of 64 bits is such a system."""


@dataclass(frozen=True)
class Download:
    """A .deb that apt would fetch: its address, its file's name, and its SHA-256."""

    uri: str
    name: str
    sha256: str

    @property
    def local(self) -> Path | None:
        """The path of a file of this machine."""
        address = urlsplit(self.uri)
        return Path(unquote(address.path)) if address.scheme == "file" else None


@dataclass(frozen=True)
class BoardSystem:
    """The parts of a board's system that decide what it lacks: ``status`` is dpkg's list of installed packages."""

    facts: BoardFacts
    status: bytes

    @property
    def cpus(self) -> list[str]:
        """The board's architectures, its own first."""
        return [self.facts.architecture, *self.facts.words("foreign")]

    @property
    def debian(self) -> str:
        """The release of Debian that the board runs; empty for another system."""
        return self.facts.text("os_codename") if self.facts.text("os_id") == SYSTEM else ""


@dataclass(frozen=True)
class Lacking:
    """Finds what boards lack: in the published ``repository``, then in Debian.

    ``folder`` keeps Debian's .debs, and the lists with the cache that apt makes of them: it takes apt seconds.
    """

    lists: DebianLists
    repository: Path
    folder: Path
    _known: set[Path] = field(default_factory=set)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def of(self, plan: BoardPlan, system: BoardSystem, scratch: Path) -> tuple[DebFile, ...]:
        """Return all .debs that the plan needs and the board lacks, and those of the way back.

        Downloads go into ``scratch``. apt verifies Debian's with Debian's keyring, ours with the repository's. Raises
        BoardError if the board's packages need others that cannot be found, HostError, DiskError.
        """
        wishes = [f"{package.name}={package.after}" for package in plan.packages]
        with tempfile.TemporaryDirectory(prefix="reef-") as private:
            apt = self._apt(Path(private), system, plan.offer)
            try:
                found = tuple(self._fetched(apt, wishes, scratch))
            except HostError as error:
                found = self._with_debian(plan, system, apt, scratch, error)
        return (*found, *_olds(plan, found))

    @property
    def debs(self) -> Path:
        """The folder of Debian's .debs, by digest."""
        return self.folder / "debs"

    def _apt(self, private: Path, system: BoardSystem, offer: Offer) -> IsolatedApt:
        """Return apt of a machine with the board's packages, which knows the published repository alone."""
        name = "-".join([offer.suite, *system.cpus, document_digest(str(self.repository.absolute()))[:12]])
        apt = IsolatedApt(self.folder / name, private / CONFIG)
        places = [f'Dir::Etc::sourcelist "{REEF}";', 'Dir::Cache::pkgcache "";']
        with disk_errors(private):
            (private / "status").write_bytes(system.status)
        apt.write_settings([*self._settings(apt, system), *places], {})
        with self._turn:
            if apt.folder not in self._known:
                apt.make_folders()
                with disk_errors(apt.folder):
                    # Instead of Signed-By, whose path may have no spaces; Debian's lines name Debian's keyring.
                    (apt.folder / "etc" / "trusted.gpg.d" / "reef.gpg").write_bytes(offer.keyring.content)
                    text = sources_at(offer, self.repository.absolute().as_uri())
                    (apt.folder / "etc" / REEF).write_bytes(re.sub(rb"(?m)^Signed-By:.*\n", b"", text))
                apt.run("apt-get", "update", "--error-on=any", "-o", "APT::Get::List-Cleanup=0")
                self._known.add(apt.folder)
        return apt

    def _settings(self, apt: IsolatedApt, system: BoardSystem) -> list[str]:
        return [*settings(apt.folder, system.cpus), f'Dir::State::status "{apt.config.parent / "status"}";']

    def _with_debian(
        self, plan: BoardPlan, system: BoardSystem, apt: IsolatedApt, scratch: Path, error: HostError
    ) -> tuple[DebFile, ...]:  # fmt: skip
        """Return what the board lacks of both repositories; ``error`` is why the published one is not enough."""
        if not system.debian:
            raise BoardError(
                f"{plan.board}: the bundle lacks packages of {system.facts.text('os_name')}: {error.what}",
                error.detail, "give the board a network once, or install these packages by hand",
            )  # fmt: skip
        wishes = [f"{package.name}={package.after}" for package in plan.packages]
        for oldest_s in (DAY_S, 0.0):
            self._add_debian(apt, system, oldest_s)
            try:
                return tuple(self._fetched(apt, wishes, scratch))
            except HostError as missing:
                if not oldest_s or "404" not in missing.detail:
                    raise BoardError(
                        f"{plan.board}: this machine's apt cannot put its bundle together: {missing.what}",
                        missing.detail, "look at the message",
                    ) from missing  # fmt: skip
        raise AssertionError("the second try ends the loop")

    def _add_debian(self, apt: IsolatedApt, system: BoardSystem, oldest_s: float) -> None:
        """Let apt know the board's release of Debian too, by lists that are at most ``oldest_s`` seconds old."""
        with self._turn, self.lists.of(system.debian, system.cpus[0], oldest_s=oldest_s) as index:
            for path in index.lists.iterdir():
                if path.is_file() and path.name != "lock":
                    _renewed(path, apt.lists / path.name)
        lines, files = self.lists.access(apt.config.parent)
        parts = apt.folder / "etc" / "parts"
        with disk_errors(parts):
            parts.mkdir(exist_ok=True)
            written(parts / "debian.list", self.lists.sources(system.debian))
            written(parts / REEF, (apt.folder / "etc" / REEF).read_text().splitlines())
        places = [
            'Dir::Etc::sourcelist "/dev/null";', 'Dir::Etc::sourceparts "parts";', 'Dir::Cache::pkgcache "";',
            'Dir::Cache::srcpkgcache "srcpkgcache.bin";',
        ]  # fmt: skip
        apt.write_settings([*lines, *self._settings(apt, system), *places], files)

    def _fetched(self, apt: IsolatedApt, wishes: Sequence[str], scratch: Path) -> Iterator[DebFile]:
        """Yield the .debs that an installation of ``wishes`` needs; each has the digest that apt's lists name."""
        said = apt.run("apt-get", "-qq", *INSTALL, "--print-uris", "install", *wishes)
        downloads = [Download(match[1], match[2], match[4]) for match in URI.finditer(said)]
        remote = [download for download in downloads if download.local is None]
        with disk_errors(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
            self.debs.mkdir(parents=True, exist_ok=True)
            for download in remote:
                kept = self.debs / f"{download.sha256}.deb"
                if kept.is_file() and sha256_of(kept) == download.sha256:
                    link_or_copy(kept, scratch / download.name)
                else:
                    kept.unlink(missing_ok=True)
        missing = [download for download in remote if not (scratch / download.name).exists()]
        # apt-get would compute the installation once more.
        words = [word for each in missing for word in (each.uri, str(scratch / each.name), f"SHA256:{each.sha256}")]
        if words:
            apt.run("/usr/lib/apt/apt-helper", "-qq", "download-file", *words, timeout_s=DOWNLOAD_S)
        for download in downloads:
            deb = read_deb(download.local.resolve() if download.local else scratch / download.name)
            if deb.sha256 != download.sha256:
                raise HostError(f"{deb.path} differs from apt's list", fix="run the same command again")
            if download in remote:
                link_or_copy(deb.path, self.debs / f"{deb.sha256}.deb")
            yield deb


def _olds(plan: BoardPlan, found: Sequence[DebFile]) -> Iterator[DebFile]:
    """Yield the published .debs of the present versions of the packages that change, for the way back."""
    names, there = {deb.package for deb in found}, {deb.sha256 for deb in found}
    olds = {(name, version) for name, version in plan.facts.versions.items() if name in names}
    for deb in plan.offer.debs:
        fits = deb.architecture in (plan.facts.architecture, EVERY_CPU) and deb.sha256 not in there
        if fits and (deb.package, deb.version) in olds and isinstance(deb, DebFile):
            yield deb


def _renewed(source: Path, target: Path) -> None:
    """Give a list of packages another name, instead of an older list."""
    with disk_errors(target):
        if target.exists() and not target.samefile(source):
            target.unlink()
    link_or_copy(source, target)
