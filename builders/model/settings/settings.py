"""This repository's settings: ``reef.yml``."""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import pydantic

from builders.errors import InputError, nearest
from builders.model.jobs import Storage
from builders.model.settings.upload import Destination, Url
from builders.model.target import SUITES, Target, parse_target
from builders.model.yaml_file import Model, load

STORAGES = {"http": ("http", False), "https": ("http", True), "redis": ("redis", False), "rediss": ("redis", True)}
"""Schemes of a ccache storage's URL: the protocol, and whether TLS goes around it."""


class Signing(Model):
    """The key that signs the repository; it never lies under ``artifacts/``."""

    home: str | None = None
    """GnuPG's home folder, absolute or relative to reef.yml, not in ``artifacts``; by default
    ``$XDG_DATA_HOME/reef/gnupg``. The variable REEF_GNUPGHOME goes first."""
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

    @property
    def limits(self) -> bool:
        """Tell whether any version goes."""
        return self.versions is not None or self.days is not None


class Repository(Model):
    """What the published repository says of itself (its Release files)."""

    origin: str = "Reef"
    label: str = "Reef"
    component: Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9+-]*$")] = "main"
    url: Url | None = None
    """Where boards reach it; stands in the ``.sources`` file. By default the folder itself."""
    contents: bool = True
    """Write Contents indices, by which apt-file tells which package holds a file."""
    generations: Annotated[int, pydantic.Field(ge=1)] = 5
    """Publications whose indices stay reachable by hash: a reader that began before them still ends well."""
    valid_days: Annotated[int, pydantic.Field(ge=1, le=36_500)] | None = None
    """Boards refuse a publication older than this (Valid-Until). Off by default: a board without a clock wakes up in
    the past or, after its clock was set, finds a repository that nobody published to for a while, and is locked out
    of updates, while what it guards against, a mirror that holds updates back, needs someone between board and host.
    Whoever sets it must publish at least every half of it: ./inv publish-apt then signs anew though nothing is new."""
    clients: list[str] = []
    """Board releases whose own apt is asked before each publication, in a clean root for each, beside this machine's
    apt: ``[bullseye, bookworm, trixie]``. A root is made on first use, which takes a minute; asking takes seconds."""
    keep: Keep = Keep.model_construct()
    upload: list[Destination] = []
    """Where `invoke publish-apt` uploads the repository to when it is published."""

    @property
    def snapshots_url(self) -> str | None:
        """Where boards find earlier publications: ``url``, unless a copy without any is uploaded to there."""
        plain = {one.url.rstrip("/") for one in self.upload if one.url and not one.links}
        return None if self.url is None or self.url.rstrip("/") in plain else self.url

    @pydantic.field_validator("clients")
    @classmethod
    def _clients_known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in SUITES:
                raise ValueError(f"unknown release: {name!r}; {nearest(name, SUITES)}")
        return value

    @pydantic.field_validator("upload")
    @classmethod
    def _names_differ(cls, value: list[Destination]) -> list[Destination]:
        names = [one.name for one in value]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two destinations have the name {min(twice)!r}")
        return value


class CcacheStorage(Model):
    """A server that many machines share compiled files by (ccache's remote storage), beside each one's own ccache."""

    url: str
    """``http://host:port/path`` or ``redis://host:port``, with ``https`` and ``rediss`` over TLS; a user and password
    may stand in it. The variable REEF_CCACHE_STORAGE goes first: a place for a URL with a password."""
    layout: Literal["subdirs", "flat", "bazel"] = "subdirs"
    """How files are named on an HTTP server: ``flat`` where it makes no folders, ``bazel`` for a Bazel cache."""
    read_only: bool = False
    """Take from it, store nothing."""

    @pydantic.field_validator("url")
    @classmethod
    def _usable(cls, value: str) -> str:
        try:
            parse_storage(value)
        except InputError as error:
            raise ValueError(f"{error.what}; {error.detail}") from None
        return value


class BuildxNode(Model):
    """One further place where the buildx engine builds: a Docker engine or a BuildKit of its own."""

    name: Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    driver: Literal["docker", "docker-container", "kubernetes", "remote"] = "docker"
    """``docker`` is a Docker engine's own BuildKit; for the others `invoke builders --create` makes a builder."""
    endpoint: str = ""
    """A docker context's name, ``ssh://USER@HOST`` or ``tcp://HOST:PORT``; ``kubernetes`` needs none."""
    certificates: str | None = None
    """Folder with ca.pem, cert.pem and key.pem for an endpoint that speaks TLS; relative to reef.yml."""
    architectures: list[Literal["amd64", "arm64", "armhf"]] = []
    """What it runs natively: jobs of these CPUs go there, and recipes are built natively for them."""
    options: dict[str, str] = {}
    """``--driver-opt`` of the builder that is made (replicas, namespace, image, ...)."""

    @pydantic.model_validator(mode="after")
    def _reachable(self) -> "BuildxNode":
        if not self.endpoint and self.driver in ("docker", "remote"):
            raise ValueError(f"node {self.name}: driver {self.driver} needs an endpoint")
        if self.certificates and self.driver != "docker":
            raise ValueError(f"node {self.name}: certificates of driver {self.driver} go into its options")
        return self


