"""Measurements beside what they may be at most, and whether they are: what each benchmark ends with."""

from collections.abc import Sequence
from dataclasses import dataclass

from builders.host.log import Log

STRICT = "--strict"
"""The option by which a benchmark ends with `OVER` where a budget is not kept."""
OVER = 9
"""The exit code for it: that of a failed check."""


@dataclass(frozen=True)
class Budget:
    """One measurement; ``most`` is its budget in the same ``unit`` (a ratio has none), None where it is only told."""

    what: str
    measured: float
    most: float | None = None
    unit: str = ""
    note: str = ""

    @property
    def kept(self) -> bool:
        """Tell whether it is within its budget; what is no number is not."""
        return self.most is None or self.measured <= self.most

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """What the table shows of it."""
        wanted = "" if self.most is None else f"<= {self.most:g} {self.unit}".rstrip()
        verdict = "" if self.most is None else "kept" if self.kept else "OVER"
        return self.what, f"{self.measured:.2f} {self.unit}".rstrip(), wanted, verdict, self.note


def tell(budgets: Sequence[Budget], log: Log, title: str = "budgets") -> None:
    """Print a table with a verdict on each."""
    log.table(title, ("what", "measured", "wanted", "verdict", ""), [one.row for one in budgets])


def exit_code(budgets: Sequence[Budget], words: Sequence[str]) -> int:
    """Return what a benchmark ends with that was started with ``words``: `OVER` where it is strict and one is over."""
    return OVER if STRICT in words and not all(one.kept for one in budgets) else 0
