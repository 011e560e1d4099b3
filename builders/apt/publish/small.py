"""Small repositories: some .debs as a repository of their own, with the signature of the published one.

They have what a board's apt reads and no more: no web page, changelogs, Contents or compressed indices.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from builders.apt.indices import deb822
from builders.apt.indices.release import Digest, Release, release_fields
from builders.apt.keys.gnupg import home_path, opened
from builders.apt.keys.signing import SigningKey, chosen, signing_key
from builders.apt.packages import ar_reader
from builders.apt.repository.context import RepositoryContext
from builders.apt.repository.files import make_folder
from builders.apt.repository.layout import KEYRING, pool_path
from builders.errors import PublishError
from builders.host.files import disk_errors, link_or_copy
from builders.model.arch import ARCHITECTURES
from builders.model.packages import DebFile

Stanza = tuple[str, bytes]
"""The architecture of a .deb, and its text in Packages."""


def small_repository(
    context: RepositoryContext, debs: Mapping[str, Sequence[DebFile]], folder: Path
) -> dict[str, str]:  # fmt: skip
    """Make a signed repository of ``debs``, by suite, in a new ``folder``; return the path in it of each .deb's digest.

    The .debs become links where possible. Raises PublishError, DiskError.
    """
    key, paths = _published_key(context), dict[str, str]()
    for suite, some in debs.items():
        stanzas = []
        for deb in some:
            control, paths[deb.sha256] = _placed(context, deb)
            path = folder / paths[deb.sha256]
            make_folder(path.parent)
            link_or_copy(deb.path, path)
            added = f"Filename: {paths[deb.sha256]}\nSize: {deb.size}\nSHA256: {deb.sha256}\n\n"
            stanzas.append((deb.architecture, control.rstrip(b"\n") + b"\n" + added.encode()))
        _write_suite(context, folder / "dists" / suite, stanzas, key)
    return paths


def _placed(context: RepositoryContext, deb: DebFile) -> tuple[bytes, str]:
    """Return the control file of a .deb and its path in a repository."""
    try:
        with disk_errors(deb.path), deb.path.open("rb") as file:
            control = ar_reader.control_bytes(file.fileno(), ar_reader.members_of(file.fileno())[0])
        fields = deb822.fields_of(control)
    except (ar_reader.BadArchive, deb822.BadControl) as error:
        raise PublishError(f"invalid .deb: {deb.path}", str(error), "run the same command again") from error
    return control, pool_path(fields, context.settings.repository.component, str(deb.path))


def _write_suite(context: RepositoryContext, place: Path, stanzas: Iterable[Stanza], key: SigningKey) -> None:
    """Write the indices of a suite, one for each CPU, and sign them."""
    settings, date = context.settings.repository, int(time.time())
    digests = {}
    for cpu in ARCHITECTURES:
        name = f"{settings.component}/binary-{cpu}/Packages"
        content = b"".join(text for architecture, text in stanzas if architecture in (cpu, "all"))
        digests[name] = Digest(len(content), hashlib.sha256(content).hexdigest())
        make_folder((place / name).parent)
        with disk_errors(place):
            (place / name).write_bytes(content)
    fields = release_fields(
        origin=settings.origin, label=settings.label, suite=place.name, date=date, architectures=tuple(ARCHITECTURES),
        components=(settings.component,), valid_days=settings.valid_days, signers=key.fingerprints,
    )  # fmt: skip
    del fields["Acquire-By-Hash"]
    with disk_errors(place):
        (place / "Release").write_bytes(Release(fields, digests).render())
    key.sign(place / "Release", date=date)


def _published_key(context: RepositoryContext) -> SigningKey:
    """Return the key that boards know; raises PublishError if this machine signs with another one, or with none."""
    home, keyring = home_path(context.settings), context.workspace.apt / KEYRING
    with opened(home) as place:
        there = bool(chosen(place, context.settings))
    with disk_errors(keyring):
        known = keyring.read_bytes()
    key = signing_key(context.settings, context.log) if there else None
    if key is None or key.public != known:
        raise PublishError(
            "this machine does not have the key of the published repository",
            f"{keyring} has another key than {home}",
            "make bundles on the machine that publishes, or publish with this machine's key: ./inv publish-apt",
        )
    return key
