"""The commands of the repository: publishing, uploading, returning, phasing, keys, verifying and serving."""

import functools
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from builders.apt import api as apt
from builders.cli.app import Context, number, open_project
from builders.cli.build import count_passed, name_accepted, name_builders, relevant, step_summary
from builders.cli.command_line import PublishRequest, to_publish
from builders.errors import HostError, InputError, PublishError
from builders.host.log import size
from builders.model.packages import Publication
from builders.pipeline import build, publish
from builders.pipeline.file_owners import require_promotable
from builders.pipeline.planning.plan import BuildTarget, plan
from builders.pipeline.prebuilt import accepted, digests, given
from builders.pipeline.project import Project
from builders.pipeline.publish import Checked

KEY_VARIABLE = "REEF_SIGNING_KEY"
LONGEST_PATH = 4096
LAST_PORT = 65535
MOST_NAMED = 5
"""Packages that one row of a table names."""


def publish_apt(context: Context, request: PublishRequest) -> list[Checked]:
    """Publish builds after an installation test from the staged repository on the target CPU, then upload.

    Return what was published.
    """
    phase = number("--phase", request.phase)
    if not 0 <= phase <= 100:
        raise InputError(f"not a percentage: {phase}", "expected 0 to 100", "correct --phase")
    if request.accept and not request.deb:
        raise InputError(
            "--accept is for packages given with --deb", "a recipe accepts faults by its key accept:", "add --deb FILE"
        )
    project = open_project(without_recipes=bool(request.deb))
    build_targets, engine = to_publish(context, project, request)
    with given(
        project, request.deb, request.target, accepted(request.accept), engine=engine, suffix=request.suffix
    ) as of_debs:
        if request.plan:
            _show_publish_plan(project, build_targets, of_debs, request.suffix)
            return []
        if of_debs:
            build.build(project, plan(of_debs), engine=engine)
        publications, checked = publish.publish(
            project, [*build_targets, *of_debs], engine=engine, suffix=request.suffix, phase=phase
        )
    _show(project, publications, checked, uploading=request.upload)
    name_accepted(project, [verdict for each in checked for verdict in each.verdicts])
    name_builders(project, [(each.build_target.recipe, each.record) for each in checked])
    for each in checked:
        took = step_summary(each.installed.steps) if each.fresh else "known from an earlier run"
        project.log.note(f"{each.build_target}: {len(each.verdicts)} verdicts, all passed; "
                         f"tried on {each.build_target.target.architecture}: {took}")  # fmt: skip
    if not project.settings.repository.url:
        project.log.warn("boards cannot reach a folder of this machine: set repository.url in reef.yml to the address "
                         "that they read from, and publish again (./inv install-boards needs none)")  # fmt: skip
    project.log.note('to use it on a board, see README.md, "On the board"; on all boards: docs/boards.md')
    if request.upload:
        upload_if_any(project)
    return checked


def upload_if_any(project: Project) -> None:
    """Upload the repository to the destinations in reef.yml, if there are any."""
    if project.settings.repository.upload:
        _upload(project, [])


def _show_publish_plan(
    project: Project, build_targets: Sequence[BuildTarget], of_debs: Sequence[BuildTarget], suffix: str
) -> None:
    """Show which builds publish-apt would publish; those ``of_debs`` it also makes."""
    rows = []
    for each in (*build_targets, *of_debs):
        suite = apt.suffixed(each.target.suite.name, suffix)
        there = apt.published(project.workspace.apt, suite) if project.workspace.apt.is_dir() else ()
        expected = digests(each)
        if each.record is None and each not in of_debs:
            action, reason = "skip", "not built: run build-arm"
        elif expected <= {deb.sha256 for deb in there}:
            action, reason = "keep", "published already"
        elif each.record is None:
            action, reason = "publish", "new; not checked yet"
        else:
            action, reason = "publish", "new"
        rows.append(
            (action, each.recipe.name, str(each.target), each.recipe.debian_version(each.target), suite, reason)
        )
    project.log.table("plan", ("action", "recipe", "target", "version", "suite", "reason"), rows)


def upload_apt(to: list[str], *, plan: bool) -> None:
    """Upload the repository, or with ``plan`` only show the files to send."""
    _upload(open_project(settings_alone=True), to, show_only=plan)


def _upload(project: Project, names: Sequence[str], *, show_only: bool = False) -> None:
    """Upload and show the result in a table; raises the first error after all destinations."""
    done, failed = apt.upload(project, names, show_only=show_only)
    rows = [
        (upload.name, _uploaded(upload, show_only=show_only), str(forecast.new_files), size(forecast.new_size),
         str(forecast.going_files), str(forecast.files), size(forecast.size))
        for upload in done
        for forecast in [upload.forecast]
    ]  # fmt: skip
    rows += [(name, f"failed: {error.what}", "", "", "", "", "") for name, error in failed]
    project.log.table("uploads", ("destination", "", "sent", "", "removed", "files there", "size there"), rows)
    for _, error in failed[1:]:
        project.log.warn(str(error))
    if failed:
        raise failed[0][1]


