"""The older revision from which an upgrade is tested, made up if none was published."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from builders.checks.static.relations import Relation
from builders.host import process
from builders.host.files import disk_errors
from builders.model.deb_file import control_of
from builders.model.packages import DebFile

SUFFIX = "~~older"
"""It sorts below the version and below all that may follow it: a tilde sorts before the end (deb-version(7))."""


VERSIONED = re.compile(
    r"(?<![a-z0-9+.-])(?P<name>[a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?"
    r"\s*\(\s*(?P<operator><<|<=|=|>=|>>)\s*(?P<version>\S+?)\s*\)"
)
"""A relation with a version (Policy 7.1)."""


def make_older_revision(deb: DebFile, folder: Path, siblings: Sequence[DebFile] = ()) -> Path:
    """Write a .deb with the content of ``deb`` and a version just below it into ``folder``, and return its path.

    Relations to exactly this version name the older version. So do relations to ``siblings``, of which older revisions
    are made too, if only one of both versions satisfies them. Raises HostError if dpkg-deb fails, DiskError if the
    folder cannot be written.
    """
    version = deb.version + SUFFIX
    # File names have no epoch.
    path = folder / f"{deb.package}_{version.partition(':')[2] or version}_{deb.architecture}.deb"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".older.") as scratch:
            tree, made = Path(scratch, "tree"), Path(scratch, "made")
            process.capture(["dpkg-deb", "-R", str(deb.path), str(tree)])
            control = tree / "DEBIAN" / "control"
            text = _renamed(control.read_text(encoding="utf-8"), deb.version, version)
            control.write_text(_related(text, {each.package: each.version for each in siblings}), encoding="utf-8")
            # gzip, because newer hosts default to a compression that bullseye's dpkg cannot read. Without the checks
            # of dpkg-deb, as dpkg itself judges packages that other tools made.
            process.capture(
                ["dpkg-deb", "--root-owner-group", "--nocheck", "-Zgzip", "-z1", "-b", str(tree), str(made)]
            )
            made.replace(path)
    return path


def older_versions(folder: Path) -> dict[str, str]:
    """Return the version of each package of the .debs in ``folder``, as its verdict shows it."""
    controls = [control_of(path) for path in sorted(folder.glob("*.deb"))]
    return {control["Package"]: _shown(control["Version"]) for control in controls}


def _shown(version: str) -> str:
    return f"{version} (made up: none that fits is published)" if version.endswith(SUFFIX) else version


def _related(control: str, versions: Mapping[str, str]) -> str:
    """Return ``control`` with relations that hold among the older revisions of packages as among ``versions``."""

    def older(found: re.Match[str]) -> str:
        version = versions.get(found["name"])
        relation = Relation(found["name"], None, found["operator"], found["version"])
        if version is None or relation.holds_for(version) == relation.holds_for(version + SUFFIX):
            return found[0]
        start, end = (place - found.start() for place in found.span("version"))
        return found[0][:start] + version + SUFFIX + found[0][end:]

    return VERSIONED.sub(older, control)


def _renamed(control: str, version: str, older: str) -> str:
    lines = []
    for line in control.splitlines():
        is_version = line.lower().startswith("version:")
        lines.append(f"Version: {older}" if is_version else line.replace(f"(= {version})", f"(= {older})"))
    return "\n".join(lines) + "\n"
