"""Destinations of uploads: ``repository.upload`` in ``reef.yml``.

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
    # sources.list(5): an apt method, a colon, a path; a .sources file separates URIs by spaces.
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*:/[!-~]+", value) or (
        value.startswith("http") and not urlsplit(value).hostname
    ):
        raise ValueError(f"not a URL for apt: {value!r}; expected for example https://apt.example.org/")
    return value


Url = Annotated[str, pydantic.AfterValidator(_for_apt)]
"""A URL at which boards reach a repository."""


class HostLimits(Model):
    """Limits of a host, unlimited where not set. An upload that exceeds them is refused before it begins."""

    file_mb: Annotated[float, pydantic.Field(gt=0)] | None = None
    """Maximum size of one file, in MB (1,000,000 bytes)."""
    total_mb: Annotated[float, pydantic.Field(gt=0)] | None = None
    """Maximum size of all files together, in MB."""
    files: Annotated[int, pydantic.Field(gt=0)] | None = None
    """Maximum number of files."""


PRESETS = {
    # docs.github.com, "GitHub Pages limits": 1 GB a site; "About large files on GitHub": 100 MiB a file in Git.
    "github-pages": HostLimits(file_mb=100 * 1.048576, total_mb=1000),
    # docs.gitlab.com, "GitLab.com settings", GitLab Pages: 1 GB a site.
    "gitlab-pages": HostLimits(total_mb=1000),
    # developers.cloudflare.com, "Pages limits": 25 MiB a file, 20,000 files a site (free plan).
    "cloudflare-pages": HostLimits(file_mb=25 * 1.048576, files=20_000),
}
"""Limits of well-known hosts, as their documentation gives them (2026)."""


class _Destination(Model):
    name: Annotated[str, pydantic.StringConstraints(pattern=NAME)]
    """Name of the destination in messages and for ``upload-apt --to``."""
    url: Url | None = None
    """URL at which boards reach this copy. If set, an upload ends by reading the repository from there as boards do."""
    limits: Literal["github-pages", "gitlab-pages", "cloudflare-pages"] | HostLimits = HostLimits()
    """Limits of the host: the name of a known host, or numbers."""

    @property
    def bounds(self) -> HostLimits:
        """The limits in numbers."""
        return PRESETS[self.limits] if isinstance(self.limits, str) else self.limits


class Folder(_Destination):
    """A folder of this machine, such as a mounted disk or the checkout of a website."""

    kind: Literal["folder"]
    """``folder``."""
    path: str
    """The folder, absolute or relative to reef.yml; created if missing."""
    links: bool = True
    """Whether symbolic links are uploaded. Without them (GitHub Pages), earlier publications are not available."""


class Rsync(_Destination):
    """A folder of another machine, reached by rsync over SSH."""

    kind: Literal["rsync"]
    """``rsync``."""
    to: Annotated[str, pydantic.StringConstraints(pattern=REMOTE)]
    """``USER@HOST:/PATH``; the parent folder must exist."""
    port: Annotated[int, pydantic.Field(ge=1, le=65535)] | None = None
    """Port of the SSH server. The default is that of the SSH configuration."""
    identity: str | None = None
    """File of the private SSH key, absolute or relative to reef.yml. By default, ssh chooses (configuration, agent)."""
    known_hosts: str | None = None
    """File of accepted host keys, for CI machines, absolute or relative to reef.yml. The default is the user's file."""
    links: bool = True
    """Whether symbolic links are uploaded. Without them, earlier publications are not available."""


class S3(_Destination):
    """A bucket of an S3-compatible object store. Credentials come only from the environment or the profile."""

    kind: Literal["s3"]
    """``s3``."""
    bucket: Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """Name of the bucket."""
    prefix: Annotated[str, pydantic.StringConstraints(pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?$")] = ""
    """Folder in the bucket, without a slash at either end."""
    region: str | None = None
    """Region of the bucket. The default is that of the environment or profile."""
    endpoint: Annotated[str, pydantic.StringConstraints(pattern=r"^https?://\S+$")] | None = None
    """URL of a store other than Amazon's."""
    profile: str | None = None
    """Name of a profile in ``~/.aws`` with the credentials, instead of the environment."""

    @property
    def links(self) -> bool:
        """False: an object store has no links."""
        return False


Destination = Annotated[Folder | Rsync | S3, pydantic.Field(discriminator="kind")]