def _uploaded(upload: apt.Uploaded, *, show_only: bool) -> str:
    if show_only:
        return "would be uploaded" if upload.forecast.new_files or upload.forecast.going_files else "up to date"
    return "uploaded" if upload.changed else "unchanged"


def snapshots(suite: str | None) -> None:
    """Show every publication that `rollback` can return to."""
    project = open_project(settings_alone=True)
    rows = [
        (snapshot.suite, snapshot.stamp, "live" if snapshot.live else "", str(snapshot.debs), size(snapshot.size),
         _named(snapshot.added), _named(snapshot.removed))
        for snapshot in apt.snapshots(project.workspace.apt, suite)
    ]  # fmt: skip
    if not rows:
        project.log.note("nothing is published yet: run ./inv publish-apt first")
        return
    project.log.table("publications", ("suite", "publication", "", "debs", "size", "came", "went"), rows)


def rollback(suite: str, stamp: str | None) -> None:
    """Publish an earlier publication's content again."""
    project = open_project(settings_alone=True)
    publication, old = apt.rollback(project, suite, stamp)
    _show(project, [publication])
    project.log.note(f"{suite} has the content of {old} again; boards keep newer versions until you downgrade them: "
                     "apt install PACKAGE=VERSION --allow-downgrades")  # fmt: skip


def promote(source: str, target: str, package: list[str], *, newest: bool = False) -> None:
    """Add one suite's packages to another, the same bytes; of each only the ``newest`` version if asked."""
    project = open_project(without_recipes=True)  # which accept faults
    judge = functools.partial(require_promotable, project, target)
    publication, new = apt.promote(project, source, target, package, newest=newest, judge=judge)
    _show(project, [publication])
    project.log.note(f"promoted from {source} to {target}: {_named([str(entry) for entry in new]) or 'nothing new'}")


def phase(suite: str, package: str, percentage: int) -> None:
    """Set the percentage of boards that install a package's newest version when they upgrade."""
    project = open_project(settings_alone=True)
    publication, versions = apt.phase(project, suite, [package], percentage)
    _show(project, [publication])
    project.log.note(
        f"{package} {versions[package]} in {suite}: {percentage} of 100 boards install it when they upgrade"
    )


def prune(*, plan: bool) -> None:
    """Remove what the settings do not keep, or with ``plan`` only show it."""
    project = open_project(settings_alone=True)
    publications, going = apt.prune(project, show_only=plan)
    _show(project, publications)
    for name in going.debs:
        project.log.note(f"  {name}")
    project.log.note(_pruned(going, plan=plan))


def keys(*, extend: int, rotate: bool, retire: str | None, load: bool = False) -> None:
    """List the signing keys, after the change that an option asks for."""
    project = open_project(settings_alone=True)
    if sum((bool(extend), rotate, retire is not None, load)) > 1:
        raise InputError(
            "several changes of the keys at once", "--extend, --rotate, --retire and --load exclude each other",
            "run a command for each",
        )  # fmt: skip
    if load:
        apt.load_key(project.settings, given_key(), project.log)
    if extend:
        _show_signed(project, apt.extend_keys(project, extend))
    if rotate:
        _show_signed(project, apt.rotate_keys(project))
        project.log.note("both keys sign now. Boards get the new key with the package reef-archive-keyring. When every "
                         "board has it, end the overlap: ./inv keys --retire FINGERPRINT of the old key")  # fmt: skip
    if retire:
        publications = apt.retire_key(project, retire)
        _show_signed(project, publications)
        if publications:
            project.log.note("boards without the reef-archive-keyring of the overlap refuse the repository now: "
                             "./inv install-boards brings them the new one")  # fmt: skip
    rows = [
        (key.fingerprint, key.role, *_times(key)) for key in apt.list_keys(project.settings)
    ]  # fmt: skip
    if not rows:
        project.log.note("there is no signing key yet: the first ./inv publish-apt makes one")
        return
    project.log.table("signing keys", ("fingerprint", "role", "made", "ends", "days left"), rows)


def _show_signed(project: Project, publications: Sequence[Publication]) -> None:
    _show(project, publications)
    if not publications:
        project.log.note("nothing is published yet: the first ./inv publish-apt uses the key as it is now")


def _times(key: apt.KeyFacts) -> tuple[str, str, str]:
    if key.created is None:
        return "", "", ""
    made = apt.day_of(key.created)
    return (made, "never", "") if key.expires is None else (made, apt.day_of(key.expires), f"{key.days_left:.0f}")


def given_key() -> str:
    """Return the secret key of the variable REEF_SIGNING_KEY: its text, or that of the file it names."""
    given = os.environ.get(KEY_VARIABLE, "")
    if not given.strip():
        raise InputError(f"{KEY_VARIABLE} is empty", "expected: the armored secret key, or the name of a file with it",
                         "give the CI job its secret")  # fmt: skip
    if "\n" in given.strip() or len(given) > LONGEST_PATH:
        return given
    try:
        return Path(given.strip()).read_text()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise InputError(
            f"{KEY_VARIABLE} is neither a key nor a readable file", reason or "", "give the CI job its secret"
        ) from None


