"""Binary packages of a recipe."""

from typing import Annotated, Literal

import pydantic

from builders.model.yaml_file import Model

PackageName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
"""Debian Policy 5.6.1: lower case letters, digits and ``+-.``, at least two characters."""


class MaintainerScript(Model):
    """Shell added to one maintainer script, before debhelper's own parts (Debian Policy chapter 6)."""

    preinst: str | None = None
    postinst: str | None = None
    prerm: str | None = None
    postrm: str | None = None


class Override(Model):
    """A lintian tag that is accepted, and why."""

    tag: str
    reason: Annotated[str, pydantic.StringConstraints(pattern=r"^\S[^\n]*$")]
    """One line: a comment in the file of overrides."""


class Package(Model):
    """One binary package of the recipe; relation fields take Debian's syntax (Policy 7.1)."""

    name: PackageName
    summary: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=80)]
    description: str = ""
    section: str = "misc"
    priority: str = "optional"
    architecture: Literal["any", "all"] = "any"
    multi_arch: Literal["no", "same", "foreign", "allowed"] | None = None
    files: list[str] = []
    """Paths under DESTDIR, as dh_install takes them."""
    links: dict[str, str] = {}
    """Symbolic links: path of the link -> its target."""
    depends: list[str] = []
    pre_depends: list[str] = []
    recommends: list[str] = []
    suggests: list[str] = []
    provides: list[str] = []
    conflicts: list[str] = []
    breaks: list[str] = []
    replaces: list[str] = []
    symbols: str | None = None
    """A file of the recipe's folder for dpkg-gensymbols; without one a shlibs file is made."""
    udev: str | None = None
    systemd: str | None = None
    dkms: str | None = None
    """A dkms.conf (dkms(8)); the recipe needs the tool ``dh-sequence-dkms``, and ``files`` the source in usr/src."""
    conffiles: dict[str, str] = {}
    """Files of the recipe's folder to install as conffiles: path on the board (under etc/) -> file."""
    manpages: list[str] = []
    scripts: MaintainerScript = MaintainerScript.model_construct()
    lintian_overrides: list[Override] = []
