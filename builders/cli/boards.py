"""The commands of boards that install nothing: first contact, checks."""

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
    require_distinct,
)
from builders.cli.app import open_project
from builders.errors import InputError, PublishError
from builders.host import process
from builders.pipeline.fleet import Fleet, opened
from builders.pipeline.fleet_status import ask

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
        for board, offered in each(fleet, boards, lambda board: _offered(fleet, board)):
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


def _offered(fleet: Fleet, board: Board) -> HostKey:
    return offered_key(fleet.ssh(board), fleet.known_hosts.keys(board.name))


def _trusted(fleet: Fleet, board: Board, offered: HostKey, accepted: Sequence[str]) -> bool:
    log, known = fleet.project.log, fleet.known_hosts.keys(board.name)
    if offered in known:
        log.note(f"{board}: known, {offered.fingerprint}")
        return True
    if known:
        before = " or ".join(key.fingerprint for key in known)
        log.warn(f"{board}: its host key has changed: it was {before}, it is {offered.fingerprint}")
    elif known_to_user(board, fleet.ssh(board), offered):
        log.note(f"{board}: taken from your own known_hosts, {offered.fingerprint}")
        fleet.known_hosts.replace(board.name, [offered])
        return True
    if offered.fingerprint not in accepted:
        offer = f"{board} ({board.destination}) has the key {offered.fingerprint} ({offered.kind})"
        if not process.on_terminal():
            log.note(f"{board}: not accepted, {offered.fingerprint}")
            return False
        if input(f"{offer}. Is it the board's? [y/N] ").strip().lower() not in ("y", "yes"):
            return False
    fleet.known_hosts.replace(board.name, [offered])
    return True


def check_boards(names: Sequence[str], groups: Sequence[str], *, ask_sudo: bool) -> None:
    """Read what decides an installation on each board, and show each finding with its fix."""
    with opened_fleet(ask_sudo=ask_sudo) as fleet:
        fleet.require_gates()
        log, answers, bad = fleet.project.log, dict[str, BoardFacts](), list[str]()
        boards = fleet.inventory.select(names, groups)
        for board, answer in each(fleet, boards, lambda board: ask(fleet, board)):
            if isinstance(answer, BoardError):
                found: Sequence[Finding] = [Finding("error", answer.what.removeprefix(f"{board}: "), answer.fix)]
                log.note(f"{board}:")
            else:
                answers[board.name] = answer
                found = _judged(fleet, board, answer)
                log.note(f"{board}: {answer.text('os_name')}, {answer.architecture}, apt {answer.text('apt')}")
            for finding in found:
                log.note(f"    {finding.severity}: {finding}")
            if any(finding.severity == "error" for finding in found):
                bad.append(board.name)
        log.note(f"{len(boards) - len(bad)} of {len(boards)} boards are ready for an installation")
        require_distinct(answers)
        if bad:
            raise BoardError(
                f"{len(bad)} of {len(boards)} boards cannot be installed", ", ".join(bad),
                "see the errors above, each with its fix",
            )  # fmt: skip


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
