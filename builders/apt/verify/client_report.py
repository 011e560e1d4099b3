"""How the apt of this machine, and of board releases in clean roots, accepts a suite."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builders.apt.keys.signing import day_of
from builders.apt.repository.context import RepositoryContext
from builders.apt.verify import clients
from builders.apt.verify.clients import CONTENTS, TODAY, Outlook, Trial
from builders.errors import BuildError, RootError


@dataclass(frozen=True)
class ClientReport:
    """The trials of one suite by clients, and how long each keyring lasts.

    ``untried`` are the reasons why the apt of some board releases could not be tried. ``old_contents`` says that apt
    takes no Contents of the suite, in the form of an earlier Reef, until the next publication.
    """

    suite: str
    trials: tuple[Trial, ...]
    outlooks: tuple[Outlook, ...]
    untried: tuple[RootError, ...] = ()
    old_contents: bool = False


def ask(
    context: RepositoryContext, repository: Path, suite: str, scratch: Path, *,
    keyring: Path | None = None, releases: Iterable[str] = (), published: bool = False,
) -> ClientReport:  # fmt: skip
    """Let this machine's apt, and that of board ``releases`` in clean roots, use a suite today and on later days.

    ``repository`` is the published folder or a candidate, ``scratch`` a folder with a plain name to work in,
    ``keyring`` today's, by default the one at the root. Of a ``published`` suite, Contents in the form of an earlier
    Reef fail nothing. A root that cannot be made or used stops no other. Raises
    PublishError where a client refuses what it should accept, HostError.
    """
    outlooks = clients.outlooks(repository, suite, keyring)
    component = context.settings.repository.component
    trials = clients.try_here(repository, suite, component, scratch, keyring=keyring, known=outlooks)
    untried = []
    for release in releases:
        try:
            place = scratch / f"{suite}-{release}"
            job = clients.job(
                repository, suite, release, component, machine=context.machine, scratch=place / "keyrings",
                keyring=keyring, pool=context.workspace.apt.absolute() / "pool", known=outlooks,
            )  # fmt: skip
            trials += clients.read_trials(context.run_in_root(job, place / "out").output)
        except (RootError, BuildError) as error:
            untried.append(_untried(release, error))
    old = published and clients.old_contents(repository, suite)
    counted = [trial for trial in trials if not (old and trial.keyring == CONTENTS)]
    clients.require_accepted(counted, outlooks, suite, time.time())
    return ClientReport(suite, tuple(trials), tuple(outlooks), tuple(untried), old)


def _untried(release: str, error: RootError | BuildError) -> RootError:
    return RootError(
        f"the apt of {release} was not tried: {error.what}",
        error.detail,
        f"{error.fix}; Debian moves releases that are no longer supported to its archive",
    )


def locked_out(report: ClientReport) -> list[Outlook]:
    """Return the outlooks that end before that of today's keyring."""
    today = _today(report)
    return [o for o in report.outlooks if o.until is not None and (today is None or o.until < today)]


def summary(report: ClientReport) -> str:
    """Return one line: the clients that were tried, and until when they accept today's keyring."""
    names = ", ".join(dict.fromkeys(trial.client for trial in report.trials))
    today = _today(report)
    who = "boards with today's keyring" if locked_out(report) else "boards with any keyring that was published"
    until = "are never locked out" if today is None else f"are not locked out before {day_of(today)}"
    return f"{report.suite}: tried with {names}, today and on later days; {who} {until}"


def until(outlook: Outlook, now: float) -> str:
    """Return when and why boards with a keyring are locked out."""
    if outlook.until is None:
        return "never locked out"
    if outlook.until <= now:
        return f"LOCKED OUT NOW: {outlook.why}; give them reef-archive-keyring.gpg by hand"
    patient = "; trixie's apt continues until the next publication" if outlook.by_key else ""
    return f"locked out from {day_of(outlook.until)} on: {outlook.why}{patient}"


def _today(report: ClientReport) -> int | None:
    return next(outlook.until for outlook in report.outlooks if outlook.keyring == TODAY)
