"""Changes what is published: stage the next publication, have it tried, ask clients, and switch to it."""

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builders.apt.indices.entry import IndexEntry
from builders.apt.keys.keyring_package import PACKAGE as KEYRING_PACKAGE
from builders.apt.keys.keyring_package import keyring_deb
from builders.apt.keys.signing import SigningKey, signing_key
from builders.apt.publish.stage import Staged, stage
from builders.apt.publish.suite import architectures_of
from builders.apt.publish.switch import make_live, warn_only
from builders.apt.repository.context import RepositoryContext, state_folder
from builders.apt.repository.layout import KEYRING, RepositoryLayout, codename
from builders.apt.repository.publication import PublishedSuite, read_live
from builders.apt.state.verify_cache import VerifyCache
from builders.apt.verify import client_report
from builders.apt.verify.client_report import ClientReport, ask
from builders.apt.verify.clients import require_tools
from builders.apt.verify.verify import glance, verify
from builders.errors import RootError
from builders.model.deb_file import read_deb
from builders.model.packages import SOURCE, DebFile, Publication
from builders.model.settings import Settings
from builders.model.target import SUITES


@dataclass(frozen=True)
class Candidate:
    """The next publication, verified and not yet published; ``scratch`` is a folder for tests of it."""

    staged: Staged
    scratch: Path
    verify_cache: VerifyCache

    @property
    def path(self) -> Path:
        """Its folder: an apt repository by itself."""
        return self.staged.path


@contextmanager
def staged(
    context: RepositoryContext, debs: Mapping[str, Sequence[DebFile]], *,
    replacement: Mapping[str, Sequence[IndexEntry]] | None = None, phase: int = 100,
) -> Iterator[Candidate]:  # fmt: skip
    """Stage and verify what the suites are to contain; remove it after the block, which may `switch` to it.

    ``debs`` are added by suite; ``phase`` is the percentage of boards that get new versions. ``replacement`` replaces
    a suite's entries first. The caller holds `locked`. Raises PublishError, DiskError.
    """
    require_tools()
    key = signing_key(context.settings, context.log)
    date = int(time.time())
    with context.workspace.scratch_folder("staging") as scratch:
        debs = _with_keyring(context, debs, replacement or {}, key=key, date=date, scratch=scratch)
        with context.log.step("stage the repository"):
            made = stage(
                context.workspace.apt, debs, scratch / "apt",
                settings=context.settings, key=key, log=context.log, date=date,
                state=state_folder(context), replacement=replacement, phase=phase,
            )  # fmt: skip
        candidate = Candidate(
            made, scratch, VerifyCache.recall(state_folder(context)) if made.changed else VerifyCache()
        )
        for suite in made.suites:
            if made.changed:
                verify(made.path, suite.suite, verify_cache=candidate.verify_cache)
            else:
                glance(made.path, suite.suite)
        yield candidate


def ask_clients(context: RepositoryContext, candidate: Candidate) -> list[ClientReport]:
    """Let real apt use what is new in a candidate as boards will; return a report for each changed suite.

    Raises PublishError where apt refuses it, RootError where the apt of a release in ``repository.clients`` cannot be
    tried.
    """
    made = candidate.staged
    if not made.changed:
        return []
    keyring = next(p for p in (made.path / KEYRING, context.workspace.apt / KEYRING) if p.exists())
    # apt's own files do not accept every path that a project may have: use a folder with a plain name.
    with (
        context.log.step("try it with apt, today and on later days"),
        tempfile.TemporaryDirectory(prefix="reef-apt-") as plain,
    ):
        reports = [
            ask(
                context, made.path, suite.suite, Path(plain), keyring=keyring,
                releases=context.settings.repository.clients,
            )
            for suite in made.suites
            if suite.changed
        ]  # fmt: skip
        for error in (error for report in reports for error in report.untried):
            raise RootError(error.what, error.detail, f"{error.fix}; or remove it from repository.clients in reef.yml")
    return reports


