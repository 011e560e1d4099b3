"""The models of a board, as its model server and Reef know them; ``scripts/models.sh`` prints them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builders.boards.facts.board_facts import BoardFacts, Disk


@dataclass(frozen=True)
class VersionPolicy:
    """The versions that a model server serves of those on its disk: ``model_version_policy`` of its models.config."""

    kind: str = "latest"
    numbers: tuple[int, ...] = (1,)

    def chosen(self, versions: Iterable[int]) -> tuple[int, ...]:
        """Return the versions that are served of ``versions``."""
        ordered = sorted(versions)
        match self.kind:
            case "all":
                return tuple(ordered)
            case "specific":
                return tuple(version for version in ordered if version in self.numbers)
            case _:
                return tuple(ordered[-max(1, *self.numbers) :])

    def __str__(self) -> str:
        return " ".join([self.kind, *map(str, self.numbers if self.kind != "all" else ())])


@dataclass(frozen=True)
class BoardModel:
    """A model on a board. ``known``: whether the server's models.config names it; ``base``: the folder of its versions.

    ``versions`` has the digest of each version that was asked for or that Reef placed, an empty text for others;
    ``placed`` are the versions that Reef placed.
    """

    name: str
    known: bool
    base: str
    policy: VersionPolicy
    versions: Mapping[int, str]
    placed: frozenset[int]
    disk: Disk | None = None

    @property
    def served(self) -> tuple[int, ...]:
        """The versions that its server serves now."""
        return self.policy.chosen(self.versions) if self.known else ()


def models_on(facts: BoardFacts) -> dict[str, BoardModel]:
    """Return the models that a board was asked for, and those that Reef placed on it, by name."""
    found = {}
    for line in facts.values.get("model_folder", ()):
        name, known, base = line.split(" ", 2)
        policy = facts.text(f"model_policy:{name}").split() or ["latest", "1"]
        lines = [words.split(" ") for words in facts.values.get(f"model_version:{name}", ())]
        found[name] = BoardModel(
            name, known == "yes", base, VersionPolicy(policy[0], tuple(map(int, policy[1:]))),
            {int(number): digest.strip("-") for number, digest, _ in lines},
            frozenset(int(number) for number, _, owner in lines if owner == "reef"),
            facts.disk(f"model:{name}"),
        )  # fmt: skip
    return found
