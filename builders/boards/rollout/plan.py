"""The plan for one board: a pure comparison of its facts with the published packages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from debian.debian_support import Version

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts, Finding, findings, pins
from builders.boards.inventory import Board
from builders.boards.rollout.models import PlannedModel, model_notes, plan_models
from builders.boards.rollout.offer import KEYRING_PACKAGE, Offer
from builders.errors import nearest


@dataclass(frozen=True)
class PlannedPackage:
    """A package of Reef's repository on a board: its version before (None: not installed) and after."""

    name: str
    before: str | None
    after: str
    automatic: bool = False

    @property
    def changes(self) -> bool:
        return self.before != self.after

    def __str__(self) -> str:
        if not self.changes:
            return f"{self.name} {self.after}"
        back = self.before is not None and Version(self.after) < Version(self.before)
        return f"{self.name} {self.before or '-'} -> {self.after}{' (downgrade)' if back else ''}"


@dataclass(frozen=True)
class BoardPlan:
    """All that a rollout does on a board, and the findings on it."""

    board: Board
    facts: BoardFacts
    offer: Offer
    packages: tuple[PlannedPackage, ...]
    notes: tuple[Finding, ...] = ()
    models: tuple[PlannedModel, ...] = ()

    @property
    def changes(self) -> tuple[PlannedPackage, ...]:
        """The packages that change."""
        return tuple(package for package in self.packages if package.changes)

    @property
    def summary(self) -> str:
        """All that changes, in words."""
        return ", ".join(map(str, (*self.changes, *(model for model in self.models if model.changes))))

    @property
    def repository_known(self) -> bool:
        """Whether the board has the keyring, and the .sources file if boards know the repository's address."""
        files = [self.offer.keyring, *([self.offer.sources] if self.offer.url else [])]
        return all(self.facts.files.get(file.path) == file.sha256 for file in files)

    @property
    def needs_apt(self) -> bool:
        """Whether the board's packages or its way to the repository change."""
        return bool(self.changes) or not self.repository_known or self.facts.interrupted

    @property
    def installs(self) -> bool:
        """Whether something is installed, with a receipt and a way back; else a board is only made ready and tested."""
        return bool(self.changes) or any(model.changes for model in self.models)

    @property
    def nothing_to_do(self) -> bool:
        """Whether the board is as the publication and the models here are, so that only the gate runs."""
        return not self.needs_apt and not self.installs


def plan_board(board: Board, facts: BoardFacts, offer: Offer, only: Sequence[str] = ()) -> BoardPlan:
    """Return the plan for a board, about the packages ``only`` if any are named.

    Raises BoardError for an obstacle, and for packages that are not published.
    """
    found = findings(facts)
    if errors := [finding for finding in found if finding.severity == "error"]:
        raise BoardError(
            f"{board}: {errors[0].text}" + (f", and {len(errors) - 1} more" if errors[1:] else ""),
            "\n".join(str(finding) for finding in errors[1:]), errors[0].fix,
        )  # fmt: skip
    packages = tuple(planned_packages(board, facts, offer, only))
    models = plan_models(board, facts, [package.name for package in packages], frozen=bool(only))
    notes = (
        *found, *_other_system(facts, offer), *_newer(packages, facts, offer), *_bad(packages, facts, offer),
        *model_notes(board, facts, models)
    )  # fmt: skip
    return BoardPlan(board, facts, offer, packages, notes, models)


def planned_packages(
    board: Board, facts: BoardFacts, offer: Offer, only: Sequence[str] = ()
) -> Iterator[PlannedPackage]:  # fmt: skip
    """Yield Reef's packages of a board with their versions before and after; raises BoardError as `plan_board`."""
    versions, installed = offer.versions(facts.architecture), facts.versions
    wishes = [wish.partition("=") for wish in only or board.keys.reef_packages]
    keyring = offer.url and KEYRING_PACKAGE in versions and not only
    if keyring and KEYRING_PACKAGE not in [name for name, _, _ in wishes]:
        wishes.append((KEYRING_PACKAGE, "", ""))
    for name, _, version in wishes:
        after = _chosen(board, name, version, versions.get(name, ()), offer)
        if name in facts.held:
            after = installed.get(name, "")
        elif not version and name in installed:
            after = max(after, installed[name], key=Version)
        if after:
            yield PlannedPackage(name, installed.get(name), after, _automatic(facts, name))
    named = {name for name, _, _ in wishes}
    for name, before in () if only else sorted(installed.items()):
        if name in versions and name not in named and name not in facts.held:
            after = max(versions[name][-1], before, key=Version)
            yield PlannedPackage(name, before, after, _automatic(facts, name))


def _chosen(board: Board, name: str, version: str, published: Sequence[str], offer: Offer) -> str:
    """Return the version to install of a package that is asked for; raises BoardError."""
    if not published:
        hint = nearest(name, offer.names) if offer.names else "nothing is published"
        raise BoardError(
            f"{board}: {name} is not published in {offer.suite}", hint,
            "correct the name (reef_packages: in boards.yml, or --package), or ./inv build-arm publish-apt",
        )  # fmt: skip
    if version and version not in published:
        raise BoardError(
            f"{board}: {name} {version} is not published in {offer.suite}",
            f"published: {', '.join(published)}",
            "correct the version (in boards.yml, or of --package), or leave it out",
        )
    return version or published[-1]


def _automatic(facts: BoardFacts, name: str) -> bool:
    return name in facts.packages and facts.packages[name].automatic


def _other_system(facts: BoardFacts, offer: Offer) -> Iterator[Finding]:
    """Yield a note if the board's system is not that of the suite that it takes."""
    if facts.text("os_codename") != offer.suite:
        yield Finding("note", f"{facts.text('os_name')} takes the packages of {offer.suite}")


def _bad(packages: Sequence[PlannedPackage], facts: BoardFacts, offer: Offer) -> Iterator[Finding]:
    """Yield a note for each version that the board went back from before."""
    known = {(pin.package, pin.version): pin.reason for pin in pins(facts)}
    for package in packages:
        if package.changes and (reason := known.get((package.name, package.after))):
            yield Finding(
                "note", f"{package.name} {package.after}: {reason}",
                f"publish a higher revision, or take it out: ./inv rollback {offer.suite}",
            )  # fmt: skip


def _newer(packages: Sequence[PlannedPackage], facts: BoardFacts, offer: Offer) -> Iterator[Finding]:
    """Yield a note for each package of which the board has a newer version than any published."""
    versions = offer.versions(facts.architecture)
    for package in packages:
        published = versions.get(package.name, ())
        if package.before and published and Version(package.before) > Version(published[-1]):
            yield Finding("note", f"{package.name} {package.before} is newer than the published {published[-1]}")
