"""What a suite's next publication holds, worked out without touching a disk."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builders.apt.index import Entry, ordered
from builders.apt.indices import Lists, Pack, files, texts
from builders.apt.layout import DEBUG_COMPONENT, INSTALLED_KEYRING, KEYRING, link_target, stamp_of
from builders.apt.live import Live
from builders.apt.release import Digest, Release, release_fields
from builders.arch import ARCHITECTURES
from builders.errors import PublishError
from builders.settings import Settings

URL = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+")


@dataclass(frozen=True)
class NextSuite:
    """A suite as it would be: the live publication it follows, its Release date and its entries in index order."""

    name: str
    live: Live | None
    date: int
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    entries: tuple[Entry, ...]
    settings: Settings
    signers: tuple[str, ...] = ()

    @property
    def stamp(self) -> str:
        """The publication's name."""
        return stamp_of(self.date)

    @property
    def link(self) -> str:
        """What ``dists/<suite>`` says for it."""
        return link_target(self.name, self.stamp)

    @property
    def shown_date(self) -> int:
        """The date that readers will see: its own where it differs from what is live (seconds since 1970)."""
        return self.live.release.date if self.live and not self.differs() else self.date

    def fields(self) -> dict[str, str]:
        """Return its Release fields; raises PublishError for settings that do not fit into lines."""
        return release_fields(
            origin=self.settings.repository.origin,
            label=self.settings.repository.label,
            suite=self.name,
            date=self.date,
            architectures=self.architectures,
            components=self.components,
            valid_days=self.settings.repository.valid_days,
            signers=self.signers,
            url=self.settings.repository.url,
        )

    def differs(self) -> bool:
        """Tell whether readers would see anything but a new date, or need one: half of its validity is over."""
        if self.live is None:
            return True
        until = self.live.release.valid_until
        if until and self.date > (self.live.release.date + until) / 2:
            return True
        dateless = [
            {**fields, "Date": "", "Valid-Until": str("Valid-Until" in fields)}
            for fields in (self.fields(), self.live.release.fields)
        ]
        return dateless[0] != dateless[1] or set(self.entries) != set(self.live.entries)

    def index_files(self, pack: Pack, lists: Lists | None) -> Iterator[tuple[str, bytes]]:
        """Yield each index file's path below ``dists/<suite>`` and its bytes, made by ``pack``.

        ``lists`` are the files of each .deb, for Contents; None writes none.
        """
        for index in texts(self.entries, self.components, self.architectures, lists):
            yield from files(index, pack)

    def release(self, digests: Mapping[str, Digest]) -> bytes:
        """Return the Release file over files with ``digests`` by path."""
        return Release(self.fields(), digests).render()


def next_suite(
    settings: Settings, name: str, live: Live | None, wanted: Iterable[Entry], *, date: int, signers: Iterable[str] = ()
) -> NextSuite:
    """Return the publication of ``wanted`` that follows ``live``, dated after it (``date`` in seconds since 1970)."""
    entries = {entry.filename: entry for entry in wanted}
    components = {settings.repository.component} | {entry.component for entry in entries.values()}
    return NextSuite(
        name,
        live,
        max(date, live.release.date + 1) if live else date,
        _architectures(settings, name, live, entries.values()),
        tuple(sorted(components, key=lambda component: (component == DEBUG_COMPONENT, component))),
        tuple(ordered(entries.values())),
        settings,
        tuple(signers),
    )


def suite_of(settings: Settings, live: Live, signers: Iterable[str]) -> NextSuite:
    """Return a published suite as it stays."""
    return next_suite(settings, live.suite, live, live.entries, date=live.release.date, signers=signers)


def _architectures(settings: Settings, name: str, live: Live | None, entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the CPUs to write an index for: published, packaged or targeted; all of Reef's where none is known."""
    found = {entry.architecture for entry in entries} | set(live.release.architectures if live else ())
    found |= {target.architecture.debian for target in settings.default_targets() if target.suite.name == name}
    return tuple(sorted(found - {"all"} or ARCHITECTURES))


def sources_name(settings: Settings, suite: str) -> str:
    """Return the name of a suite's ``.sources`` file at the repository's root."""
    label = re.sub(r"[^a-z0-9]+", "-", settings.repository.label.lower()).strip("-") or "reef"
    return f"{label}-{suite}.sources"


def sources_text(settings: Settings, repository: Path, suite: str) -> str:
    """Return the ``.sources`` file (sources.list(5), deb822 style) that adds one suite to a machine.

    It names no key, so that it stays the same when one follows another: the keyring package holds it too, and dpkg
    asks about a changed file that its owner edited.

    Raises PublishError where ``repository.url`` is no URL.
    """
    url = settings.repository.url or repository.absolute().as_uri()
    if not URL.fullmatch(url):
        raise PublishError(f"repository.url is not a URL: {url!r}", fix="correct reef.yml")
    return (
        f"# Save as /etc/apt/sources.list.d/{sources_name(settings, suite)}; the key goes first, as root:\n"
        f"#   {KEYRING}, from the same folder as this file, to {INSTALLED_KEYRING}\n"
        f"# Debug symbols: add {DEBUG_COMPONENT} to Components.\n"
        "Types: deb\n"
        f"URIs: {url}\n"
        f"Suites: {suite}\n"
        f"Components: {settings.repository.component}\n"
        f"Signed-By: {INSTALLED_KEYRING}\n"
    )
