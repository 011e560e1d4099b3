"""Boards as the rest of Reef uses them: the only face of this stage."""

from builders.boards.connection import (
    KNOWN_HOSTS,
    BoardError,
    HostKey,
    HostKeyError,
    KnownHosts,
    LineLost,
    Ssh,
    Stop,
    Unreachable,
)
from builders.boards.connection.trust import known_to_user, offered_key
from builders.boards.facts import BoardFacts, Finding, findings
from builders.boards.inventory import FILE, Board, Inventory, InventoryFile, load_inventory
from builders.boards.inventory.add import add_board
from builders.boards.inventory.holds import Hold, last_day, read_holds, write_holds
from builders.boards.inventory.keys import BoardKeys
from builders.boards.rollout.board_run import BoardRun, Outcome
from builders.boards.rollout.display import Display
from builders.boards.rollout.journal import Records, Rollout
from builders.boards.rollout.offer import Offer, PublishedFile, offer_for
from builders.boards.rollout.options import Options, package_words
from builders.boards.rollout.plan import BoardPlan, plan_board
from builders.boards.rollout.run import RolloutRun
from builders.boards.rollout.steps import Access, BoardTests, explain, probe
from builders.boards.rollout.waves import Wave, waves

__all__ = [
    "FILE",
    "KNOWN_HOSTS",
    "Access",
    "Board",
    "BoardError",
    "BoardFacts",
    "BoardKeys",
    "BoardPlan",
    "BoardRun",
    "BoardTests",
    "Display",
    "Finding",
    "Hold",
    "HostKey",
    "HostKeyError",
    "Inventory",
    "InventoryFile",
    "KnownHosts",
    "LineLost",
    "Offer",
    "Options",
    "Outcome",
    "PublishedFile",
    "Records",
    "Rollout",
    "RolloutRun",
    "Ssh",
    "Stop",
    "Unreachable",
    "Wave",
    "add_board",
    "explain",
    "findings",
    "known_to_user",
    "last_day",
    "load_inventory",
    "offer_for",
    "offered_key",
    "package_words",
    "plan_board",
    "probe",
    "read_holds",
    "waves",
    "write_holds",
]  # fmt: skip
