"""Debian's updates since a build: its record contains the versions in its root, its fingerprint does not."""

import time
from collections.abc import Sequence

from builders.engines import AGED_DAYS
from builders.model.arch import ARCHITECTURES
from builders.model.jobs import Root
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import RECORD, Fingerprint, Record
from builders.pipeline.project import Project

SHOWN = 20
"""Maximum number of packages that are listed; the number of others is shown."""


def drift(project: Project, build_target: BuildTarget, record: Record) -> list[str]:
    """Return lines on how a build's root differs from the current root, or on the build's age; empty if up to date.

    Only roots of the chroot engine can be compared; for others, the build's age counts.
    """
    space = project.workspace
    root = _root(record.fingerprint)
    installed = project.engines.get(record.engine).installed(root)
    changes = [] if installed is None else _changes(record.root_packages, installed)
    if changes:
        more = [f"and {len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
        return [
            "its root was made again since, with other Debian packages (build-arm --force builds with them):",
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
    old, new = (dict(package.split("=", 1) for package in packages) for packages in (before, after))
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return [f"{name}: {old.get(name, 'absent')} -> {new.get(name, 'absent')}" for name in names]
