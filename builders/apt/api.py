"""The apt repository: index, sign, publish, verify.

with workspace.locked("apt"):
    staged = stage(repository, debs, staging, settings, signing_key(settings, log), log, date=..., state=...)
    ... check what lies in staged.path ...
    publications = promote(staged, repository)
verify(repository, suite, repository / KEYRING)
"""

from builders.apt.keys.keyring_package import PACKAGE as KEYRING_PACKAGE
from builders.apt.keys.keyring_package import keyring_deb
from builders.apt.keys.rotation import KeyFacts, extend, list_keys, retire, rotate
from builders.apt.keys.signing import SigningKey, day_of, signing_key
from builders.apt.keys.signing import load as load_key
from builders.apt.publish.stage import Staged, StagedSuite, stage
from builders.apt.publish.switch import promote, told_only
from builders.apt.repository.journal import recover
from builders.apt.repository.layout import KEYRING
from builders.apt.repository.previous import copy_from_pool, earlier
from builders.apt.repository.publication import published
from builders.apt.repository.retention import Rubbish, remove, rubbish
from builders.apt.repository.snapshots import Snapshot, known, missing_debs, returned_to, snapshots
from builders.apt.state.verify_cache import Proof
from builders.apt.verify.verify import Verified, glance, verify

__all__ = [
    "KEYRING",
    "KEYRING_PACKAGE",
    "KeyFacts",
    "Proof",
    "Rubbish",
    "SigningKey",
    "Snapshot",
    "Staged",
    "StagedSuite",
    "Verified",
    "copy_from_pool",
    "day_of",
    "earlier",
    "extend",
    "glance",
    "keyring_deb",
    "known",
    "list_keys",
    "load_key",
    "missing_debs",
    "promote",
    "published",
    "recover",
    "remove",
    "retire",
    "returned_to",
    "rotate",
    "rubbish",
    "signing_key",
    "snapshots",
    "stage",
    "told_only",
    "verify",
]
