"""Where the published repository is uploaded to: ``repository.upload`` in ``reef.yml``.

Secrets are never settings: SSH keys stay in files or the agent, S3 credentials in the environment or a profile.
"""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import pydantic

from builders.model.yaml_file import Model

MB = 1000 * 1000
NAME = r"^[a-z0-9][a-z0-9-]*$"
REMOTE = r"^([A-Za-z0-9._-]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*):[^\s:-][^\n:]*$"


def _for_apt(value: str) -> str:
    # sources.list(5): an apt method, a colon, a place; a .sources file divides URIs at spaces.
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*:/[!-~]+", value) or (
        value.startswith("http") and not urlsplit(value).hostname
    ):
        raise ValueError(f"not a URL that apt takes: {value!r}; https://apt.example.org/ is one")
    return value


Url = Annotated[str, pydantic.AfterValidator(_for_apt)]
"""Where boards find a repository."""


class Limits(Model):
    """What a host takes; an upload that would go beyond is refused before it begins. Unset means unbounded."""

    file_mb: Annotated[float, pydantic.Field(gt=0)] | None = None
    """Size of the largest file in MB (1,000,000 bytes)."""
    total_mb: Annotated[float, pydantic.Field(gt=0)] | None = None
    """Size of all files together in MB."""
    files: Annotated[int, pydantic.Field(gt=0)] | None = None
    """Number of files."""


PRESETS = {
    # docs.github.com, "GitHub Pages limits": 1 GB a site; "About large files on GitHub": 100 MiB a file in Git.
    "github-pages": Limits(file_mb=100 * 1.048576, total_mb=1000),
    # docs.gitlab.com, "GitLab.com settings", GitLab Pages: 1 GB a site.
    "gitlab-pages": Limits(total_mb=1000),
    # developers.cloudflare.com, "Pages limits": 25 MiB a file, 20,000 files a site (free plan).
    "cloudflare-pages": Limits(file_mb=25 * 1.048576, files=20_000),
}
"""Limits of well-known hosts, as their documentation gives them (2026)."""


class _Destination(Model):
    name: Annotated[str, pydantic.StringConstraints(pattern=NAME)]
    """What `invoke upload-apt --to` and messages call it."""
    url: Url | None = None
    """Where boards reach this copy; where it is set, an upload ends by reading it from there as they would."""
    limits: Literal["github-pages", "gitlab-pages", "cloudflare-pages"] | Limits = Limits()
    """What the host takes: the name of a known one, or numbers."""

    @property
    def bounds(self) -> Limits:
        """The limits in numbers."""
        return PRESETS[self.limits] if isinstance(self.limits, str) else self.limits


class Folder(_Destination):
    """Another folder of this machine: a mounted disk, the checkout of a site."""

    kind: Literal["folder"]
    path: str
    """Absolute, or relative to reef.yml; made where it is missing."""
    links: bool = True
    """False for hosts that know no symbolic links (GitHub Pages): plain files then, and no older publications."""


class Rsync(_Destination):
    """A machine that is reached by rsync over ssh."""

    kind: Literal["rsync"]
    to: Annotated[str, pydantic.StringConstraints(pattern=REMOTE)]
    """``user@host:/path``; the folder above must exist."""
    port: Annotated[int, pydantic.Field(ge=1, le=65535)] | None = None
    identity: str | None = None
    """File of the private SSH key; by default what ssh itself would use (its configuration, the agent).
    Absolute, or relative to reef.yml."""
    known_hosts: str | None = None
    """File of the host keys to accept, for CI machines; by default the user's own. Absolute, or relative to
    reef.yml."""
    links: bool = True
    """As for a folder."""


class S3(_Destination):
    """A bucket of an S3-compatible object store. Credentials come from the environment or the profile alone."""

    kind: Literal["s3"]
    bucket: Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    prefix: Annotated[str, pydantic.StringConstraints(pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$")] = ""
    """Folder in the bucket, without slashes around it."""
    region: str | None = None
    endpoint: Annotated[str, pydantic.StringConstraints(pattern=r"^https?://\S+$")] | None = None
    """URL of a store that is not Amazon's."""
    profile: str | None = None
    """Name of a profile in ``~/.aws``, instead of the environment's credentials."""

    @property
    def links(self) -> bool:
        """False: an object store knows files alone."""
        return False


Destination = Annotated[Folder | Rsync | S3, pydantic.Field(discriminator="kind")]
