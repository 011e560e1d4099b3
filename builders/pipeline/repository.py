"""The repository's own verbs: change it, look at its publications, return to one, promote, prune."""

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builders.apt import api as apt
from builders.apt.indices.entry import Entry, ordered
from builders.apt.repository.layout import Repository
from builders.apt.repository.publication import read_live
from builders.apt.upload import Uploaded, require_apart
from builders.apt.upload import upload as upload_to
from builders.apt.verify import clients
from builders.errors import InputError, PublishError, ReefError, RootError, nearest
from builders.model.deb_file import read_deb
from builders.model.packages import SOURCE, DebFile, Publication
from builders.model.settings import Folder
from builders.model.target import SUITES
from builders.pipeline import client_report
from builders.pipeline.project import Project


def codename(suite: str) -> str:
    """Return the board release that a suite serves: ``trixie`` of ``trixie-testing``; raises InputError."""
    name = suite.partition("-")[0]
    if name not in SUITES:
        raise InputError(f"unknown suite: {suite!r}", "a suite is a release's codename, alone or as in trixie-testing",
                         nearest(name, SUITES))  # fmt: skip
    return name


def suffixed(suite: str, suffix: str) -> str:
    """Return the suite to publish into: ``trixie-testing`` of ``trixie`` and ``testing``; raises InputError."""
    if suffix and not suffix.isalnum():
        raise InputError(f"not a suite's suffix: {suffix!r}", "letters and digits are wanted, as in testing")
    return f"{suite}-{suffix.lower()}" if suffix else suite


@dataclass(frozen=True)
class Candidate:
    """The next publication, verified and not yet published; ``scratch`` is a folder for those who try it."""

    staged: apt.Staged
    scratch: Path
    proof: apt.Proof

    @property
    def path(self) -> Path:
        """The folder that holds it: an apt repository by itself."""
        return self.staged.path


@contextmanager
def staged(
    project: Project, debs: Mapping[str, Sequence[DebFile]], *, instead: Mapping[str, Sequence[Entry]] | None = None,
    phase: int = 100,
) -> Iterator[Candidate]:  # fmt: skip
    """Stage and verify what the suites are to hold; remove it after the block, which may `switch` to it.

    ``debs`` are added by suite, what is new for ``phase`` of a hundred boards, after ``instead`` took the place of
    what is there. The caller holds `held`. Raises PublishError, DiskError.
    """
    clients.require_tools()
    key = apt.signing_key(project.settings, project.log)
    date = int(time.time())
    with project.workspace.scratch_folder("staging") as scratch:
        debs = _with_keyring(project, debs, instead or {}, key=key, date=date, scratch=scratch)
        with project.log.step("stage the repository"):
            made = apt.stage(
                project.workspace.apt, debs, scratch / "apt",
                settings=project.settings, key=key, log=project.log, date=date,
                state=state_folder(project), instead=instead, phase=phase,
            )  # fmt: skip
        candidate = Candidate(made, scratch, apt.Proof.recall(state_folder(project)) if made.changed else apt.Proof())
        for suite in made.suites:
            if made.changed:
                apt.verify(made.path, suite.suite, proof=candidate.proof)
            else:
                apt.glance(made.path, suite.suite)
        yield candidate


def ask_clients(project: Project, candidate: Candidate) -> list[client_report.Asked]:
    """Let real apt use what is new in a candidate as boards will; return what it says of each suite that changed.

    Raises PublishError where it refuses, RootError where the apt of a release that ``repository.clients`` names
    cannot be asked.
    """
    made = candidate.staged
    if not made.changed:
        return []
    keyring = next(p for p in (made.path / apt.KEYRING, project.workspace.apt / apt.KEYRING) if p.exists())
    # apt's own files do not take every path that a project may have: a folder with a plain name.
    with (
        project.log.step("try it with apt, today and on later days"),
        tempfile.TemporaryDirectory(prefix="reef-apt-") as plain,
    ):
        asked = [
            client_report.ask(
                project, made.path, suite.suite, Path(plain), keyring=keyring,
                releases=project.settings.repository.clients,
            )
            for suite in made.suites
            if suite.changed
        ]  # fmt: skip
        for error in (error for one in asked for error in one.untried):
            raise RootError(error.what, error.detail, f"{error.fix}; or take it out of repository.clients in reef.yml")
    return asked


