"""The front of the repository's commands: what `invoke publish-apt` and its kin tell."""

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from builders.apt import api as apt
from builders.cli.app import Context, number, open_project
from builders.cli.build import about, steps_told
from builders.cli.command_line import PublishRequest, to_publish
from builders.errors import HostError, InputError, PublishError
from builders.host.log import size
from builders.model.packages import Publication
from builders.pipeline import publish
from builders.pipeline.project import Project
from builders.pipeline.publish import Checked

KEY_VARIABLE = "REEF_SIGNING_KEY"
LONGEST_PATH = 4096
LAST_PORT = 65535
MOST_NAMED = 5
"""Packages that one row of a table names."""


def publish_apt(context: Context, request: PublishRequest) -> None:
    """Publish what is built, after it was installed and run from the staged repository on the target CPU; upload it."""
    phase = number("--phase", request.phase)
    if not 0 <= phase <= 100:
        raise InputError(f"not a percentage: {phase}", "0 to 100 are expected", "name such a number with --phase")
    project = open_project()
    build_targets, engine = to_publish(context, project, request)
    publications, checked = publish.publish(project, build_targets, engine=engine, suffix=request.suffix, phase=phase)
    _tell(project, publications, checked, uploading=request.upload)
    for each in checked:
        took = steps_told(each.installed.steps) if each.fresh else "known from an earlier run"
        project.log.note(f"{each.build_target}: {len(each.verdicts)} verdicts, all passed; "
                         f"tried on {each.build_target.target.architecture}: {took}")  # fmt: skip
    if not project.settings.repository.url:
        project.log.warn("boards cannot reach a folder of this machine: set repository.url in reef.yml to where they "
                         "will find it, and publish again")  # fmt: skip
    project.log.note('to use it on a board, see README.md, "On the board"')
    if request.upload and project.settings.repository.upload:
        _upload(project, [])


def upload_apt(to: list[str], *, plan: bool) -> None:
    """Upload what is published, or only tell what that would take."""
    _upload(open_project(), to, show_only=plan)


def _upload(project: Project, names: Sequence[str], *, show_only: bool = False) -> None:
    """Upload, tell the result in a table, and raise the first failure where there is one."""
    done, failed = apt.upload(project, names, show_only=show_only)
    rows = [
        (one.name, _uploaded(one, show_only=show_only), str(one.forecast.new_files), size(one.forecast.new_size),
         str(one.forecast.going_files), str(one.forecast.files), size(one.forecast.size))
        for one in done
    ]  # fmt: skip
    rows += [(name, f"failed: {error.what}", "", "", "", "", "") for name, error in failed]
    project.log.table("uploads", ("destination", "", "sent", "", "removed", "files there", "size there"), rows)
    for _, error in failed[1:]:
        project.log.warn(str(error))
    if failed:
        raise failed[0][1]


def _uploaded(one: apt.Uploaded, *, show_only: bool) -> str:
    if show_only:
        return "would be uploaded" if one.forecast.new_files or one.forecast.going_files else "up to date"
    return "uploaded" if one.changed else "unchanged"


def snapshots(suite: str | None) -> None:
    """Show every publication that can be returned to."""
    project = open_project()
    rows = [
        (one.suite, one.stamp, "live" if one.live else "", str(one.debs), size(one.size), _named(one.added),
         _named(one.removed))
        for one in apt.snapshots(project.workspace.apt, suite)
    ]  # fmt: skip
    if not rows:
        project.log.note("nothing is published yet: run ./inv publish-apt first")
        return
    project.log.table("publications", ("suite", "publication", "", "debs", "size", "came", "went"), rows)


def rollback(suite: str, stamp: str | None) -> None:
    """Publish an earlier publication's content again."""
    project = open_project()
    publication, old = apt.rollback(project, suite, stamp)
    _tell(project, [publication])
    project.log.note(f"{suite} holds again what {old} held; boards that have newer versions keep them until told "
                     "otherwise: apt install PACKAGE=VERSION --allow-downgrades")  # fmt: skip


def promote(source: str, target: str, package: list[str]) -> None:
    """Bring one suite's packages into another, the same bytes."""
    project = open_project()
    publication, new = apt.promote(project, source, target, package)
    _tell(project, [publication])
    project.log.note(f"promoted from {source} to {target}: {_named([str(entry) for entry in new]) or 'nothing new'}")


def phase(suite: str, package: str, percentage: int) -> None:
    """Let a package's newest version reach more boards."""
    project = open_project()
    publication, version = apt.phase(project, suite, package, percentage)
    _tell(project, [publication])
    project.log.note(f"{package} {version} in {suite}: {percentage} of 100 boards take it when they upgrade")


def prune(*, plan: bool) -> None:
    """Let go of what the settings do not keep."""
    project = open_project()
    publications, going = apt.prune(project, show_only=plan)
    _tell(project, publications)
    for name in going.debs:
        project.log.note(f"  {name}")
    project.log.note(_pruned(going, plan=plan))


def keys(*, extend: int, rotate: bool, retire: str | None, load: bool = False) -> None:
    """List the signing keys, after doing with them what is asked for."""
    project = open_project()
    if sum((bool(extend), rotate, retire is not None, load)) > 1:
        raise InputError("one thing at a time", "--extend, --rotate, --retire and --load do not go together")
    if load:
        apt.load_key(project.settings, given_key(), project.log)
    if extend:
        _tell(project, apt.extend_keys(project, extend))
    if rotate:
        _tell(project, apt.rotate_keys(project))
        project.log.note("both keys sign now. Boards get the new one with the package reef-archive-keyring; when each "
                         "has it, end the overlap: ./inv keys --retire FINGERPRINT of the older")  # fmt: skip
    if retire:
        _tell(project, apt.retire_key(project, retire))
        project.log.note("boards that have not installed the reef-archive-keyring published in the overlap are locked "
                         "out now: give them the keyring file by hand")  # fmt: skip
    rows = [
        (one.fingerprint, one.role, apt.day_of(one.created), apt.day_of(one.expires) if one.expires else "never",
         "" if one.days_left is None else f"{one.days_left:.0f}")
        for one in apt.list_keys(project.settings)
    ]  # fmt: skip
    if not rows:
        project.log.note("there is no signing key yet: the first ./inv publish-apt makes one")
        return
    project.log.table("signing keys", ("fingerprint", "role", "made", "ends", "days left"), rows)


