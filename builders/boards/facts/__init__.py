"""The facts of a board that decide an installation, and the findings on them."""

from builders.boards.facts.board_facts import BoardFacts, InstalledPackage, parse_facts
from builders.boards.facts.board_models import BoardModel, VersionPolicy, models_on
from builders.boards.facts.findings import CLOCK_S, LEAST_BYTES, LEAST_INODES, Finding, duration, findings
from builders.boards.facts.identity import require_distinct
from builders.boards.facts.local_changes import ChangedFile, Pin, changed_files, pins

__all__ = [
    "CLOCK_S", "LEAST_BYTES", "LEAST_INODES", "BoardFacts", "BoardModel", "ChangedFile", "Finding", "InstalledPackage",
    "Pin", "VersionPolicy", "changed_files", "duration", "findings", "models_on", "parse_facts", "pins",
    "require_distinct",
]  # fmt: skip
