"""The older revision from which an upgrade is tested, made up if none was published."""

import tempfile
from pathlib import Path

from builders.host import process
from builders.host.files import disk_errors
from builders.model.deb_file import control_of
from builders.model.packages import DebFile

SUFFIX = "~~older"
"""It sorts below the version and below all that may follow it: a tilde sorts before the end (deb-version(7))."""


def make_older_revision(deb: DebFile, folder: Path) -> Path:
    """Write a .deb with the content of ``deb`` and a version just below it into ``folder``, and return its path.

    Relations to exactly this version (its siblings) name the older version. Raises HostError if dpkg-deb fails,
    DiskError if the folder cannot be written.
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
            control.write_text(_renamed(control.read_text(encoding="utf-8"), deb.version, version), encoding="utf-8")
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


def _renamed(control: str, version: str, older: str) -> str:
    lines = []
    for line in control.splitlines():
        is_version = line.lower().startswith("version:")
        lines.append(f"Version: {older}" if is_version else line.replace(f"(= {version})", f"(= {older})"))
    return "\n".join(lines) + "\n"
