"""What became of Debian since a build: the versions in its root stand in its record, and in no fingerprint."""

import time
from collections.abc import Sequence

from builders.engines import AGED_DAYS
from builders.model.arch import ARCHITECTURES
from builders.model.jobs import Root
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import RECORD, Fingerprint, Record
from builders.pipeline.project import Project

SHOWN = 20
"""So many packages are named; that others changed too is told by their number."""


def drift(project: Project, build_target: BuildTarget, record: Record) -> list[str]:
    """Return lines that tell how a build's root differs from the one that is there now, or that it is old; else none.

    Only roots of the chroot engine can be looked at; for others the build's age tells.
    """
    space = project.workspace
    root = _root(record.fingerprint)
    installed = project.engines.get(record.engine).installed(root)
    changes = [] if installed is None else _changes(record.root_packages, installed)
    if changes:
        more = [f"and {len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
        return [
            "its root was made again since then, of other Debian packages (build-arm --force builds with them):",
            *(f"  {line}" for line in [*changes[:SHOWN], *more]),
        ]
    days = (time.time() - (space.build(*build_target.key) / RECORD).stat().st_mtime) / 86400
    if days > AGED_DAYS:
        again = "clean --what roots (in Docker: --what images), then build-arm --force, build with today's packages"
        return [f"built {days:.0f} days ago, and Debian's updates make no build stale: {again}"]
    return []


def _root(fingerprint: Fingerprint) -> Root:
    facts = fingerprint["root"]
    return Root(facts["suite"], ARCHITECTURES[facts["build"]], ARCHITECTURES[facts["host"]], tuple(facts["packages"]))


def _changes(before: Sequence[str], after: Sequence[str]) -> list[str]:
    old, new = (dict(one.split("=", 1) for one in packages) for packages in (before, after))
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return [f"{name}: {old.get(name, 'not there')} -> {new.get(name, 'not there')}" for name in names]
