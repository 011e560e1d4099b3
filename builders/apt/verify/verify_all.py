"""Verifies every published suite: by digests and signatures, and with real apt."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from builders.apt.repository.context import RepositoryContext
from builders.apt.repository.layout import RepositoryLayout
from builders.apt.repository.lock import locked
from builders.apt.repository.snapshots import require_published
from builders.apt.verify.client_report import ClientReport, ask
from builders.apt.verify.verify import Verified, verify
from builders.errors import PublishError
from builders.model.target import MIRRORED


@dataclass(frozen=True)
class VerifiedSuite:
    """One published suite: its verification, and what clients accept of it."""

    verified: Verified
    clients: ClientReport


def verify_all(context: RepositoryContext, suite: str | None = None, *, roots: bool = False) -> list[VerifiedSuite]:
    """Verify one published suite or all, then try them with real apt today and on later days.

    With ``roots`` also with the apt of every board release, in clean roots; a root that cannot be made stops no other.
    Raises PublishError.
    """
    folder, result = context.workspace.apt, []
    place = RepositoryLayout(folder)
    require_some(place)
    with locked(context), tempfile.TemporaryDirectory(prefix="reef-apt-") as plain:
        scratch = Path(plain)
        for name in [require_published(place, suite)] if suite else place.suites():
            verified = verify(folder, name)
            report = ask(context, folder, name, scratch, releases=MIRRORED if roots else (), published=True)
            result.append(VerifiedSuite(verified, report))
    return result


def require_some(place: RepositoryLayout) -> None:
    if not place.suites():
        raise PublishError("nothing is published yet", f"in {place.path}", "run ./inv publish-apt first")
