"""The state of a project's boards, from their answers now or from the records of earlier answers."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from builders.boards.api import (
    Background,
    Board,
    BoardError,
    BoardFacts,
    BoardHistory,
    BoardStatus,
    Offer,
    Section,
    explain,
    probe,
    read_holds,
    recorded_rollouts,
    status_of,
    stick,
)
from builders.errors import PublishError
from builders.pipeline.board_origins import origins, publication
from builders.pipeline.fleet import Fleet


def published_offers(fleet: Fleet) -> Mapping[str, Offer]:
    """Return the published suites, none before anything is published: boards can be looked at before."""
    with suppress(PublishError):
        return fleet.offers
    return {}


def ask(fleet: Fleet, board: Board) -> BoardFacts:
    """Return the facts of a board, with its changed files, and record them; raises BoardError."""
    offers = published_offers(fleet)
    names = [name for offer in offers.values() for name in offer.names]
    facts = probe(fleet.ssh(board), offers, fleet.services(board, names), verify=True)
    fleet.records.see(board.name, facts)
    return facts


def statuses(fleet: Fleet, answers: Iterable[tuple[Board, BoardFacts | BoardError]]) -> list[BoardStatus]:
    """Return the states of boards that were asked; one that did not answer is shown as it answered last."""
    found = list(answers)
    background = _background(fleet, [board for board, _ in found])
    return [
        status_of(board, fleet.records.seen(board.name), background, error=answer)
        if isinstance(answer, BoardError)
        else status_of(board, answer, background)
        for board, answer in found
    ]


def recorded_statuses(fleet: Fleet, boards: Sequence[Board]) -> list[BoardStatus]:
    """Return the states of boards as they answered last; nothing is asked."""
    background = _background(fleet, boards)
    return [status_of(board, fleet.records.seen(board.name), background, asked=False) for board in boards]


def history(fleet: Fleet, board: Board, stamp: str) -> BoardHistory:
    """Return all that is known of a board and of a rollout on it, by default the newest that installed something.

    Raises BoardError for a rollout that neither the board nor this machine knows.
    """
    facts: BoardFacts | BoardError
    try:
        facts = ask(fleet, board)
    except BoardError as error:
        facts = error
    (status,) = statuses(fleet, [(board, facts)])
    records = fleet.records
    here = [known for known in records.rollouts if records.rollout(known).wave(board.name)]
    there = list(status.facts.receipts) if status.facts else []
    installed = [known for known in here if records.rollout(known).receipt(board.name)]
    chosen = stamp or max([*there, *installed], default=here[-1] if here else "")
    if stamp and stamp not in (*here, *there):
        known = ", ".join(sorted({*here, *there})) or "none"
        raise BoardError(f"{board}: no rollout {stamp}", f"known: {known}", "correct --rollout, or leave it out")
    names = [package.name for package in status.packages]
    answer = explain(fleet.ssh(board), names, chosen) if status.answers else _brought(fleet, board, chosen)
    return BoardHistory(status, chosen, records.rollout(chosen) if chosen in here else None, answer)


def _brought(fleet: Fleet, board: Board, stamp: str) -> Mapping[str, Sequence[str]]:
    """Return what a person brought from a board about a rollout; empty if nobody did."""
    answer = stick.brought_answer(fleet.records, board.name)
    return answer.explained if answer and answer.stamp == stamp else {}


def origin_sections(fleet: Fleet, known: BoardHistory) -> list[Section]:
    """Return the publication of a rollout, and the builds of the packages that the board has now."""
    receipt, facts = known.receipt, known.status.facts
    found = []
    if receipt.get("publication"):
        lines = publication(fleet.project, str(receipt.get("suite")), str(receipt["publication"]))
        found.append(Section("publication", tuple(lines)))
    if facts and facts.versions:
        offer = published_offers(fleet).get(str(receipt.get("suite") or facts.text("os_codename")))
        lines = origins(fleet.project.workspace, facts.versions, facts.architecture, offer)
        found.append(Section("builds", tuple(lines)))
    return found


def _background(fleet: Fleet, boards: Sequence[Board]) -> Background:
    recorded = recorded_rollouts(fleet.records, {board.name for board in boards})
    return Background(published_offers(fleet), read_holds(fleet.inventory.path.parent), fleet.records, recorded)