def verify_apt(suite: str | None, *, roots: bool) -> None:
    """Verify the publications and show until when boards accept them."""
    project = open_project(settings_alone=True)
    suites = apt.verify_all(project, suite, roots=roots)
    now = int(time.time())
    for suite_found in suites:
        found, clients = suite_found.verified, suite_found.clients
        name = found.suite
        more = f" and {found.sources} source packages" if found.sources else ""
        project.log.note(f"{name}: {found.indices} indices and {found.debs} .debs{more} rehashed, "
                         f"signed by {', '.join(found.fingerprints)}")  # fmt: skip
        rows = [
            (trial.client, trial.keyring, apt.day_of(now + trial.seconds), "accepts" if trial.accepted else "refuses")
            for trial in clients.trials
        ]
        project.log.table(f"clients of {name}", ("client", "keyring", "day", "verdict"), rows)
        if clients.old_contents:
            project.log.warn(f"{name}: apt takes no Contents (for apt-file) as an earlier Reef made them; publish once")
        for outlook in clients.outlooks:
            project.log.note(f"  boards with the keyring of {outlook.keyring}: {apt.until(outlook, now)}")
    for untried in (error for suite_found in suites for error in suite_found.clients.untried):
        raise untried


def serve_apt(*, host: str, port: int, certificate: str | None, key: str | None) -> None:
    """Serve the repository until Ctrl-C and show each request."""
    project = open_project(settings_alone=True)
    if bool(certificate) != bool(key):
        raise InputError(
            "TLS needs a certificate and its key", "only one of the two is given", "give both --certificate and --key"
        )
    if not 0 <= port <= LAST_PORT:
        raise InputError(f"not a port: {port}", f"expected 0 to {LAST_PORT}; 0 takes a free port", "correct --port")
    folder = project.workspace.apt
    if not folder.is_dir():
        raise PublishError("nothing is published yet", f"in {folder}", "run ./inv publish-apt first")
    pair = (Path(certificate), Path(key)) if certificate and key else None
    try:
        with (
            suppress(KeyboardInterrupt),  # the user's way to end it, as SIGTERM is: no failure
            apt.serving(folder, host=host, port=port, say=project.log.note, certificate=pair) as url,
        ):
            project.log.note(f"serving {os.path.relpath(folder)} at {url} (Ctrl-C ends it)")
            threading.Event().wait()
        project.log.note("no longer serving")
    except OSError as error:
        fix = "choose another with --port" + (", or correct --certificate and --key" if pair else "")
        raise HostError(f"cannot serve on {host}:{port}", str(error), fix) from error


def _pruned(going: apt.Unreferenced, *, plan: bool) -> str:
    verb = "would go" if plan else "removed"
    return f"{verb}: {len(going.snapshots)} publications, {len(going.debs)} files of packages, {size(going.size)}"


def _show(
    project: Project, publications: Sequence[Publication], checked: Sequence[Checked] = (), *, uploading: bool = False
) -> None:
    judged = {deb.sha256: tested for tested in checked for deb in tested.record.debs}
    rows = [
        (
            deb.package, deb.version, deb.architecture, publication.suite, size(deb.size), deb.sha256[:16],
            *_judged(judged.get(deb.sha256), deb.package),
        )
        for publication in publications
        for deb in publication.packages
    ]  # fmt: skip
    if rows:
        columns = ("package", "version", "cpu", "suite", "size", "sha256", "tried in", "checks")
        project.log.table("published", columns, rows)
    for publication in publications:
        state, place = "published" if publication.changed else "unchanged", os.path.relpath(publication.path)
        project.log.note(f"{publication.suite}: {state} in {place}, signed by {publication.key_fingerprint}")
    if publications:
        project.log.note(_key_end(publications[0]))
    uploads = project.settings.repository.upload
    if uploads and not uploading and any(publication.changed for publication in publications):
        names = ", ".join(upload.name for upload in uploads)
        project.log.note(f"boards that read from {names} see the change after the next ./inv upload-apt")


def _judged(checked: Checked | None, package: str) -> tuple[str, str]:
    """Return the time of a package's installation test, and the number of verdicts that passed."""
    if checked is None:
        return "", ""
    mine = relevant(package, checked.build_target.recipe.name, checked.verdicts)
    seconds = sum(step.seconds for step in checked.installed.steps)
    return f"{seconds:.0f} s" if checked.fresh else "known", count_passed(mine)


def _key_end(publication: Publication) -> str:
    if publication.key_expires is None:
        return "the signing key does not expire"
    days = (publication.key_expires - time.time()) / 86400
    return f"the signing key expires on {apt.day_of(publication.key_expires)}, in {days:.0f} days"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