def switch(context: RepositoryContext, candidate: Candidate, reports: Iterable[ClientReport] = ()) -> list[Publication]:
    """Publish a candidate, verify it where readers see it, and log what clients accept.

    Raises BusyError, PublishError, DiskError; an error before readers see the candidate leaves everything as it was.
    """
    if candidate.staged.changed:
        with context.log.step("publish and verify"):
            publications = make_live(candidate.staged, context.workspace.apt, context.log.warn)
            for publication in publications:
                verify(context.workspace.apt, publication.suite, verify_cache=candidate.verify_cache)
            warn_only(candidate.verify_cache.save, context.log.warn)
    else:
        publications = make_live(candidate.staged, context.workspace.apt, context.log.warn)
    for report in reports:
        _log_report(context, report)
    if candidate.staged.root_files:
        context.log.note(f"written at the repository's root: {', '.join(sorted(candidate.staged.root_files))}")
    return list(publications)


def change(
    context: RepositoryContext, debs: Mapping[str, Sequence[DebFile]], *,
    replacement: Mapping[str, Sequence[IndexEntry]] | None = None, phase: int = 100,
) -> list[Publication]:  # fmt: skip
    """Publish what the suites are to contain once real apt accepts it; arguments and errors as for `staged`."""
    with staged(context, debs, replacement=replacement, phase=phase) as candidate:
        return switch(context, candidate, ask_clients(context, candidate))


def _log_report(context: RepositoryContext, report: ClientReport) -> None:
    """Log what clients accept of a suite in one line, and a line for each keyring that ends before today's."""
    now = time.time()
    context.log.note(client_report.summary(report))
    for outlook in client_report.locked_out(report):
        say = context.log.warn if (outlook.until or 0) <= now else context.log.note
        say(f"boards with the keyring of {outlook.keyring}: {client_report.until(outlook, now)}")


def _with_keyring(
    context: RepositoryContext, debs: Mapping[str, Sequence[DebFile]],
    replacement: Mapping[str, Sequence[IndexEntry]], *, key: SigningKey, date: int, scratch: Path,
) -> dict[str, list[DebFile]]:  # fmt: skip
    """Return ``debs`` with the keyring package for each suite whose own lacks today's keys and settings.

    Where the keys changed every suite gets it, also those without ``debs``.
    """
    place, result = RepositoryLayout(context.workspace.apt), {name: list(some) for name, some in debs.items()}
    keyring = place.path / KEYRING
    if not keyring.exists() or keyring.read_bytes() != key.public:
        result |= {name: [] for name in place.suites() if name not in debs}
    lives = {name: read_live(place, name, state_folder(context)) for name in {*place.suites(), *debs}}
    for suite, some in result.items():
        live, release = lives[suite], codename(suite)
        moment = max(date, live.release.date + 1) if live else date
        there = replacement.get(suite, live.entries_of({KEYRING_PACKAGE}) if live else ())
        cpus, source = _described(context.settings, release, lives, debs)
        path = keyring_deb(
            context.settings, key, SUITES[release], there, cpus, date=moment, folder=scratch / f"keyring-{suite}",
            source=source,
        )  # fmt: skip
        if path:
            some.append(read_deb(path))
    return result


def _described(
    settings: Settings, release: str, lives: Mapping[str, PublishedSuite | None],
    debs: Mapping[str, Sequence[DebFile]],
) -> tuple[set[str], bool]:  # fmt: skip
    """Return the CPUs of the suite that is called as its ``release``, and whether it contains source packages.

    The keyring packages of all suites of a release name that suite, and have the same bytes. Where it is not published,
    what all of them contain counts.
    """
    names = [release] if release in lives else [name for name in lives if codename(name) == release]
    cpus: set[str] = set()
    source = False
    for name in names:
        live, arriving = lives[name], {file.architecture for file in debs.get(name, ())}
        cpus |= set(architectures_of(settings, name, live, arriving))
        source |= bool(live and live.keeps_sources) or SOURCE in arriving
    return cpus, source
