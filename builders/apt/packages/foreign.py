"""Reads a .deb that somebody else built: what publishing, apt or dpkg would refuse is refused with the reason."""

import os
from collections.abc import Mapping
from pathlib import Path

from builders.apt.indices import deb822
from builders.apt.packages import ar_reader, file_list
from builders.apt.repository import layout
from builders.errors import InputError, PublishError

ASK = "ask its builder for a package that dpkg-deb makes, or build it from source with a recipe"
KEYRING_PACKAGE = layout.KEYRING.removesuffix(".gpg")
MOST_EPOCH = 2**31 - 1
"""dpkg's greatest epoch (lib/dpkg/parsehelp.c)."""
MULTI_ARCH = ("no", "same", "foreign", "allowed")


def fields_of(path: Path) -> dict[str, str]:
    """Return the control fields of a .deb that somebody else built, which publishing will accept.

    Raises InputError with the reason if dpkg or apt would refuse it, if publishing would, or for an installer's
    package (udeb).
    """
    fields = _read(path)
    kind = fields.get("Package-Type", "deb")
    if kind != "deb" or path.suffix == ".udeb":
        raise _refused(path, "it is a package of Debian's installer (udeb), which boards do not install")
    if fields["Package"] == KEYRING_PACKAGE:
        raise _refused(path, f"{KEYRING_PACKAGE} is the repository's own package of its keys")
    try:
        layout.pool_path(fields, "main", path.name)
    except PublishError as error:
        raise _refused(path, f"{error.what}; {error.detail}") from error
    if fault := _dpkg_fault(fields):
        raise _refused(path, fault)
    return fields


def _dpkg_fault(fields: Mapping[str, str]) -> str:
    """Return why dpkg's parser (lib/dpkg/parse.c, parsehelp.c) refuses the fields, else an empty text."""
    version, multi_arch = fields["Version"], fields.get("Multi-Arch", "no")
    epoch, colon, rest = version.rpartition(":")
    if colon and int(epoch) > MOST_EPOCH:
        return f"the epoch of its version {version} is greater than {MOST_EPOCH}"
    if rest.endswith("-"):
        return f"the revision of its version {version} is empty"
    if not rest[0].isdigit():
        return f"its version {version} does not start with a digit"
    if multi_arch not in MULTI_ARCH:
        return f"invalid Multi-Arch: {multi_arch!r}"
    if multi_arch == "same" and fields["Architecture"] == "all":
        return "Multi-Arch: same needs an architecture other than all"
    return ""


def _read(path: Path) -> dict[str, str]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InputError(f"cannot read {path}", error.strerror or str(error), "name a .deb") from error
    try:
        control, data = ar_reader.members_of(handle)
        fields = deb822.fields_of(ar_reader.control_bytes(handle, control))
        file_list.files_of(handle, data)
    except (ar_reader.BadArchive, deb822.BadControl) as error:
        raise _refused(path, str(error)) from error
    except OSError as error:
        raise InputError(f"cannot read {path}", error.strerror or str(error), "name a .deb") from error
    finally:
        os.close(handle)
    return fields


def _refused(path: Path, why: str) -> InputError:
    return InputError(f"{path} cannot be published", why, ASK)
