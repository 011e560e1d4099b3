"""Settings of the published repository and of the key that signs it: ``repository`` and ``signing`` in ``reef.yml``."""

from typing import Annotated

import pydantic

from builders.errors import nearest
from builders.model.settings.upload import Destination, Url
from builders.model.target import SUITES
from builders.model.yaml_file import Model, duplicates


class Signing(Model):
    """The key that signs the repository; it is never stored in ``artifacts``."""

    home: str | None = None
    """GnuPG's home folder, absolute or relative to reef.yml, outside ``artifacts``. The default is
    ``$XDG_DATA_HOME/reef/gnupg``. The variable REEF_GNUPGHOME takes precedence."""
    key: str | None = None
    """Fingerprint of the signing key or subkey, its key ID or mail address. The default is the key that Reef created
    in ``home``."""
    expires_days: Annotated[int, pydantic.Field(ge=1)] = 1095
    """Validity in days of a key that Reef creates."""
    previous: list[str] = []
    """Older keys or subkeys that also sign, until every board has the keyring with ``key``."""
    warn_days: Annotated[int, pydantic.Field(ge=0)] = 90
    """Publishing warns this many days before the key expires."""
    refuse_days: Annotated[int, pydantic.Field(ge=0)] = 14
    """Publishing is refused this many days before the key expires. Boards need time to fetch the renewed keyring."""


class Keep(Model):
    """Which versions and publications are kept; by default all versions."""

    versions: Annotated[int, pydantic.Field(ge=1)] | None = None
    """Number of newest versions of each package and CPU that stay in a suite. Without ``days``, older versions are
    removed by the next publication."""
    days: Annotated[int, pydantic.Field(ge=0)] | None = None
    """Days after its publication that an older version stays. Older means beyond the newest ``versions``, or beyond the
    newest if ``versions`` is not set."""
    snapshots: Annotated[int, pydantic.Field(ge=1)] = 20
    """Number of publications of each suite that ``prune`` keeps for ``rollback``, with every .deb that they list."""

    @property
    def limits(self) -> bool:
        """Whether any version is removed."""
        return self.versions is not None or self.days is not None


class RepositorySettings(Model):
    """The published apt repository: fields of its Release files, what is kept, where it is uploaded."""

    origin: str = "Reef"
    """Origin field of the Release files; apt's pin priorities can name it."""
    label: str = "Reef"
    """Label field of the Release files."""
    component: Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9+-]*$")] = "main"
    """Component that holds all packages."""
    url: Url | None = None
    """URL at which boards reach the repository, for the .sources file, changelogs and snapshots. The default is the
    folder on this machine, without the two."""
    contents: bool = True
    """Whether Contents indices are written; apt-file finds the package of a file in them."""
    generations: Annotated[int, pydantic.Field(ge=1)] = 5
    """Number of publications whose indices stay reachable by hash, for boards that began to update before."""
    valid_days: Annotated[int, pydantic.Field(ge=1, le=36_500)] | None = None
    """Days after which boards refuse a publication (Valid-Until). Off by default: a board with a wrong clock, or a
    repository without news, would lock boards out of updates. Publish at least twice in this time; ``publish-apt``
    then signs again even if no package is new."""
    clients: list[str] = []
    """Debian releases whose own apt tests each publication in a clean root, as in ``[bullseye, bookworm, trixie]``.
    This machine's apt always tests it."""
    keep: Keep = Keep.model_construct()
    """Which versions and publications are kept."""
    upload: list[Destination] = []
    """Destinations to which ``publish-apt`` uploads the repository."""

    @property
    def snapshots_url(self) -> str | None:
        """URL at which boards find earlier publications: ``url``, unless an upload without links serves it."""
        plain = {upload.url.rstrip("/") for upload in self.upload if upload.url and not upload.links}
        return None if self.url is None or self.url.rstrip("/") in plain else self.url

    @pydantic.field_validator("clients")
    @classmethod
    def _clients_known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in SUITES:
                raise ValueError(f"unknown release: {name!r}; {nearest(name, SUITES)}")
            if not SUITES[name].mirrored:
                raise ValueError(f"no root can be made of {name}, which Debian's mirrors no longer hold")
        return value

    @pydantic.field_validator("upload")
    @classmethod
    def _names_differ(cls, value: list[Destination]) -> list[Destination]:
        if names := duplicates(upload.name for upload in value):
            raise ValueError(f"duplicate name of a destination: {names[0]!r}")
        return value
