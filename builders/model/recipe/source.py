"""Sources of a recipe: where each comes from, the digest that pins it, and checked edits."""

import re
from typing import Annotated
from urllib.parse import quote

import pydantic

from builders.model.recipe.acceptance import Reason
from builders.model.yaml_file import Model, RelativePath

# No source has a default for its digest or commit: without one the recipe is refused.
Sha256 = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]
COMMIT = r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$"
"""A commit of a repository with the object format sha1 or sha256 (git-init(1), --object-format)."""


def _whole_commit(value: str) -> str:
    if not re.match(COMMIT, value):
        raise ValueError(
            "expected a whole commit, 40 hex digits (64 where the repository's format is sha256); branches and tags "
            "can move, and short commits become ambiguous. git rev-parse 'NAME^{commit}' prints it in a clone, "
            "git ls-remote URL 'NAME*' without a clone (of a tag, the line that ends in ^{})"
        )
    return value


Commit = Annotated[
    str, pydantic.AfterValidator(_whole_commit), pydantic.WithJsonSchema({"type": "string", "pattern": COMMIT})
]
WHEEL = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[A-Za-z0-9._+!]+)(?:-[0-9][A-Za-z0-9_.]*)?"
    r"-[a-z]+[0-9]+(?:\.[a-z]+[0-9]+)*-[A-Za-z0-9_.]+-[A-Za-z0-9_.]+\.whl"
)
"""A wheel's file name: name, version, perhaps a build number, and the tags of Python, ABI and platform."""
PoolPath = Annotated[str, pydantic.StringConstraints(pattern=r"^pool/.+")]
SourceName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9._+-]*$")]


class Archive(Model):
    """A tar (plain, gz, bz2, xz, zst) or zip archive, fetched from the first URL that answers with the right digest."""

    urls: Annotated[list[str], pydantic.Field(min_length=1)]
    """URLs of the archive, in the order in which they are tried."""
    sha256: Sha256
    """SHA-256 of the archive, in hex."""
    strip: Annotated[int, pydantic.Field(ge=0)] = 1
    """Number of leading path components that are removed when the archive is unpacked."""


class SingleFile(Model):
    """A single file, not unpacked: from the first URL that answers with the right digest, or from Debian's pool."""

    urls: list[str] = []
    """URLs of the file, in the order in which they are tried."""
    pool: PoolPath | None = None
    """Path of the file on the Debian mirror, as in ``pool/main/...``."""
    sha256: Sha256
    """SHA-256 of the file, in hex."""
    name: RelativePath
    """Path of the file below the source's ``unpack``."""
    executable: bool = False
    """Whether the file becomes executable."""

    @pydantic.model_validator(mode="after")
    def _one_origin(self) -> "SingleFile":
        if bool(self.urls) == bool(self.pool):
            raise ValueError("expected exactly one of urls and pool")
        return self


class DebianPool(Model):
    """An archive in Debian's pool, fetched from the Debian mirror."""

    path: PoolPath
    """Path of the archive on the mirror, as in ``pool/main/...``."""
    sha256: Sha256
    """SHA-256 of the archive, in hex."""
    strip: Annotated[int, pydantic.Field(ge=0)] = 1
    """Number of leading path components that are removed when the archive is unpacked."""


class PythonWheel(Model):
    """A wheel of a Python package, fetched with pip from the index that pip is set up with; only its files are taken.

    It is unpacked like a zip archive. None of its code runs.
    """

    name: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
    """Name of the package in the index."""
    version: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9][A-Za-z0-9._+!]*$")]
    """Version of the package, spelled as in ``file``."""
    file: str
    """File name of the wheel, as in ``name-1.0-py3-none-any.whl``; it can be made for any Python and platform."""
    sha256: Sha256
    """SHA-256 of the wheel, in hex."""

    @property
    def purl(self) -> str:
        """The package URL: what the file is, wherever it was fetched."""
        return f"pkg:pypi/{_normal(self.name)}@{quote(self.version)}?file_name={quote(self.file)}"

    @pydantic.field_validator("file")
    @classmethod
    def _wheel(cls, file: str) -> str:
        if file.endswith((".tar.gz", ".zip", ".tar.bz2")):
            raise ValueError("expected a wheel: pip runs code of a source distribution; use archive: for one")
        if not WHEEL.fullmatch(file):
            raise ValueError("expected the name of a wheel, as in name-1.0-py3-none-any.whl")
        return file

    @pydantic.model_validator(mode="after")
    def _belongs(self) -> "PythonWheel":
        found = WHEEL.fullmatch(self.file)
        if found and (_normal(found["name"]), found["version"]) != (_normal(self.name), self.version):
            raise ValueError(
                f"the file is version {found['version']} of {found['name']}, not version {self.version} of {self.name}"
            )
        return self