class Buildx(Model):
    """How the buildx engine builds."""

    base: Literal["auto", "registry", "bootstrap"] = "auto"
    """Where base images come from: a registry, mmdebstrap on this machine, or the first of them that works."""
    image: str = "debian:{suite}-slim"
    """The registry's base image; ``{suite}`` becomes trixie. `invoke pin` notes their digests."""
    network: Literal["default", "host"] = "default"
    """The network of what may have one (making roots, ``fetch``): ``host`` where the engine has no bridge."""
    nodes: list[BuildxNode] = []
    """Further places; without any, the engine that Docker's own tools would use."""

    @pydantic.field_validator("nodes")
    @classmethod
    def _names_differ(cls, value: list[BuildxNode]) -> list[BuildxNode]:
        names = [one.name for one in value]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two nodes have the name {min(twice)!r}")
        return value


class BazelServices(Model):
    """Servers that Bazel shares work through, by its own protocols; for recipes that are built by Bazel."""

    remote_cache: Annotated[str, pydantic.StringConstraints(pattern=r"^(https?|grpcs?)://\S+$")] | None = None
    """Keeps finished actions for many machines: any HTTP server that takes PUT, or a gRPC cache. A user and password
    may stand in an HTTP one; the variable REEF_BAZEL_CACHE goes first: a place for a URL with a password."""
    remote_upload: bool = True
    """Give the cache what was built here; off for machines that shall only take."""
    remote_executor: Annotated[str, pydantic.StringConstraints(pattern=r"^grpcs?://\S+$")] | None = None
    """A cluster that runs actions (Remote Execution API), and is their cache as well: one of the two is wanted. Its
    workers must have what the build root has."""
    remote_properties: dict[str, str] = {}
    """What the cluster is asked for, as in ``container-image: docker://...`` with the tools of the build root."""

    @pydantic.model_validator(mode="after")
    def _one(self) -> "BazelServices":
        if self.remote_cache and self.remote_executor:
            raise ValueError("remote_cache or remote_executor is wanted: the executor is the cache as well")
        for url in (self.remote_cache, self.remote_executor):
            if url:
                _bazel_server(url, upload=True)
        return self


class Settings(Model):
    """Settings as ``reef.yml`` gives them; every key is optional."""

    maintainer: Annotated[str, pydantic.StringConstraints(pattern=r"^[^<>\n]+ <[^<>@\s]+@[^<>@\s]+>$")] = (
        "Reef <packages@example.org>"
    )
    """Maintainer field of the packages (Debian Policy 5.6.2): ``Name <mail@address>``."""
    targets: Annotated[list[str], pydantic.Field(min_length=1)] = ["trixie/arm64"]
    """Built where the command line names none."""
    engine: Literal["auto", "chroot", "buildx"] = "auto"
    """``auto`` is buildx where a Docker engine with buildx answers, else chroot."""
    artifacts: str = "artifacts"
    cache: str | None = None
    """Folder of build roots, sources, ccache, Bazel's files and apt's archives: absolute, below ``~``, or relative to
    reef.yml. Checkouts and CI runs of one user may share it, also at once. By default ``cache`` in ``artifacts``. The
    variable REEF_CACHE (an absolute path) goes first."""
    recipes: str = "recipes"
    debian_mirror: Annotated[str, pydantic.StringConstraints(pattern=r"^(https?://[^\s/]\S*|file:/\S+)$")] | None = None
    """The Debian mirror for roots and pool sources; by default the one that this machine's apt uses."""
    mirrors: dict[str, str] = {}
    """URL prefixes of sources and what stands in their place; the longest that fits is used."""
    jobs: Annotated[int, pydantic.Field(ge=1)] | None = None
    ccache_size: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?[kMGT]i?$")] = "5G"
    ccache_storage: CcacheStorage | None = None
    bazel: BazelServices = BazelServices.model_construct()
    variants: dict[str, str] = {}
    """Recipe -> the variant of it to build, as in ``tensorflow-serving: cortex-a72``; by default each one's first."""
    repository: Repository = Repository.model_construct()
    signing: Signing = Signing.model_construct()
    buildx: Buildx = Buildx.model_construct()

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
                raise ValueError(str(error)) from error
        return value

    def default_targets(self) -> list[Target]:
        """Return the targets to build where the command line names none."""
        return [parse_target(text) for text in self.targets]