def switch(project: Project, candidate: Candidate, asked: Iterable[client_report.Asked] = ()) -> list[Publication]:
    """Publish a candidate, verify it where readers see it, and tell what clients said of it.

    Raises BusyError, PublishError, DiskError; before readers see it nothing is published then.
    """
    if candidate.staged.changed:
        with project.log.step("publish and verify"):
            publications = apt.promote(candidate.staged, project.workspace.apt, project.log.warn)
            for publication in publications:
                apt.verify(project.workspace.apt, publication.suite, proof=candidate.proof)
            apt.told_only(candidate.proof.save, project.log.warn)
    else:
        publications = apt.promote(candidate.staged, project.workspace.apt, project.log.warn)
    for one in asked:
        _tell(project, one)
    if candidate.staged.root_files:
        project.log.note(f"written at the repository's root: {', '.join(sorted(candidate.staged.root_files))}")
    return list(publications)


def change(
    project: Project, debs: Mapping[str, Sequence[DebFile]], *, instead: Mapping[str, Sequence[Entry]] | None = None,
    phase: int = 100,
) -> list[Publication]:  # fmt: skip
    """Publish what the suites are to hold once real apt accepts it; arguments and errors as for `staged`."""
    with staged(project, debs, instead=instead, phase=phase) as candidate:
        return switch(project, candidate, ask_clients(project, candidate))


def _tell(project: Project, asked: client_report.Asked) -> None:
    """Say in one line what clients think of a suite, and in further ones whom it locks out before the others."""
    now = time.time()
    project.log.note(client_report.summary(asked))
    for outlook in client_report.locked_out(asked):
        say = project.log.warn if (outlook.until or 0) <= now else project.log.note
        say(f"boards with the keyring of {outlook.keyring}: {client_report.until(outlook, now)}")


@dataclass(frozen=True)
class Truth:
    """What is true of one published suite: rehashed, and what clients say of it."""

    verified: apt.Verified
    asked: client_report.Asked


def verify_all(project: Project, suite: str | None = None, *, roots: bool = False) -> list[Truth]:
    """Verify one published suite or all as a stranger would, then with real apt today and on later days.

    With ``roots`` also in clean roots of every board release, with the apt of each; one that cannot be made stops no
    other. Raises PublishError.
    """
    folder, result = project.workspace.apt, []
    place = Repository(folder)
    _require_some(place)
    with held(project), tempfile.TemporaryDirectory(prefix="reef-apt-") as plain:
        scratch = Path(plain)
        for name in [apt.known(place, suite)] if suite else place.suites():
            verified = apt.verify(folder, name)
            asked = client_report.ask(project, folder, name, scratch, releases=SUITES if roots else ())
            result.append(Truth(verified, asked))
    return result


def _require_some(place: Repository) -> None:
    if not place.suites():
        raise PublishError("nothing is published yet", f"in {place.path}", "run ./inv publish-apt first")


def _with_keyring(
    project: Project, debs: Mapping[str, Sequence[DebFile]], instead: Mapping[str, Sequence[Entry]], *,
    key: apt.SigningKey, date: int, scratch: Path,
) -> dict[str, list[DebFile]]:  # fmt: skip
    """Return ``debs`` with the keyring package in each suite whose own does not hold today's keys and settings.

    Where the keys changed it goes into every suite, also those that ``debs`` does not name.
    """
    place, result = Repository(project.workspace.apt), {name: list(some) for name, some in debs.items()}
    keyring = place.path / apt.KEYRING
    if not keyring.exists() or keyring.read_bytes() != key.public:
        result |= {name: [] for name in place.suites() if name not in debs}
    for suite, some in result.items():
        live = read_live(place, suite, state_folder(project))
        moment = max(date, live.release.date + 1) if live else date
        there = instead.get(suite, live.entries_of({apt.KEYRING_PACKAGE}) if live else ())
        source = bool(live and live.keeps_sources) or any(file.architecture == SOURCE for file in some)
        path = apt.keyring_deb(
            project.settings, key, SUITES[codename(suite)], there, date=moment, folder=scratch / f"keyring-{suite}",
            source=source,
        )  # fmt: skip
        if path:
            some.append(read_deb(path))
    return result


