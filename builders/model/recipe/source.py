"""Sources of a recipe: where each is had, the digest that pins it, and checked edits."""

import re
from typing import Annotated

import pydantic

from builders.model.yaml_file import Model, RelativePath

Sha256 = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{40}$")]
SourceName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9._+-]*$")]


class Archive(Model):
    """A tar or zip archive: the first of ``urls`` that answers is taken, its digest must be ``sha256``."""

    urls: Annotated[list[str], pydantic.Field(min_length=1)]
    sha256: Sha256
    strip: Annotated[int, pydantic.Field(ge=0)] = 1
    """Leading path components dropped on unpacking."""


class File(Model):
    """One file as it is: the first of ``urls`` that answers is taken, its digest must be ``sha256``."""

    urls: Annotated[list[str], pydantic.Field(min_length=1)]
    sha256: Sha256
    name: RelativePath
    """The file's name below the source's ``unpack``."""
    executable: bool = False


class DebianPool(Model):
    """A file of the Debian archive by its ``pool/...`` path, on the mirror that this machine's apt uses."""

    path: Annotated[str, pydantic.StringConstraints(pattern=r"^pool/.+")]
    sha256: Sha256
    strip: Annotated[int, pydantic.Field(ge=0)] = 1


class Git(Model):
    """A git repository at one commit, given in full."""

    url: str
    commit: Commit


class Local(Model):
    """A folder of this machine, for development; relative to the recipe's folder."""

    path: str


Way = Archive | File | DebianPool | Git | Local


class SourceKinds(Model):
    """One way to obtain a source; exactly one key."""

    archive: Archive | None = None
    file: File | None = None
    debian: DebianPool | None = None
    git: Git | None = None
    local: Local | None = None

    @property
    def way(self) -> Way:
        """The one way that is set."""
        return self._set()[0]

    def _set(self) -> list[Way]:
        ways = (self.archive, self.file, self.debian, self.git, self.local)
        return [way for way in ways if way is not None]

    @pydantic.model_validator(mode="after")
    def _one(self) -> "SourceKinds":
        if len(self._set()) != 1:
            raise ValueError("exactly one of archive, file, debian, git, local is wanted")
        return self


class Source(SourceKinds):
    """A source, where it is unpacked in the tree, and other packings of the same content."""

    name: SourceName
    unpack: RelativePath = "."
    alternatives: list[SourceKinds] = []
    """Tried in order where the first way cannot be had; each has a digest of its own."""


def _compiles(value: str) -> str:
    try:
        re.compile(value, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


Pattern = Annotated[str, pydantic.AfterValidator(_compiles)]
"""A regular expression for the lines of a file."""


class Edit(Model):
    """A checked change to a source file: the regular expression must match exactly ``count`` times."""

    file: RelativePath
    find: Pattern
    replace: str
    count: int = 1
    reason: str
