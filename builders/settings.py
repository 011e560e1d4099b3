"""This repository's settings: ``reef.yml``."""

from pathlib import Path
from typing import Annotated, Literal

import pydantic

from builders.document import Model, load
from builders.errors import InputError
from builders.target import Target, parse_target


class Signing(Model):
    """The key that signs the repository; it never lies under ``artifacts/``."""

    home: str | None = None
    """GnuPG's home folder; by default ``$XDG_DATA_HOME/reef/gnupg``. The variable REEF_GNUPGHOME goes first."""
    key: str | None = None
    """Fingerprint of the key to sign with; by default the one that Reef made in ``home``."""
    expires_days: Annotated[int, pydantic.Field(ge=1)] = 1095
    """How long a key that Reef makes is valid."""
    previous: list[str] = []
    """Fingerprints of keys that ``key`` takes over from: they sign too, until every board knows the new one."""
    warn_days: Annotated[int, pydantic.Field(ge=0)] = 90
    """Publishing warns so many days before the key's end."""
    refuse_days: Annotated[int, pydantic.Field(ge=0)] = 14
    """Publishing is refused so many days before it: boards need time to fetch the longer-lived keyring."""


class Keep(Model):
    """What stays when newer versions arrive; by default everything."""

    versions: Annotated[int, pydantic.Field(ge=1)] | None = None
    """The newest so many versions of each package and CPU stay in a suite; without ``days`` older ones go at once."""
    days: Annotated[int, pydantic.Field(ge=0)] | None = None
    """Versions beyond the newest ``versions`` (1 where that is not set) go so many days after they were published."""
    snapshots: Annotated[int, pydantic.Field(ge=1)] = 20
    """Publications of each suite that `invoke prune` leaves to return to, with every .deb that they name."""


class Repository(Model):
    """What the published repository says of itself (its Release files)."""

    origin: str = "Reef"
    label: str = "Reef"
    component: str = "main"
    url: str | None = None
    """Where boards reach it; stands in the ``.sources`` file. By default the folder itself."""
    contents: bool = True
    """Write Contents indices, by which apt-file tells which package holds a file."""
    generations: Annotated[int, pydantic.Field(ge=1)] = 5
    """Publications whose indices stay reachable by hash: a reader that began before them still ends well."""
    valid_days: Annotated[int, pydantic.Field(ge=1)] | None = None
    """Boards refuse a publication older than this (Valid-Until). Off by default: a board without a clock wakes up in
    the past or, after its clock was set, finds a repository that nobody published to for a while, and is locked out
    of updates, while what it guards against, a mirror that holds updates back, needs someone between board and host.
    Whoever sets it must publish at least every half of it: invoke publish-apt then signs anew though nothing is new."""
    keep: Keep = Keep()


class Settings(Model):
    """Settings as ``reef.yml`` gives them; every key is optional."""

    maintainer: Annotated[str, pydantic.StringConstraints(pattern=r"^[^<>\n]+ <[^<>@\s]+@[^<>@\s]+>$")] = (
        "Reef <packages@example.org>"
    )
    """Maintainer field of the packages (Debian Policy 5.6.2): ``Name <mail@address>``."""
    targets: Annotated[list[str], pydantic.Field(min_length=1)] = ["trixie/arm64"]
    """Built where the command line names none."""
    engine: Literal["auto", "chroot"] = "auto"
    artifacts: str = "artifacts"
    recipes: str = "recipes"
    debian_mirror: str | None = None
    """The Debian mirror for roots and pool sources; by default the one that this machine's apt uses."""
    mirrors: dict[str, str] = {}
    """URL prefixes of sources and what stands in their place; the longest that fits is used."""
    jobs: Annotated[int, pydantic.Field(ge=1)] | None = None
    ccache_size: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?[kMGT]i?$")] = "5G"
    repository: Repository = Repository()
    signing: Signing = Signing()

    @pydantic.field_validator("targets")
    @classmethod
    def _targets_known(cls, value: list[str]) -> list[str]:
        for text in value:
            try:
                parse_target(text)
            except InputError as error:
                raise ValueError(str(error)) from error
        return value

    def default_targets(self) -> list[Target]:
        """Return the targets to build where the command line names none."""
        return [parse_target(text) for text in self.targets]


def load_settings(folder: Path) -> Settings:
    """Read ``folder/reef.yml``, or return the defaults where there is none; raises InputError."""
    path = folder / "reef.yml"
    return load(path, Settings, empty=True) if path.exists() else Settings()
