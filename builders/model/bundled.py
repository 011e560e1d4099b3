"""The Debian packages whose libraries a runtime brings along, as its build lists them in ``bundled.tsv``."""

from dataclasses import dataclass, fields
from pathlib import Path

from builders.errors import InputError
from builders.host.files import disk_errors


@dataclass(frozen=True)
class BundledPackage:
    """A Debian package whose files a build bundles."""

    name: str
    version: str
    source: str
    """Source package with its version, as in ``openssl=3.5.1-1``."""
    architecture: str


def read_bundled(path: Path) -> tuple[BundledPackage, ...]:
    """Return the packages in a ``bundled.tsv``; raises InputError for a damaged one, DiskError."""
    with disk_errors(path):
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    if any(len(row) != len(fields(BundledPackage)) for row in rows):
        raise InputError(f"{path} is damaged", "not every line has four columns", "build its recipe again with --force")
    return tuple(BundledPackage(*row) for row in rows)