def state_folder(project: Project) -> Path:
    """Return the folder of what publishing remembers between runs; losing it only costs time."""
    return project.workspace.path / "state" / "apt"


def rollback(project: Project, suite: str, stamp: str | None = None) -> tuple[Publication, str]:
    """Publish again what an earlier publication of ``suite`` held, and return that one's stamp too.

    It gets a new date: clients pass over a Release that is dated back. Raises PublishError.
    """
    with held(project):
        apt.recover(project.workspace.apt, state_folder(project))
        old = apt.returned_to(project.workspace.apt, suite, stamp)
        _require_debs(project, old.entries)
        (publication,) = change(project, {suite: []}, instead={suite: old.entries})
    return publication, old.stamp


def promote(
    project: Project, source: str, target: str, packages: Sequence[str] = ()
) -> tuple[Publication, list[Entry]]:
    """Add to ``target`` what ``source`` holds and it does not, the same bytes; only ``packages`` where any are named.

    The source packages that they were built from come along where they are kept. Return the publication and what is
    new in it. Raises InputError for suites of two board releases, PublishError.
    """
    if codename(source) != codename(target):
        raise InputError(f"{source} and {target} serve different board releases", "packages are built for one of them")
    if source == target:
        raise InputError(f"{source} cannot be promoted into itself")
    with held(project):
        apt.recover(project.workspace.apt, state_folder(project))
        place = Repository(project.workspace.apt)
        there = read_live(place, apt.known(place, source))
        live = read_live(place, target)
        entries = there.entries if there else ()
        _require_known(packages, entries, source)
        present = {entry.filename for entry in live.entries} if live else set()
        names = set(packages) or {entry.package for entry in entries} - {apt.KEYRING_PACKAGE}  # each suite has its own
        binary = [entry for entry in entries if entry.package in names and not entry.is_source]
        built_from = {entry.built_from for entry in binary}
        wanted = [*binary, *(e for e in entries if e.is_source and (e.package, e.version) in built_from)]
        new = [entry for entry in wanted if entry.filename not in present]
        _require_debs(project, new)
        (publication,) = change(project, {target: [_deb(project, entry) for entry in new]})
    return publication, new


def _deb(project: Project, entry: Entry) -> DebFile:
    path = project.workspace.apt / entry.filename
    return DebFile(entry.package, entry.version, entry.architecture, entry.size, entry.sha256, path)


def _require_known(packages: Sequence[str], entries: Sequence[Entry], suite: str) -> None:
    names = {entry.package for entry in entries if not entry.is_source}
    for package in packages:
        if package not in names:
            raise InputError(f"{suite} holds no package {package!r}", nearest(package, names) if names else "")


def _require_debs(project: Project, entries: Sequence[Entry]) -> None:
    missing = apt.missing_debs(project.workspace.apt, entries)
    if missing:
        raise PublishError("the pool lacks .debs of this publication", "\n".join(missing), "restore them from a copy")