def _normal(name: str) -> str:
    """Return the only spelling of a Python package's name for an index (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Git(Model):
    """A commit of a git repository."""

    url: str
    """URL of the repository."""
    commit: Commit
    """The commit, with all 40 digits, or all 64 of a repository with the object format sha256."""
    submodules: bool = False
    """Whether the submodules are fetched too, at the commits that this commit names. Without it, each submodule is
    listed under ``exclude``, or another source fills its folder."""


class Local(Model):
    """A folder of this machine: code that the recipe's repository holds, or a checkout in development.

    No digest pins it. Each build records the digest of its content.
    """

    path: str
    """The folder, absolute or relative to the recipe's folder."""
    exclude: list[RelativePath] = []
    """Files and folders that do not belong to the source, such as a build folder; relative to ``path``."""


Way = Archive | SingleFile | DebianPool | PythonWheel | Git | Local


class SourceKinds(Model):
    """One way to obtain a source; exactly one of the keys is set."""

    archive: Archive | None = None
    """An archive from a URL."""
    file: SingleFile | None = None
    """A single file from a URL."""
    debian: DebianPool | None = None
    """An archive in Debian's pool."""
    python: PythonWheel | None = None
    """A wheel of a Python package."""
    git: Git | None = None
    """A commit of a git repository."""
    local: Local | None = None
    """A folder of this machine."""

    @property
    def way(self) -> Way:
        """The way that is set."""
        return self._set()[0]

    def _set(self) -> list[Way]:
        ways = (self.archive, self.file, self.debian, self.python, self.git, self.local)
        return [way for way in ways if way is not None]

    @pydantic.model_validator(mode="after")
    def _exclusive(self) -> "SourceKinds":
        if len(self._set()) != 1:
            raise ValueError("expected exactly one of archive, file, debian, python, git, local")
        return self


class Excluded(Model):
    """Files, folders and links of a source that are left out of the tree."""

    path: RelativePath
    """Path below the source's top folder. ``*`` and ``?`` match within a name, ``**/`` any folders."""
    reason: Reason
    """Why the recipe needs no such file, on one line."""


class Source(SourceKinds):
    """A source with one of ``archive``, ``file``, ``debian``, ``python``, ``git`` and ``local``."""

    name: SourceName
    """Name of the source in messages and for ``--source``."""
    unpack: RelativePath = "."
    """Folder of the tree into which the source is unpacked, over the sources before it."""
    exclude: list[Excluded] = []
    """Parts of the source that are left out, each with a reason; of every kind of source except ``file``."""
    alternatives: list[SourceKinds] = []
    """Other ways to obtain the same content, each with its own digest, tried in order if the first way fails."""

    @pydantic.model_validator(mode="after")
    def _divisible(self) -> "Source":
        if self.exclude and any(isinstance(way, SingleFile) for way in self.ways):
            raise ValueError("exclude: is for sources of several files, not for file:")
        return self

    @property
    def excluded(self) -> list[str]:
        """The patterns of ``exclude``."""
        return [part.path for part in self.exclude]

    @property
    def ways(self) -> list[Way]:
        """All ways to obtain the source, in the order in which they are tried."""
        return [self.way, *(kinds.way for kinds in self.alternatives)]


def _compiles(value: str) -> str:
    try:
        re.compile(value, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


Pattern = Annotated[str, pydantic.AfterValidator(_compiles)]
"""A regular expression, matched line by line."""


class Edit(Model):
    """A checked change to a source file: the regular expression must match exactly ``count`` times."""

    file: RelativePath
    """Path of the file in the tree."""
    find: Pattern
    """Python regular expression; ``^`` and ``$`` match at each line."""
    replace: str
    """Replacement; it can contain groups (``\\1``)."""
    count: int = 1
    """Expected number of matches."""
    reason: str
    """Why the edit is needed; shown if it does not fit."""
