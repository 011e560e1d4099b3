"""Boards as the rest of Reef uses them: the only face of this stage."""

from builders.boards.bundle import stick
from builders.boards.bundle.lacking import BoardSystem, Lacking
from builders.boards.bundle.pack import files_of, pack
from builders.boards.bundle.stick import StickBoard
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
from builders.boards.connection.sockets import sockets_folder
from builders.boards.connection.trust import known_to_user, offered_key
from builders.boards.facts import BoardFacts, Finding, findings, require_distinct
from builders.boards.inventory import FILE, Board, Inventory, InventoryFile, load_inventory, require_models
from builders.boards.inventory.add import add_board, require_name
from builders.boards.inventory.holds import Hold, last_day, read_holds, write_holds
from builders.boards.inventory.keys import BoardKeys
from builders.boards.rollout.board_run import BoardRun, Outcome
from builders.boards.rollout.display import Display
from builders.boards.rollout.journal import Records, Rollout
from builders.boards.rollout.models import Archives
from builders.boards.rollout.offer import Offer, PublishedFile, offer_for, suite_of
from builders.boards.rollout.options import Options, package_words
from builders.boards.rollout.plan import BoardPlan, plan_board
from builders.boards.rollout.run import RolloutRun
from builders.boards.rollout.steps import Access, BoardTests, bundle_folder, explain, probe, unbundle
from builders.boards.rollout.waves import CANARY, Wave, waves
from builders.boards.status.board_status import Background, BoardStatus, status_of
from builders.boards.status.document import fleet_document
from builders.boards.status.drift import expected_packages
from builders.boards.status.explanation import BoardHistory, Section
from builders.boards.status.last_rollout import recorded_rollouts
from builders.boards.status.page import fleet_page
from builders.boards.status.tables import fleet_table, versions_table

__all__ = [
    "CANARY",
    "FILE",
    "KNOWN_HOSTS",
    "Access",
    "Archives",
    "Background",
    "Board",
    "BoardError",
    "BoardFacts",
    "BoardHistory",
    "BoardKeys",
    "BoardPlan",
    "BoardRun",
    "BoardStatus",
    "BoardSystem",
    "BoardTests",
    "Display",
    "Finding",
    "Hold",
    "HostKey",
    "HostKeyError",
    "Inventory",
    "InventoryFile",
    "KnownHosts",
    "Lacking",
    "LineLost",
    "Offer",
    "Options",
    "Outcome",
    "PublishedFile",
    "Records",
    "Rollout",
    "RolloutRun",
    "Section",
    "Ssh",
    "StickBoard",
    "Stop",
    "Unreachable",
    "Wave",
    "add_board",
    "bundle_folder",
    "expected_packages",
    "explain",
    "files_of",
    "findings",
    "fleet_document",
    "fleet_page",
    "fleet_table",
    "known_to_user",
    "last_day",
    "load_inventory",
    "offer_for",
    "offered_key",
    "pack",
    "package_words",
    "plan_board",
    "probe",
    "read_holds",
    "recorded_rollouts",
    "require_distinct",
    "require_models",
    "require_name",
    "sockets_folder",
    "status_of",
    "stick",
    "suite_of",
    "unbundle",
    "versions_table",
    "waves",
    "write_holds",
]  # fmt: skip
