"""The apt repository as the rest of Reef uses it: the only face of this stage.

with locked(project):
    with staged(project, debs) as candidate:
        ... install what is in candidate.path ...
        publications = switch(project, candidate, ask_clients(project, candidate))
"""

from builders.apt.keys.rotation import KeyFacts, list_keys
from builders.apt.keys.signing import day_of
from builders.apt.keys.signing import load as load_key
from builders.apt.operations import extend_keys, phase, promote, prune, retire_key, rollback, rotate_keys, upload
from builders.apt.packages.foreign import fields_of as foreign_fields
from builders.apt.packages.published_files import published_files
from builders.apt.publish.change import Candidate, ask_clients, change, staged, switch
from builders.apt.publish.small import small_repository
from builders.apt.repository.board_files import BoardSuite, board_suites
from builders.apt.repository.context import state_folder
from builders.apt.repository.layout import suffixed
from builders.apt.repository.lock import locked
from builders.apt.repository.previous import copy_from_pool, previous_revision, published_versions
from builders.apt.repository.publication import published
from builders.apt.repository.retention import Unreferenced
from builders.apt.repository.snapshots import Snapshot, snapshots
from builders.apt.upload import Uploaded
from builders.apt.verify.client_report import ClientReport, until
from builders.apt.verify.server import serving
from builders.apt.verify.verify import Verified, verify
from builders.apt.verify.verify_all import VerifiedSuite, verify_all

__all__ = [
    "BoardSuite", "Candidate", "ClientReport", "KeyFacts", "Snapshot", "Unreferenced", "Uploaded", "Verified",
    "VerifiedSuite",
    "ask_clients", "board_suites", "change", "copy_from_pool", "day_of", "extend_keys", "foreign_fields", "list_keys",
    "load_key",
    "locked", "phase", "previous_revision", "promote", "prune", "published", "published_files",
    "published_versions", "retire_key",
    "rollback", "rotate_keys", "serving", "small_repository", "snapshots", "staged", "state_folder", "suffixed",
    "switch", "until", "upload", "verify", "verify_all",
]  # fmt: skip
