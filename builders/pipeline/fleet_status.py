"""The state of a project's boards, from their answers now or from the records of earlier answers."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from builders.boards.api import (
    Background,
    Board,
    BoardError,
    BoardFacts,
    BoardStatus,
    Offer,
    probe,
    read_holds,
    recorded_rollouts,
    status_of,
)
from builders.errors import PublishError
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


def _background(fleet: Fleet, boards: Sequence[Board]) -> Background:
    recorded = recorded_rollouts(fleet.records, {board.name for board in boards})
    return Background(published_offers(fleet), read_holds(fleet.inventory.path.parent), fleet.records, recorded)
