"""Reads a .deb that somebody else built: what publishing, apt or dpkg would refuse is refused with the reason."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from builders.apt.indices import deb822
from builders.apt.packages import ar_reader, file_list, package_fields
from builders.apt.repository import layout
from builders.errors import InputError, PublishError

ASK = "ask its builder for a package that dpkg-deb makes, or build it from source with a recipe"
KEYRING_PACKAGE = layout.KEYRING.removesuffix(".gpg")
MULTI_ARCH = ("no", "same", "foreign", "allowed")
SOURCE = re.compile(r"[^\s()]+( \([^\s()]+\))?")


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
    for fault in _faults(fields):
        raise _refused(path, fault)
    return fields


def _faults(fields: Mapping[str, str]) -> Iterator[str]:
    """Yield why dpkg's parser (lib/dpkg/parse.c, fields.c) refuses the fields.

    Also where the field Source is not as Debian Policy 5.6.1 has it: the pool and the changelog follow it.
    """
    values = {name.lower(): value for name, value in fields.items()}
    if fault := package_fields.version_fault(values["version"]):
        yield f"its version {values['version']}: {fault}"
    if (value := values.get("multi-arch", "")) and value.lower() not in MULTI_ARCH:
        yield f"invalid Multi-Arch: {value!r}"
    if values.get("multi-arch", "").lower() == "same" and values["architecture"] == "all":
        yield "Multi-Arch: same needs an architecture other than all"
    for name in ("Essential", "Protected"):
        if (value := values.get(name.lower(), "")) and value.lower() not in ("yes", "no"):
            yield f"invalid {name}: {value!r}"
    for name in ("Status", "Config-Version"):
        if name.lower() in values:
            yield f"only dpkg's own database has the field {name}"
    *_, (last, value) = fields.items()
    if not value:
        yield f"its last field, {last}, is empty"
    if (value := values.get("source", "")) and not SOURCE.fullmatch(value):
        yield f"invalid Source: {value!r}; it is a name, or a name and a version in parentheses"
    yield from package_fields.relation_faults(values)


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