def parse_storage(url: str, layout: str = "subdirs", *, read_only: bool = False) -> Storage:
    """Read the URL of a ccache storage; raises InputError, which never shows the URL: it may hold a password."""
    wanted = "http://host:port/path or redis://host:port is wanted (https and rediss over TLS)"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        raise InputError("not the URL of a ccache storage", wanted) from None
    kind, tls = STORAGES.get(parts.scheme, ("", False))
    path = parts.path.strip("/")
    if not kind or not host or parts.query or parts.fragment or (kind == "redis" and path and not path.isdecimal()):
        raise InputError("not the URL of a ccache storage", wanted)
    usual = 6379 if kind == "redis" else 443 if tls else 80
    return Storage(kind, tls, host, port or usual, path, user, password, layout, read_only)


def ccache_storage(settings: Settings) -> Storage | None:
    """Return the ccache storage: of the variable REEF_CCACHE_STORAGE, else of reef.yml; raises InputError."""
    wish = settings.ccache_storage
    layout, read_only = (wish.layout, wish.read_only) if wish else ("subdirs", False)
    if given := os.environ.get("REEF_CCACHE_STORAGE"):
        try:
            return parse_storage(given, layout, read_only=read_only)
        except InputError as error:
            raise InputError(f"REEF_CCACHE_STORAGE is {error.what}", error.detail) from None
    return parse_storage(wish.url, layout, read_only=read_only) if wish else None


def bazel_storage(settings: Settings) -> Storage | None:
    """Return the server that Bazel shares work through: REEF_BAZEL_CACHE, else that of reef.yml; raises InputError."""
    url = os.environ.get("REEF_BAZEL_CACHE") or settings.bazel.remote_executor or settings.bazel.remote_cache
    try:
        return _bazel_server(url, upload=settings.bazel.remote_upload) if url else None
    except ValueError as error:
        raise InputError("not the address of a Bazel server", str(error)) from None


def _bazel_server(url: str, *, upload: bool) -> Storage:
    """Raises ValueError, which never shows the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in ("http", "https", "grpc", "grpcs") or parts.query or parts.fragment:
        raise ValueError("http(s)://host:port/path or grpc(s)://host:port is wanted")
    tls = parts.scheme in ("https", "grpcs")
    scheme = "http" if parts.scheme.startswith("http") else "tcp"
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Storage(
        scheme, tls, host, port or (443 if tls else 80), parts.path.strip("/"), user, password,
        read_only=not upload, what="Bazel server",
    )  # fmt: skip


def shared_cache(folder: Path, settings: Settings) -> Path | None:
    """Return the cache's folder where it is not ``cache`` in ``artifacts``: REEF_CACHE, else ``cache:`` of reef.yml.

    ``folder`` holds reef.yml. Raises InputError for a path that cannot be a cache.
    """
    given = os.environ.get("REEF_CACHE")
    name = "REEF_CACHE" if given else f"{folder / 'reef.yml'}: cache"
    wish = given or settings.cache
    if wish is None:
        return None
    try:
        path = Path(wish).expanduser()
    except RuntimeError as error:
        raise InputError(f"{name} cannot be used: {wish!r}", str(error), "write the folder's absolute path") from error
    if given and not path.is_absolute():
        raise InputError(
            f"REEF_CACHE is not an absolute path: {given!r}",
            "commands run in different folders and would each make a cache of their own",
            'write the whole path, as in REEF_CACHE="$HOME/.cache/reef"',
        )
    path, artifacts = Path(os.path.normpath(folder / path)), folder / settings.artifacts
    own = artifacts / "cache"
    if path == own:
        return None
    if path == Path("/") or (path.resolve().is_relative_to(artifacts.resolve()) and not path.is_relative_to(own)):
        raise InputError(
            f"{name} names a folder that cannot be the cache: {path}",
            f"{artifacts} holds what is built and published",
            "name a folder of its own elsewhere, as in ~/.cache/reef",
        )
    return path


def load_settings(folder: Path) -> Settings:
    """Read ``folder/reef.yml``, or return the defaults where there is none; raises InputError.

    A relative ``signing.home`` is made one from ``folder``, wherever the command runs: elsewhere Reef would find no
    key and make a new one, which boards do not know.
    """
    path = folder / "reef.yml"
    settings = load(path, Settings, empty=True) if path.exists() else Settings()
    if settings.signing.home is None:
        return settings
    home = folder / Path(settings.signing.home).expanduser()
    for place in filter(None, (folder / settings.artifacts, shared_cache(folder, settings))):
        if not home.resolve().is_relative_to(place.resolve()):
            continue
        raise InputError(
            f"{path}: signing.home is inside {place}",
            "files there are served, cleaned and copied; a private key must not be",
            "name a folder elsewhere, or leave it out: it is ~/.local/share/reef/gnupg then",
        )
    return settings.model_copy(update={"signing": settings.signing.model_copy(update={"home": str(home)})})
