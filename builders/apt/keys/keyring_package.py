"""The package reef-archive-keyring: apt itself brings the keys and the repository's address to boards.

It is made with dpkg-deb from files written here, unlike every other package of Reef: nothing in it is compiled, it has
no maintainer scripts and no dependencies, and it must be made when a key changes, where no build root may exist.
dpkg-deb is the program that dpkg-buildpackage calls in the end. ``--root-owner-group`` makes root the owner of every
file, and SOURCE_DATE_EPOCH limits their times: the same keys, settings and date give the same bytes.

The version is the time of the last change of its content, so that a rotation upgrades it. Each board release has its
own: its ``.sources`` names the release's suite, also in ``trixie-testing``. Without ``repository.url`` it has no
``.sources``: boards cannot reach a folder of this machine.
"""

import gzip
import hashlib
import os
import re
import time
from collections.abc import Collection, Iterable, Mapping
from email.utils import formatdate
from pathlib import Path

from builders.apt.indices.entry import IndexEntry
from builders.apt.keys.signing import SigningKey
from builders.apt.repository.layout import INSTALLED_KEYRING
from builders.apt.repository.sources_file import sources_name, sources_text
from builders.errors import PublishError
from builders.host import process
from builders.host.files import disk_errors
from builders.model.settings import Settings
from builders.model.target import Suite

PACKAGE = "reef-archive-keyring"
CONTENT = re.compile(rb"^Reef-Content: (.+)$", re.MULTILINE)
"""A field of its own: the digest of its content, by which an unchanged package is recognized."""


def keyring_deb(settings: Settings, key: SigningKey, suite: Suite, there: Iterable[IndexEntry],
                cpus: Collection[str], *, date: int, folder: Path, source: bool = False) -> Path | None:  # fmt: skip
    """Make the keyring package for a board release in the new folder ``folder`` and return it.

    None where the newest package in ``there`` has the same content. ``date`` in seconds since 1970 becomes the version,
    ``cpus`` are those of the suite, ``source`` says that it contains source packages. Raises PublishError, DiskError.
    """
    files = {INSTALLED_KEYRING.lstrip("/"): key.public}
    if settings.repository.url:
        name = f"etc/apt/sources.list.d/{sources_name(settings, suite.name)}"
        files[name] = sources_text(settings, Path("/"), suite.name, cpus, source=source).encode()
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    known = [entry for entry in there if entry.package == PACKAGE]
    newest = max(known, key=lambda entry: entry.version, default=None)  # digits of one length: sorted as by dpkg
    if newest and (match := CONTENT.search(newest.stanza)) and match[1].decode() == digest:
        return None
    version = f"{time.strftime('%Y%m%d.%H%M%S', time.gmtime(date))}~deb{suite.release}"
    files |= _documents(settings, version, date)
    path = folder / f"{PACKAGE}_{version}_all.deb"
    with disk_errors(folder):
        _write(folder / "tree", files, _control(settings, version, digest, files))
    _packed(folder / "tree", path, date)
    return path


def _documents(settings: Settings, version: str, date: int) -> dict[str, bytes]:
    day = formatdate(date, usegmt=True).replace("GMT", "+0000")
    changelog = (
        f"{PACKAGE} ({version}) stable; urgency=medium\n\n  * The keys and the place of the repository as they are "
        f"on this day.\n\n -- {settings.maintainer}  {day}\n"
    )
    copyright_text = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n"
        f"Copyright: {settings.maintainer}\nLicense: public-domain\n Keys and addresses; no rights are claimed.\n"
    )
    folder = f"usr/share/doc/{PACKAGE}"
    return {
        f"{folder}/changelog.gz": gzip.compress(changelog.encode(), mtime=0),
        f"{folder}/copyright": copyright_text.encode(),
    }


def _control(settings: Settings, version: str, digest: str, files: Mapping[str, bytes]) -> dict[str, str]:
    size = sum(len(content) // 1024 + 1 for content in files.values())
    control = (
        f"Package: {PACKAGE}\nVersion: {version}\nArchitecture: all\nMaintainer: {settings.maintainer}\n"
        f"Installed-Size: {size}\nSection: misc\nPriority: optional\nMulti-Arch: foreign\nReef-Content: {digest}\n"
        f"Description: keys of the {settings.repository.label} apt repository\n"
        " apt accepts the repository by these keys. Keep this package up to date: when a key\n"
        " is followed by another, the new one arrives with it.\n"
    )
    sums = "".join(
        f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}  {name}\n"
        for name, content in sorted(files.items())
    )
    conffiles = "".join(f"/{name}\n" for name in sorted(files) if name.startswith("etc/"))
    return {"control": control, "md5sums": sums} | ({"conffiles": conffiles} if conffiles else {})


def _write(tree: Path, files: Mapping[str, bytes], control: Mapping[str, str]) -> None:
    everything = {**files, **{f"DEBIAN/{name}": text.encode() for name, text in control.items()}}
    for name, content in everything.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
    for folder, _, _ in os.walk(tree):
        Path(folder).chmod(0o755)


def _packed(tree: Path, path: Path, date: int) -> None:
    argv = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(path)]
    try:
        process.capture(argv, extra_environment={"SOURCE_DATE_EPOCH": str(date)}, timeout_s=60)
    except process.ProgramFailed as error:
        raise PublishError(
            f"cannot make the package {PACKAGE}", error.detail, "correct what dpkg-deb reports"
        ) from error
