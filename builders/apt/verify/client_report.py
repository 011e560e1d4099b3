"""Client truth: what the apt of this machine, and of board releases in clean roots, says of a suite."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builders.apt.keys.signing import day_of
from builders.apt.repository.context import Context
from builders.apt.verify import clients
from builders.apt.verify.clients import TODAY, Outlook, Trial
from builders.errors import BuildError, RootError


@dataclass(frozen=True)
class ClientReport:
    """What clients say of one suite, and how long each keyring lasts.

    ``untried`` tells why the apt of some board releases could not be asked.
    """

    suite: str
    trials: tuple[Trial, ...]
    outlooks: tuple[Outlook, ...]
    untried: tuple[RootError, ...] = ()


def ask(
    context: Context, repository: Path, suite: str, scratch: Path, *,
    keyring: Path | None = None, releases: Iterable[str] = (),
) -> ClientReport:  # fmt: skip
    """Let this machine's apt, and that of board ``releases`` in clean roots, use a suite today and on later days.

    ``repository`` is the published folder or a candidate for it, ``scratch`` a folder with a plain name to work in,
    ``keyring`` today's, by default the one at the root. A root that cannot be made, or used, stops no other. Raises
    PublishError where a client refuses what it should accept, HostError.
    """
    outlooks = clients.outlooks(repository, suite, keyring)
    component = context.settings.repository.component
    trials = clients.try_here(repository, suite, component, scratch, keyring=keyring, seen=outlooks)
    untried = []
    for release in releases:
        try:
            place = scratch / f"{suite}-{release}"
            job = clients.job(
                repository, suite, release, component, machine=context.machine, scratch=place / "keyrings",
                keyring=keyring, pool=context.workspace.apt.absolute() / "pool", seen=outlooks,
            )  # fmt: skip
            trials += clients.read_trials(context.run_in_root(job, place / "out").output)
        except (RootError, BuildError) as error:
            untried.append(_untried(release, error))
    clients.require_accepted(trials, outlooks, suite, time.time())
    return ClientReport(suite, tuple(trials), tuple(outlooks), tuple(untried))


def _untried(release: str, error: RootError | BuildError) -> RootError:
    return RootError(
        f"the apt of {release} was not tried: {error.what}",
        error.detail,
        f"{error.fix}; Debian moves releases that are no longer supported to its archive",
    )


def locked_out(report: ClientReport) -> list[Outlook]:
    """Return the keyrings that end before today's does."""
    today = _today(report)
    return [one for one in report.outlooks if one.until is not None and (today is None or one.until < today)]


def summary(report: ClientReport) -> str:
    """Return one line: which clients were asked, and until when they go on with today's keyring."""
    names = ", ".join(dict.fromkeys(one.client for one in report.trials))
    today = _today(report)
    who = "boards with today's keyring" if locked_out(report) else "boards with any keyring that was published"
    until = "are never locked out" if today is None else f"are not locked out before {day_of(today)}"
    return f"{report.suite}: tried with {names}, today and on later days; {who} {until}"


def until(outlook: Outlook, now: float) -> str:
    """Return when and why boards with one keyring are locked out."""
    if outlook.until is None:
        return "never locked out"
    if outlook.until <= now:
        return f"LOCKED OUT NOW: {outlook.why}; give them reef-archive-keyring.gpg by hand"
    patient = "; trixie's apt goes on until the next publication" if outlook.by_key else ""
    return f"locked out from {day_of(outlook.until)} on: {outlook.why}{patient}"


def _today(report: ClientReport) -> int | None:
    return next(one.until for one in report.outlooks if one.keyring == TODAY)