def phase(project: Project, suite: str, package: str, percentage: int) -> tuple[Publication, str]:
    """Let the newest version of a package reach ``percentage`` of a hundred boards, and return that version too.

    Boards draw their own lot per version (apt.conf(5), APT::Get::Phase-Policy): who had it keeps it. Raises InputError,
    PublishError.
    """
    if not 0 <= percentage <= 100:
        raise InputError(f"not a percentage: {percentage}", "0 to 100 are wanted")
    with held(project):
        apt.recover(project.workspace.apt, state_folder(project))
        place = Repository(project.workspace.apt)
        live = read_live(place, apt.known(place, suite))
        entries = live.entries if live else ()
        _require_known([package], entries, suite)
        newest = ordered(e for e in entries if e.package == package and not e.is_source)[-1].version
        chosen = [
            entry.phased(percentage) if (entry.package, entry.version) == (package, newest) else entry
            for entry in entries
        ]
        (publication,) = change(project, {suite: []}, instead={suite: chosen})
    return publication, newest


def prune(project: Project, *, show_only: bool = False) -> tuple[list[Publication], apt.Rubbish]:
    """Apply ``repository.keep`` to every suite, then remove what no live or kept publication names.

    Return each suite's publication and what went; with ``show_only`` nothing is done and only what lies unnamed now
    is told. Raises PublishError, DiskError.
    """
    folder = project.workspace.apt
    with held(project):
        suites = Repository(folder).suites()
        if show_only or not suites:
            return [], apt.rubbish(folder, project.settings)
        publications = change(project, {name: [] for name in suites})
        going = apt.rubbish(folder, project.settings)
        apt.remove(folder, going)
        for name in suites:
            apt.verify(folder, name)
    return publications, going


def upload(
    project: Project, names: Sequence[str] = (), *, show_only: bool = False
) -> tuple[list[Uploaded], list[tuple[str, ReefError]]]:
    """Bring the published repository to every destination of ``repository.upload``, or to those that are named.

    One that fails does not hold the others up: return what was done, and what failed by name. With ``show_only``
    nothing is sent. Raises InputError for an unknown name or where there is no destination.
    """
    known = {one.name: one for one in project.settings.repository.upload}
    if not known:
        raise InputError("no destination to upload to", "repository.upload in reef.yml is empty",
                         'see README.md, "Uploading"')  # fmt: skip
    for name in names:
        if name not in known:
            raise InputError(f"no destination {name!r} in reef.yml", nearest(name, known))
    done, failed = [], []
    _require_some(Repository(project.workspace.apt))
    for one in (known[name] for name in names or known):
        if isinstance(one, Folder):
            require_apart(one, project.workspace.apt, project.folder)
    with held(project):
        apt.recover(project.workspace.apt, state_folder(project))
        for name in dict.fromkeys(names or known):
            try:
                done.append(
                    upload_to(
                        project.workspace.apt, known[name], project.settings, project.log,
                        base=project.folder, state=state_folder(project), show_only=show_only,
                    )
                )  # fmt: skip
            except ReefError as error:
                failed.append((name, error))
    return done, failed


def list_keys(project: Project) -> list[apt.KeyFacts]:
    """Return the keys in the signing home, what each does and when it ends; raises PublishError."""
    return apt.list_keys(project.settings)


def extend_keys(project: Project, days: int) -> list[Publication]:
    """Let the keys that sign end ``days`` days from now, and publish the keyring that says so in every suite."""
    with held(project):
        apt.extend(project.settings, days)
        return change(project, {name: [] for name in Repository(project.workspace.apt).suites()})


def rotate_keys(project: Project) -> list[Publication]:
    """Make the key that takes over; every suite is signed by both from now on and gets the keyring that holds both."""
    with held(project):
        apt.rotate(project.settings, project.log)
        return change(project, {name: [] for name in Repository(project.workspace.apt).suites()})


def retire_key(project: Project, fingerprint: str) -> list[Publication]:
    """End the overlap: every suite is signed by the new key alone from now on."""
    with held(project):
        apt.retire(project.settings, fingerprint)
        return change(project, {name: [] for name in Repository(project.workspace.apt).suites()})


@contextmanager
def held(project: Project) -> Iterator[None]:
    """Hold the repository against other runs of Reef; every verb that changes it does."""
    with (
        project.workspace.in_use(),
        project.workspace.locked("publish", what=f"the repository {project.workspace.apt}", say=project.log.note),
    ):
        project.workspace.sweep()
        yield