def given_key() -> str:
    """Return the secret key of the variable REEF_SIGNING_KEY: its text, or that of the file it names."""
    given = os.environ.get(KEY_VARIABLE, "")
    if not given.strip():
        raise InputError(f"{KEY_VARIABLE} is empty", "it holds the armored secret key, or names a file that does",
                         "give the CI job its secret")  # fmt: skip
    if "\n" in given.strip() or len(given) > LONGEST_PATH:
        return given
    try:
        return Path(given.strip()).read_text()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else "not text"
        raise InputError(f"{KEY_VARIABLE} is neither a key nor a file that can be read", told or "") from None


def verify_apt(suite: str | None, *, roots: bool) -> None:
    """Verify what is published and tell how long boards go on to accept it."""
    project = open_project(without_recipes=True)
    suites = apt.verify_all(project, suite, roots=roots)
    now = int(time.time())
    for suite_found in suites:
        found, clients = suite_found.verified, suite_found.clients
        name = found.suite
        more = f" and {found.sources} source packages" if found.sources else ""
        project.log.note(f"{name}: {found.indices} indices and {found.debs} .debs{more} rehashed, "
                         f"signed by {', '.join(found.fingerprints)}")  # fmt: skip
        rows = [
            (one.client, one.keyring, apt.day_of(now + one.seconds), "accepts" if one.accepted else "refuses")
            for one in clients.trials
        ]
        project.log.table(f"clients of {name}", ("client", "keyring", "day", "verdict"), rows)
        for outlook in clients.outlooks:
            project.log.note(f"  boards with the keyring of {outlook.keyring}: {apt.until(outlook, now)}")
    for untried in (error for one in suites for error in one.clients.untried):
        raise untried


def serve_apt(*, host: str, port: int, certificate: str | None, key: str | None) -> None:
    """Serve the published repository until Ctrl-C, telling each request."""
    project = open_project()
    if bool(certificate) != bool(key):
        raise InputError("TLS needs both", "--certificate and --key are PEM files that belong together")
    if not 0 <= port <= LAST_PORT:
        raise InputError(f"not a port: {port}", f"0 to {LAST_PORT} are wanted; 0 takes a free one")
    folder = project.workspace.apt
    if not folder.is_dir():
        raise PublishError("nothing is published yet", f"in {folder}", "run ./inv publish-apt first")
    pair = (Path(certificate), Path(key)) if certificate and key else None
    try:
        with (
            suppress(KeyboardInterrupt),  # the way to end it, as SIGTERM is: no failure
            apt.serving(folder, host=host, port=port, say=project.log.note, certificate=pair) as url,
        ):
            project.log.note(f"serving {os.path.relpath(folder)} at {url} (Ctrl-C ends it)")
            threading.Event().wait()
        project.log.note("no longer serving")
    except OSError as error:
        fix = "choose another with --port, or correct --certificate and --key"
        raise HostError(f"cannot serve on {host}:{port}", str(error), fix) from error


def _pruned(going: apt.Unreferenced, *, plan: bool) -> str:
    verb = "would go" if plan else "removed"
    return f"{verb}: {len(going.snapshots)} publications, {len(going.debs)} files of packages, {size(going.size)}"


def _tell(
    project: Project, publications: Sequence[Publication], checked: Sequence[Checked] = (), *, uploading: bool = False
) -> None:
    judged = {deb.sha256: one for one in checked for deb in one.record.debs}
    rows = [
        (
            deb.package, deb.version, deb.architecture, one.suite, size(deb.size), deb.sha256[:16],
            *_judged(judged.get(deb.sha256), deb.package),
        )
        for one in publications
        for deb in one.packages
    ]  # fmt: skip
    if rows:
        columns = ("package", "version", "cpu", "suite", "size", "sha256", "tried in", "checks")
        project.log.table("published", columns, rows)
    for one in publications:
        state_now = "published" if one.changed else "unchanged"
        project.log.note(f"{one.suite}: {state_now} in {os.path.relpath(one.path)}, signed by {one.key_fingerprint}")
    if publications:
        project.log.note(_key_end(publications[0]))
    if project.settings.repository.upload and not uploading and any(one.changed for one in publications):
        names = ", ".join(one.name for one in project.settings.repository.upload)
        project.log.note(f"boards that read from {names} see it after the next ./inv upload-apt")


def _judged(checked: Checked | None, package: str) -> tuple[str, str]:
    """Return how long a package's installation was tried, and how many verdicts on it passed."""
    if checked is None:
        return "", ""
    mine = about(package, checked.build_target.recipe.name, checked.verdicts)
    seconds = sum(step.seconds for step in checked.installed.steps)
    return f"{seconds:.0f} s" if checked.fresh else "known", f"{len(mine)} passed"


def _key_end(publication: Publication) -> str:
    if publication.key_expires is None:
        return "the signing key does not expire"
    days = (publication.key_expires - time.time()) / 86400
    return f"the signing key expires on {apt.day_of(publication.key_expires)}, in {days:.0f} days"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
