"""The repository's operations: roll back, promote, phase, prune, upload, and rotate keys."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from builders.apt.indices.entry import IndexEntry, ordered
from builders.apt.keys import rotation
from builders.apt.keys.keyring_package import PACKAGE as KEYRING_PACKAGE
from builders.apt.publish.change import change
from builders.apt.repository.context import RepositoryContext, state_folder
from builders.apt.repository.journal import recover
from builders.apt.repository.layout import RepositoryLayout, codename
from builders.apt.repository.lock import locked
from builders.apt.repository.publication import read_live
from builders.apt.repository.retention import Unreferenced, remove, unreferenced
from builders.apt.repository.snapshots import earlier_publication, missing_debs, require_published
from builders.apt.upload import Uploaded, require_apart
from builders.apt.upload import upload as upload_to
from builders.apt.verify.clients import require_tools
from builders.apt.verify.verify import verify
from builders.apt.verify.verify_all import require_some
from builders.errors import InputError, PublishError, ReefError, nearest
from builders.model.instances import differences, is_same, partners, paths_of
from builders.model.packages import DebFile, Publication
from builders.model.settings import Folder

Judge = Callable[[Sequence[DebFile], Collection[str]], None]


def rollback(context: RepositoryContext, suite: str, stamp: str | None = None) -> tuple[Publication, str]:
    """Publish the content of an earlier publication of ``suite`` again, and return its stamp too.

    It gets a new date: clients ignore a Release that is dated back. Raises PublishError.
    """
    with locked(context):
        recover(context.workspace.apt, state_folder(context))
        old = earlier_publication(context.workspace.apt, suite, stamp)
        _require_debs(context, old.entries)
        (publication,) = change(context, {suite: []}, replacement={suite: old.entries})
    return publication, old.stamp


def promote(
    context: RepositoryContext, source: str, target: str, packages: Sequence[str] = (), *, newest: bool = False,
    judge: Judge | None = None,
) -> tuple[Publication, list[IndexEntry]]:  # fmt: skip
    """Add the packages of ``source`` that ``target`` lacks, with the same bytes; only ``packages`` where any are named.

    With ``newest`` only the newest version of each for each architecture: older candidates may have failed. The source
    packages are added too, where the suite has them. ``judge`` gets the arriving .debs and the SHA-256 of all .debs of
    ``source``, and raises PublishError where boards cannot have them beside those of ``target``. Return the publication
    and its new entries. Raises InputError for suites of two board releases, PublishError.
    """
    if codename(source) != codename(target):
        raise InputError(
            f"{source} and {target} serve different board releases", "packages are built for one release",
            "name two suites of one release",
        )  # fmt: skip
    if source == target:
        raise InputError(f"{source} cannot be promoted into itself", fix="name another suite")
    with locked(context):
        recover(context.workspace.apt, state_folder(context))
        place = RepositoryLayout(context.workspace.apt)
        there = read_live(place, require_published(place, source))
        live = read_live(place, target)
        entries = there.entries if there else ()
        _require_known(packages, entries, source)
        present = {entry.filename for entry in live.entries} if live else set()
        names = set(packages) or {entry.package for entry in entries} - {KEYRING_PACKAGE}  # each suite has its own
        binary = [entry for entry in ordered(entries) if entry.package in names and not entry.is_source]
        if newest:
            binary = list({(entry.package, entry.architecture): entry for entry in binary}.values())
        built_from = {entry.built_from for entry in binary}
        promoted = [*binary, *(e for e in entries if e.is_source and (e.package, e.version) in built_from)]
        new = [entry for entry in promoted if entry.filename not in present]
        _require_debs(context, new)
        from_source = {entry.filename for entry in entries}
        _require_together(context, new, [e for e in (live.entries if live else ()) if e.filename not in from_source])
        if judge:
            judge([_deb(context, entry) for entry in new if not entry.is_source], {entry.sha256 for entry in entries})
        (publication,) = change(context, {target: [_deb(context, entry) for entry in new]})
    return publication, new


def _require_together(context: RepositoryContext, new: Sequence[IndexEntry], there: Sequence[IndexEntry]) -> None:
    """Raise PublishError where dpkg refuses a new package beside the same version for another CPU in the suite.

    Pairs of the suite that they come from were judged when they were published there.
    """
    others: dict[tuple[str, str], list[DebFile]] = {}
    for entry in there:
        others.setdefault((entry.package, entry.version), []).append(_deb(context, entry))
    for deb in (_deb(context, entry) for entry in new):
        for other in partners(deb, others.get((deb.package, deb.version), ())):
            if is_same(deb) and (faults := differences(paths_of(deb), paths_of(other))):
                raise PublishError(
                    f"a board cannot have {deb.package} {deb.version} for {deb.architecture} and {other.architecture}",
                    "\n".join(faults), "build one of them again with a higher revision, and promote it",
                )  # fmt: skip


def _deb(context: RepositoryContext, entry: IndexEntry) -> DebFile:
    path = context.workspace.apt / entry.filename
    return DebFile(entry.package, entry.version, entry.architecture, entry.size, entry.sha256, path)


def _require_known(packages: Sequence[str], entries: Sequence[IndexEntry], suite: str) -> None:
    names = {entry.package for entry in entries if not entry.is_source}
    for package in packages:
        if package not in names:
            raise InputError(
                f"{suite} does not contain the package {package!r}", fix=nearest(package, names) if names else ""
            )


def _require_debs(context: RepositoryContext, entries: Sequence[IndexEntry]) -> None:
    missing = missing_debs(context.workspace.apt, entries)
    if missing:
        raise PublishError("the pool lacks .debs of this publication", "\n".join(missing), "restore them from a copy")


def phase(
    context: RepositoryContext, suite: str, packages: Sequence[str], percentage: int
) -> tuple[Publication, dict[str, str]]:  # fmt: skip
    """Let the newest version of each package reach ``percentage`` of the boards, and return these versions too.

    Each board draws a number per version (apt.conf(5), APT::Get::Phase-Policy) and keeps what it has. Raises
    InputError, PublishError.
    """
    if not 0 <= percentage <= 100:
        raise InputError(f"not a percentage: {percentage}", "0 to 100 are possible", "correct it")
    with locked(context):
        recover(context.workspace.apt, state_folder(context))
        place = RepositoryLayout(context.workspace.apt)
        live = read_live(place, require_published(place, suite))
        entries = live.entries if live else ()
        _require_known(packages, entries, suite)
        newest = {entry.package: entry.version for entry in ordered(e for e in entries if not e.is_source)}
        versions = {package: newest[package] for package in packages}
        chosen = [
            entry.phased(percentage) if versions.get(entry.package) == entry.version else entry for entry in entries
        ]
        (publication,) = change(context, {suite: []}, replacement={suite: chosen})
    return publication, versions


def prune(context: RepositoryContext, *, show_only: bool = False) -> tuple[list[Publication], Unreferenced]:
    """Apply ``repository.keep`` to every suite, then remove what no live or kept publication refers to.

    Return each suite's publication and what was removed; with ``show_only`` nothing is changed, and what is
    unreferenced now is returned. Raises PublishError, DiskError.
    """
    folder = context.workspace.apt
    with locked(context):
        suites = RepositoryLayout(folder).suites()
        if show_only or not suites:
            return [], unreferenced(folder, context.settings)
        publications = change(context, {name: [] for name in suites})
        unused = unreferenced(folder, context.settings)
        remove(folder, unused)
        for name in suites:
            verify(folder, name)
    return publications, unused


def upload(
    context: RepositoryContext, names: Sequence[str] = (), *, show_only: bool = False
) -> tuple[list[Uploaded], list[tuple[str, ReefError]]]:
    """Upload the published repository to every destination of ``repository.upload``, or to those named.

    A failure does not stop the others: return the uploads, and the failures by name. With ``show_only`` nothing is
    sent. Raises InputError for an unknown name or without a destination.
    """
    known = {place.name: place for place in context.settings.repository.upload}
    if not known:
        raise InputError("no destination to upload to", "repository.upload in reef.yml is empty",
                         "see Reef's docs/uploading.md")  # fmt: skip
    for name in names:
        if name not in known:
            raise InputError(f"no destination {name!r} in reef.yml", fix=nearest(name, known))
    done, failed = [], []
    require_some(RepositoryLayout(context.workspace.apt))
    for destination in (known[name] for name in names or known):
        if isinstance(destination, Folder):
            require_apart(destination, context.workspace.apt, context.folder)
    with locked(context):
        recover(context.workspace.apt, state_folder(context))
        for name in dict.fromkeys(names or known):
            try:
                done.append(
                    upload_to(
                        context.workspace.apt, known[name], context.settings, context.log,
                        base=context.folder, state=state_folder(context), show_only=show_only,
                    )
                )  # fmt: skip
            except ReefError as error:
                failed.append((name, error))
    return done, failed


def extend_keys(context: RepositoryContext, days: int) -> list[Publication]:
    """Set the end of the keys that sign to ``days`` days from now, and publish the new keyring in every suite."""
    with _before_keys_change(context):
        for left in rotation.extend(context.settings, days):
            context.log.warn(left)
        return _sign_again(context)


def rotate_keys(context: RepositoryContext) -> list[Publication]:
    """Make the key that takes over; both keys sign every suite from now on, and each gets the keyring with both."""
    with _before_keys_change(context):
        rotation.rotate(context.settings, context.log)
        return _sign_again(context)


def retire_key(context: RepositoryContext, fingerprint: str) -> list[Publication]:
    """End the overlap: the new key alone signs every suite from now on."""
    with _before_keys_change(context):
        rotation.retire(context.settings, fingerprint)
        return _sign_again(context)


@contextmanager
def _before_keys_change(context: RepositoryContext) -> Iterator[None]:
    """Lock the repository, and raise before the block changes a key where nothing can be published after it."""
    with locked(context):
        require_tools()
        recover(context.workspace.apt, state_folder(context))
        yield


def _sign_again(context: RepositoryContext) -> list[Publication]:
    """Publish every suite with the keys as they are now; before the first publication there is none."""
    suites = RepositoryLayout(context.workspace.apt).suites()
    return change(context, {name: [] for name in suites}) if suites else []
