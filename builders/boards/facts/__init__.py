"""The facts of a board that decide an installation, and the findings on them."""

from builders.boards.facts.board_facts import BoardFacts, InstalledPackage, parse_facts
from builders.boards.facts.findings import Finding, findings

__all__ = ["BoardFacts", "Finding", "InstalledPackage", "findings", "parse_facts"]
