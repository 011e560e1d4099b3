"""Binary packages of a recipe."""

import difflib
import re
from typing import Annotated, Literal

import pydantic

from builders.model.recipe.acceptance import Acceptance, Reason
from builders.model.recipe.data_files import DataPattern
from builders.model.yaml_file import Line, Model, RelativePath

PackageName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
"""Debian Policy 5.6.1: lower-case letters, digits and ``+-.``, at least two characters."""

Section = Annotated[str, pydantic.StringConstraints(pattern=r"^([a-z-]+/)?[a-z0-9-]+$")]
"""A section, with the archive area before it if that is not main (Policy 2.4)."""

VARIABLES = (
    "binary:Version", "source:Version", "source:Upstream-Version", "misc:Depends", "misc:Pre-Depends",
    "perl:Depends", "python3:Depends", "python3:Provides", "shlibs:Depends", "shlibs:Pre-Depends", "shlibs:Recommends",
    "shlibs:Suggests",
)  # fmt: skip
"""Common variables in relations (deb-substvars(5))."""


def _known_variable(relation: str) -> str:
    # Tools define more of them; dpkg leaves a variable without a value out.
    for name in re.findall(r"\$\{([^}]*)\}", relation):
        if name not in VARIABLES and (close := difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.8)):
            raise ValueError(f"unknown variable ${{{name}}}; did you mean ${{{close[0]}}}?")
    return relation


Relation = Annotated[Line, pydantic.AfterValidator(_known_variable)]
"""A relation to other packages (Policy 7.1)."""


class MaintainerScript(Model):
    """Shell code for the maintainer scripts (Debian Policy, chapter 6). The code that debhelper adds follows, or takes
    the place of ``#DEBHELPER#``."""

    preinst: str | None = None
    """Code that runs before the package is unpacked."""
    postinst: str | None = None
    """Code that runs after the package is unpacked, to configure it."""
    prerm: str | None = None
    """Code that runs before the package is removed."""
    postrm: str | None = None
    """Code that runs after the package is removed."""


class Override(Model):
    """An accepted lintian tag."""

    tag: Line
    """The tag, with its context if lintian needs it."""
    reason: Reason
    """Why the tag is accepted, on one line; a comment in the file of overrides."""


class Package(Model):
    """A binary package of the recipe. Relations use Debian's syntax (Policy 7.1)."""

    name: PackageName
    """Name of the package."""
    summary: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=80)]
    """First line of the package's description: what it is, in a few words without its name (Policy 3.4.1). Here and in
    ``description``, ``${...}`` is no variable."""
    description: str = ""
    """The further lines of the description. The default is the recipe's description."""
    section: Section = "misc"
    """Section of the Debian archive (Policy 2.4)."""
    priority: Literal["required", "important", "standard", "optional", "extra"] = "optional"
    """Priority (Policy 2.5)."""
    architecture: Literal["any", "all"] = "any"
    """``any`` for one package for each CPU, ``all`` for one package for all CPUs."""
    multi_arch: Literal["no", "same", "foreign", "allowed"] | None = None
    """Multi-Arch field: whether packages of several CPUs can be installed together."""
    files: list[Line] = []
    """Paths under DESTDIR, which may have wildcards and spaces. After a space, a path that begins with a folder of the
    root, such as ``usr/``, is the folder to install into (dh_install)."""
    data: list[DataPattern] = []
    """Patterns of files that are data, although they look like programs, such as firmware of other cores. ``*`` matches
    within a folder, ``**`` across folders; a folder stands for its files. Nothing strips them, and no verdict on
    programs judges them. Files in usr/lib/firmware and BPF objects are data without a pattern."""
    links: dict[Line, Line] = {}
    """Symbolic links: the target, by the path of the link."""
    depends: list[Relation] = []
    """Depends field. The shared libraries of the package's programs are added."""
    pre_depends: list[Relation] = []
    """Pre-Depends field."""
    recommends: list[Relation] = []
    """Recommends field."""
    suggests: list[Relation] = []
    """Suggests field."""
    provides: list[Relation] = []
    """Provides field."""
    conflicts: list[Relation] = []
    """Conflicts field."""
    breaks: list[Relation] = []
    """Breaks field."""
    replaces: list[Relation] = []
    """Replaces field."""
    symbols: str | None = None
    """File of the recipe's folder with the library's symbols (dpkg-gensymbols). Without it, a shlibs file is
    generated."""
    udev: str | None = None
    """File of the recipe's folder with udev rules."""
    systemd: str | None = None
    """File of the recipe's folder with a systemd unit."""
    dkms: str | None = None
    """File of the recipe's folder with a dkms.conf (dkms(8)). The recipe needs the tool ``dh-sequence-dkms``, and
    ``files`` the module's source in usr/src."""
    conffiles: dict[Line, str] = {}
    """Conffiles: the file of the recipe's folder, by its path on the board (under etc/)."""
    manpages: list[RelativePath] = []
    """Manual pages: files of the recipe's folder."""
    scripts: MaintainerScript = MaintainerScript.model_construct()
    """Shell code for the maintainer scripts."""
    lintian_overrides: list[Override] = []
    """Accepted lintian tags."""
    accept: list[Acceptance] = []
    """Faults of other verdicts that are accepted."""
