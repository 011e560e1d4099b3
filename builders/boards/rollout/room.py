"""The room that an installation needs, as apt computes it, beside what the board has."""

import re
from collections.abc import Iterator

from builders.boards.connection import BoardError
from builders.boards.rollout.plan import BoardPlan

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
"""apt's units (its SizeToStr)."""
SUMS = {"archives": re.compile(r"([\d.,]+) ([kMGT]?B) to download"),
        "usr": re.compile(r"([\d.,]+) ([kMGT]?B) more on the disk")}  # fmt: skip
MARGIN = 1.2
"""For new files beside the old ones: dpkg unpacks before it removes."""


def require_room(plan: BoardPlan, sums: str) -> None:
    """Raise BoardError if a file system of the board has less room than apt's ``sums`` and a margin."""
    needed: dict[str, int] = {}
    for name, size in _sizes(sums):
        if disk := plan.facts.disk(name):
            needed[disk.mount] = needed.get(disk.mount, 0) + size
            if disk.free_bytes < needed[disk.mount] * MARGIN:
                raise BoardError(
                    f"{plan.board}: {disk.free_bytes / 1e6:.0f} MB free on {disk.mount}, too little for this", sums,
                    "free some space: sudo apt-get clean",
                )  # fmt: skip


def _sizes(sums: str) -> Iterator[tuple[str, int]]:
    for name, pattern in SUMS.items():
        if match := pattern.search(sums):
            yield name, int(float(match[1].replace(",", "")) * UNITS[match[2]])
