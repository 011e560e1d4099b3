"""Differences between a board and what it should be: boards.yml, the publication, and the packages' own files."""

from collections.abc import Iterator, Mapping, Sequence

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts, changed_files, pins
from builders.boards.inventory import Board
from builders.boards.rollout.models import model_notes, plan_models
from builders.boards.rollout.offer import Offer, offer_for
from builders.boards.rollout.plan import PlannedPackage, planned_packages


def expected_packages(board: Board, facts: BoardFacts, offers: Mapping[str, Offer]) -> tuple[PlannedPackage, ...]:
    """Return Reef's packages of a board as they are and as they should be; raises BoardError if it cannot have them."""
    return tuple(planned_packages(board, facts, offer_for(board, facts, offers)))


def drift(board: Board, facts: BoardFacts, offers: Mapping[str, Offer]) -> tuple[str, ...]:
    """Return a line for each difference. A conffile that its owner edited does not count."""
    try:
        packages = expected_packages(board, facts, offers)
    except BoardError as error:
        return (error.what.removeprefix(f"{board}: "), *_files(facts))
    offer = offer_for(board, facts, offers)
    return (*map(str, (package for package in packages if package.changes)), *_models(board, facts, packages),
            *_held(facts, offer), *_repository(facts, offer), *_files(facts))  # fmt: skip


def _models(board: Board, facts: BoardFacts, packages: Sequence[PlannedPackage]) -> Iterator[str]:
    """Yield the models of boards.yml that the board does not serve so, and those that boards.yml does not name."""
    try:
        models = plan_models(board, facts, [package.name for package in packages])
    except BoardError as error:
        yield error.what.removeprefix(f"{board}: ")
        return
    yield from (str(model) for model in models if model.changes)
    yield from map(str, model_notes(board, facts, models))


def _held(facts: BoardFacts, offer: Offer) -> Iterator[str]:
    """Yield the packages that the board's owner holds back from a newer version."""
    versions = offer.versions(facts.architecture)
    for name in facts.held:
        installed, published = facts.versions.get(name), versions.get(name)
        if installed and published and installed != published[-1]:
            yield f"{name} {installed} is held on the board; published: {published[-1]}"


def _repository(facts: BoardFacts, offer: Offer) -> Iterator[str]:
    """Yield the files of the repository on the board that are another than the published."""
    for file in (offer.keyring, offer.sources):
        if facts.files.get(file.path, file.sha256) != file.sha256:
            yield f"{file.path} is another than the published"


def _files(facts: BoardFacts) -> Iterator[str]:
    yield from (str(file) for file in changed_files(facts) if not file.conffile)
    yield from map(str, pins(facts))
