"""The commands of boards that install nothing: their state, first contact, checks."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from getpass import getpass
from typing import TypeVar

from builders.boards.api import (
    Board,
    BoardError,
    BoardFacts,
    Finding,
    HostKey,
    HostKeyError,
    add_board,
    findings,
    known_to_user,
    offer_for,
    offered_key,
    plan_board,
    probe,
)
from builders.cli.app import open_project
from builders.errors import InputError, PublishError
from builders.host import process
from builders.pipeline.fleet import Fleet, opened

MOST_AT_ONCE = 32
Result = TypeVar("Result")


@contextmanager
def opened_fleet(*, ask_sudo: bool = False) -> Iterator[Fleet]:
    """Give the boards of the current project; with ``ask_sudo`` ask for the password for sudo first."""
    project = open_project(without_recipes=True)
    if ask_sudo and not process.on_terminal():
        raise InputError("--ask-sudo needs a terminal", fix="let the user run sudo without a password on the boards")
    password = getpass("password for sudo on the boards: ") if ask_sudo else None
    with opened(project, password) as fleet:
        yield fleet


def each(
    fleet: Fleet, boards: Sequence[Board], ask: Callable[[Board], Result]
) -> Iterator[tuple[Board, Result | BoardError]]:
    """Ask boards side by side, and yield each, in the order of the file, with its answer or its error."""

    def answer(board: Board) -> Result | BoardError:
        try:
            return ask(board)
        except BoardError as error:
            return error

    with ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as pool:
        try:
            yield from zip(boards, pool.map(answer, boards), strict=True)
        except BaseException:
            fleet.stop.ask()
            raise


def new_board(
    name: str, address: str | None, user: str | None, port: int | None, packages: Sequence[str]
) -> None:  # fmt: skip
    """Add a board to boards.yml, and say what to do next."""
    project = open_project(settings_alone=True)
    given: dict[str, str | int | None] = {"ansible_host": address, "ansible_user": user, "ansible_port": port}
    keys = {key: value for key, value in given.items() if value is not None}
    path = add_board(project.folder, name, keys, tuple(packages))
    project.log.note(f"wrote {name} to {path}")
    project.log.note(f"next: ./inv trust-boards --board {name}, then ./inv check-boards --board {name}")


def trust_boards(names: Sequence[str], groups: Sequence[str], accepted: Sequence[str]) -> None:
    """Record the host keys of boards after a comparison by the user."""
    with opened_fleet() as fleet:
        boards = fleet.inventory.select(names, groups)
        failed: list[str] = []
        for board, offered in each(fleet, boards, lambda board: offered_key(fleet.ssh(board))):
            if isinstance(offered, BoardError):
                fleet.project.log.warn(f"{offered.what}; {offered.fix}")
                failed.append(board.name)
            elif not _trusted(fleet, board, offered, accepted):
                failed.append(board.name)
        if failed:
            raise HostKeyError(
                f"{len(failed)} of {len(boards)} boards are not trusted",
                ", ".join(failed),
                "compare the fingerprints on the boards (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then run "
                "this again on a terminal, or with --accept SHA256:...",
            )
        fleet.project.log.note(f"{len(boards)} boards are trusted; their keys are in {fleet.known_hosts.path}")


def _trusted(fleet: Fleet, board: Board, offered: HostKey, accepted: Sequence[str]) -> bool:
    log, known = fleet.project.log, fleet.known_hosts.keys(board.name)
    if offered in known:
        log.note(f"{board}: known, {offered.fingerprint}")
        return True
    others = ", ".join(key.fingerprint for key in known if key.kind == offered.kind)
    if others:
        log.warn(f"{board}: its key has changed: it was {others}, it is {offered.fingerprint}")
    elif known_to_user(board, fleet.ssh(board), offered):
        log.note(f"{board}: taken from your own known_hosts, {offered.fingerprint}")
        fleet.known_hosts.replace(board.name, [*known, offered])
        return True
    if offered.fingerprint not in accepted:
        offer = f"{board} ({board.destination}) has the key {offered.fingerprint} ({offered.kind})"
        if not process.on_terminal():
            log.note(f"{board}: not known, {offered.fingerprint}")
            return False
        if input(f"{offer}. Is it the board's? [y/N] ").strip().lower() not in ("y", "yes"):
            return False
    fleet.known_hosts.replace(board.name, [offered])
    return True


def check_boards(names: Sequence[str], groups: Sequence[str], *, ask_sudo: bool) -> None:
    """Read what decides an installation on each board, and show each finding with its fix."""
    with opened_fleet(ask_sudo=ask_sudo) as fleet:
        log, bad = fleet.project.log, []
        boards = fleet.inventory.select(names, groups)
        for board, facts in each(fleet, boards, lambda board: asked(fleet, board)):
            if isinstance(facts, BoardError):
                bad.append(board.name)
                log.note(f"{facts.what}\n    {facts.fix}")
                continue
            found = _judged(fleet, board, facts)
            log.note(f"{board}: {facts.text('os_name')}, {facts.architecture}, apt {facts.text('apt')}")
            for finding in found:
                log.note(f"    {finding.severity}: {finding}")
            if any(finding.severity == "error" for finding in found):
                bad.append(board.name)
        if bad:
            raise BoardError(f"{len(bad)} of {len(boards)} boards cannot be installed", ", ".join(bad), "see above")


def _judged(fleet: Fleet, board: Board, facts: BoardFacts) -> Sequence[Finding]:
    """Return the findings on a board, and the obstacle to its plan if something is published."""
    try:
        return plan_board(board, facts, offer_for(board, facts, fleet.offers)).notes
    except PublishError:
        return findings(facts)
    except BoardError as error:
        found = findings(facts)
        if any(finding.severity == "error" for finding in found):
            return found
        return [Finding("error", error.what.removeprefix(f"{board}: "), error.fix), *found]


def boards(names: Sequence[str], groups: Sequence[str], *, ask_sudo: bool) -> None:
    """Show every board: its system, its packages, and the difference from what is published."""
    with opened_fleet(ask_sudo=ask_sudo) as fleet:
        chosen = fleet.inventory.select(names, groups)
        answers = list(each(fleet, chosen, lambda board: asked(fleet, board)))
        rows = [_row(fleet, board, answer) for board, answer in answers]
        fleet.project.log.table("boards", ("board", "system", "packages", "services", "drift", "last rollout"), rows)
        silent = [board.name for board, answer in answers if isinstance(answer, BoardError)]
        if silent:
            raise BoardError(
                f"{len(silent)} of {len(chosen)} boards do not answer", ", ".join(silent), "./inv check-boards"
            )


def asked(fleet: Fleet, board: Board) -> BoardFacts:
    """Return the facts of a board; raises BoardError."""
    try:
        offers = fleet.offers
    except PublishError:  # boards can be looked at before anything is published
        offers = {}
    published = sorted({name for offer in offers.values() for name in offer.names})
    return probe(fleet.ssh(board), offers, fleet.services(board, published))


def _row(fleet: Fleet, board: Board, answer: BoardFacts | BoardError) -> tuple[str, ...]:
    if isinstance(answer, BoardError):
        return board.name, "?", answer.what.removeprefix(f"{board}: "), "", "", ""
    stamp, state = (list(answer.receipts.items()) or [("", "")])[-1]
    system = f"{answer.text('os_codename')}/{answer.architecture}"
    packages = ", ".join(f"{name} {version}" for name, version in sorted(answer.versions.items()))
    services = ", ".join(f"{name} {active}" for name, active in answer.services.items())
    return (
        board.name,
        system,
        packages or "-",
        services,
        _drift(fleet, board, answer),
        f"{stamp} {state.split(' ')[0]}".strip(),
    )


def _drift(fleet: Fleet, board: Board, facts: BoardFacts) -> str:
    try:
        plan = plan_board(board, facts, offer_for(board, facts, fleet.offers))
    except (BoardError, PublishError) as error:
        return error.what.removeprefix(f"{board}: ")
    return ", ".join(map(str, plan.changes)) or "none"
