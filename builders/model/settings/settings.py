"""Settings of a project: ``reef.yml``."""

import os
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from builders.errors import InputError
from builders.model.settings.buildx import Buildx
from builders.model.settings.repository import RepositorySettings, Signing
from builders.model.settings.services import BazelServices, CcacheStorage
from builders.model.target import Target, parse_target
from builders.model.yaml_file import Model, load


class Settings(Model):
    """Settings of a project, in ``reef.yml``; every key is optional."""

    maintainer: Annotated[str, pydantic.StringConstraints(pattern=r"^[^<>\n]+ <[^<>@\s]+@[^<>@\s]+>$")] = (
        "Reef <packages@example.org>"
    )
    """Maintainer field of the packages (Debian Policy 5.6.2): ``Name <mail@address>``."""
    targets: Annotated[list[str], pydantic.Field(min_length=1)] = ["trixie/arm64"]
    """Targets of commands without ``--target``."""
    engine: Literal["auto", "chroot", "buildx"] = "auto"
    """Engine that runs build jobs; ``auto`` is buildx if a Docker engine with buildx answers, else chroot."""
    artifacts: str = "artifacts"
    """Folder of builds, logs and the repository, absolute or relative to reef.yml."""
    cache: str | None = None
    """Folder of build roots, sources, ccache, Bazel's files and apt's archives: absolute, below ``~``, or relative to
    reef.yml. Several checkouts and CI runs of one user can share it, also at the same time. The default is ``cache`` in
    ``artifacts``. The variable REEF_CACHE (an absolute path) takes precedence."""
    recipes: str = "recipes"
    """Folder of the recipes, absolute or relative to reef.yml."""
    debian_mirror: Annotated[str, pydantic.StringConstraints(pattern=r"^(https?://[^\s/]\S*|file:/\S+)$")] | None = None
    """Debian mirror for build roots and ``debian`` sources. The default is the mirror of this machine's apt."""
    mirrors: dict[str, str] = {}
    """Replacements for prefixes of source URLs; the longest matching prefix is replaced."""
    jobs: Annotated[int, pydantic.Field(ge=1)] | None = None
    """Number of compilers that run at once. The default is the number of processors."""
    ccache_size: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?[kMGT]i?$")] = "5G"
    """Maximum size of the local ccache."""
    ccache_storage: CcacheStorage | None = None
    """Server that shares compiled files between machines."""
    bazel: BazelServices = BazelServices.model_construct()
    """Servers through which Bazel shares work."""
    variants: dict[str, str] = {}
    """Variant to build, by recipe, as in ``tensorflow-serving: cortex-a72``. The default is a recipe's first
    variant."""
    repository: RepositorySettings = RepositorySettings.model_construct()
    """The published apt repository."""
    signing: Signing = Signing.model_construct()
    """The key that signs the repository."""
    buildx: Buildx = Buildx.model_construct()
    """How the buildx engine builds."""

    @pydantic.field_validator("artifacts", "cache", "recipes")
    @classmethod
    def _a_folder(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or set(os.path.normpath(value)) == {"/"}):
            raise ValueError(f"expected the path of a folder other than /: {value!r}")
        return value

    @pydantic.field_validator("targets")
    @classmethod
    def _targets_known(cls, value: list[str]) -> list[str]:
        for text in value:
            try:
                parse_target(text)
            except InputError as error:
                raise ValueError(f"{error.what}; {error.detail}") from error
        return value

    def default_targets(self) -> list[Target]:
        """Return the targets of commands without ``--target``."""
        return [parse_target(text) for text in self.targets]


def shared_cache(folder: Path, settings: Settings) -> Path | None:
    """Return the cache's folder if it is not ``cache`` in ``artifacts``: REEF_CACHE, else ``cache`` of reef.yml.

    ``folder`` contains reef.yml. Raises InputError for a path that cannot be a cache.
    """
    variable = os.environ.get("REEF_CACHE")
    setting = variable or settings.cache
    if setting is None:
        return None
    name = "REEF_CACHE" if variable else f"{folder / 'reef.yml'}: cache"
    try:
        path = Path(setting).expanduser()
    except RuntimeError as error:
        raise InputError(f"{name} cannot be used: {setting!r}", str(error), "use an absolute path") from error
    if variable and not path.is_absolute():
        raise InputError(
            f"REEF_CACHE is not an absolute path: {variable!r}",
            "commands that run in different folders would use different caches",
            'use an absolute path, as in REEF_CACHE="$HOME/.cache/reef"',
        )
    path, artifacts = Path(os.path.normpath(folder / path)), folder / settings.artifacts
    default = artifacts / "cache"
    if path == default:
        return None
    if path == Path("/") or (path.resolve().is_relative_to(artifacts.resolve()) and not path.is_relative_to(default)):
        raise InputError(
            f"{name} names a folder that cannot be the cache: {path}",
            f"{artifacts} is for builds and the repository",
            "use a folder outside it, as in ~/.cache/reef",
        )
    return path


def load_settings(folder: Path) -> Settings:
    """Return the settings in ``folder/reef.yml``, or the defaults if there is no such file; raises InputError.

    A relative ``signing.home`` is resolved from ``folder``. If it followed the current folder, Reef would find no key
    and create another, which boards do not know.
    """
    path = folder / "reef.yml"
    settings = load(path, Settings, empty=True) if path.exists() else Settings()
    if settings.signing.home is None:
        return settings
    home = folder / Path(settings.signing.home).expanduser()
    for place in filter(None, (folder / settings.artifacts, shared_cache(folder, settings))):
        if home.resolve().is_relative_to(place.resolve()):
            raise InputError(
                f"{path}: signing.home is inside {place}",
                "files there are served, cleaned and copied; a private key must not be",
                "name a folder elsewhere, or remove the key: the default is ~/.local/share/reef/gnupg",
            )
    return settings.model_copy(update={"signing": settings.signing.model_copy(update={"home": str(home)})})
