"""Release files (Debian RepositoryFormat): what a suite contains, and the digest of each of its index files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from builders.errors import PublishError

CHANGEPATH, CHANGELOG = "@CHANGEPATH@", ".changelog"
"""The word that apt replaces in the field Changelogs, and the suffix of a changelog in the pool (`IndexEntry`)."""
RESTORE = "restore the repository from a copy, or move it away and publish again"
LINE = re.compile(r"([A-Za-z0-9-]+):[ ]?(.*)")
DIGEST = re.compile(r" ([0-9a-f]{64}) +([0-9]+) ([A-Za-z0-9][A-Za-z0-9+./_-]*)")
ONLY_LISTED = re.compile(r"(?:.*/)?Contents-[a-z0-9-]+")
"""Names that the Release lists although only their compressed form exists.

apt fetches an index only where the uncompressed form is listed too. It need not exist (Debian RepositoryFormat,
"MD5Sum, SHA1, SHA256"), and the Contents of a large suite have hundreds of MB."""


@dataclass(frozen=True, slots=True)
class Digest:
    """Size in bytes and SHA-256 in hex of one index file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Release:
    """One Release file: ``fields`` without the digests, ``files`` by path below ``dists/<suite>``."""

    fields: Mapping[str, str]
    files: Mapping[str, Digest]

    @property
    def present(self) -> dict[str, Digest]:
        """Those of ``files`` that exist; uncompressed Contents are only listed."""
        return {name: digest for name, digest in self.files.items() if not ONLY_LISTED.fullmatch(name)}

    @property
    def date(self) -> int:
        """The field Date in seconds since 1970."""
        return int(parsedate_to_datetime(self.fields["Date"]).timestamp())

    @property
    def valid_until(self) -> int | None:
        """The field Valid-Until in seconds since 1970, None where it is absent."""
        text = self.fields.get("Valid-Until")
        return int(parsedate_to_datetime(text).timestamp()) if text else None

    @property
    def architectures(self) -> tuple[str, ...]:
        return tuple(self.fields["Architectures"].split())

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(self.fields["Components"].split())

    def render(self) -> bytes:
        """Return the file's bytes: fields in their order, files by name."""
        lines = [f"{name}: {value}" for name, value in self.fields.items()]
        lines.append("SHA256:")
        lines += [f" {digest.sha256} {digest.size:16d} {path}" for path, digest in sorted(self.files.items())]
        return ("\n".join(lines) + "\n").encode()


def release_fields(
    *,
    origin: str,
    label: str,
    suite: str,
    date: int,
    architectures: Sequence[str],
    components: Sequence[str],
    valid_days: int | None = None,
    signers: Sequence[str] = (),
    snapshots_url: str | None = None,
    changelogs_url: str | None = None,
) -> dict[str, str]:
    """Return the fields of a suite's Release in Debian's order; ``date`` in seconds since 1970.

    ``signers`` are fingerprints; apt then expects a signature of one of them next time as well. ``snapshots_url`` is
    where boards find earlier publications of the repository, which newer apt can read (sources.list(5), Snapshot),
    ``changelogs_url`` where the pool has the packages' changelogs. Raises PublishError where ``origin`` or ``label``
    would break the file's lines.
    """
    for name, value in (("origin", origin), ("label", label)):
        if not value.strip() or not value.isprintable():
            raise PublishError(
                f"repository.{name} is not one printable line", repr(value), f"correct repository.{name} in reef.yml"
            )
    fields = {
        "Origin": origin,
        "Label": label,
        "Suite": suite,
        "Codename": suite,
        # apt-get(8), changelog: apt inserts COMPONENT/PREFIX/SOURCE/SOURCE_VERSION, as the pool is ordered.
        "Changelogs": f"{changelogs_url.rstrip('/')}/pool/{CHANGEPATH}{CHANGELOG}" if changelogs_url else "",
        "Date": _dated(date),
        "Valid-Until": _dated(date + valid_days * 86400) if valid_days else "",
        "Acquire-By-Hash": "yes",
        "Architectures": " ".join(architectures),
        "Components": " ".join(components),
        "Description": f"{label} packages for {suite}",
        "Signed-By": ",".join(signers),
        "Snapshots": f"{snapshots_url.rstrip('/')}/snapshots/{suite}/@SNAPSHOTID@/" if snapshots_url else "",
    }
    return {name: value for name, value in fields.items() if value}


def _dated(moment: int) -> str:
    return formatdate(moment, usegmt=True).replace("GMT", "UTC")


def parse_release(content: bytes, where: str) -> Release:
    """Read a Release file; raises PublishError naming ``where`` for invalid lines, paths and dates."""
    fields: dict[str, str] = {}
    files: dict[str, Digest] = {}
    for line in content.decode(errors="replace").splitlines():
        if match := LINE.fullmatch(line):
            fields[match[1]] = match[2]
        elif (match := DIGEST.fullmatch(line)) and ".." not in match[3].split("/"):
            files[match[3]] = Digest(int(match[2]), match[1])
        else:
            raise PublishError(f"{where}: not a line of a Release file: {line[:120]!r}", fix=RESTORE)
    missing = [name for name in ("Suite", "Date", "Architectures", "Components", "SHA256") if name not in fields]
    if missing:
        raise PublishError(f"{where}: the field {missing[0]} is missing", fix=RESTORE)
    fields.pop("SHA256")
    try:
        for name in ("Date", "Valid-Until"):
            parsedate_to_datetime(fields.get(name, fields["Date"]))
    except ValueError as error:
        raise PublishError(f"{where}: not a date: {fields.get(name)!r}", fix=RESTORE) from error
    return Release(fields, files)
