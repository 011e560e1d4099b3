"""Base images and roots, from a registry (by digest if pinned) or from mmdebstrap, with the same packages."""

import base64
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from builders.engines.buildx.builder import client, failures
from builders.engines.buildx.builder.client import BuildFailed, BuildxBuild
from builders.engines.buildx.builder.nodes import Node
from builders.engines.buildx.builder.progress import Progress
from builders.engines.buildx.docker.daemon import Daemon, owner
from builders.engines.roots import bootstrap, manifest, namespaces
from builders.errors import HostError, InputError, RootError
from builders.host import debian_mirror, process
from builders.host.apt_access import VARIABLES, access, warn_of_security
from builders.host.debian_mirror import Mirror
from builders.host.excerpt import excerpt_of
from builders.host.files import write_whole
from builders.model.arch import Architecture
from builders.model.context import Context
from builders.model.jobs import Root, StepRecord

DOCKERFILES = Path(__file__).with_name("dockerfiles")
SCRIPTS = ("make-root.sh", "apt-access.sh")
"""The scripts that Dockerfiles of roots run."""
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PINS = "base-images.yml"
"""The file beside reef.yml with the digests of base images."""


@dataclass(frozen=True)
class Images:
    """Makes images for roots.

    ``fresh`` is empty, or a word in the names of roots that are made for a single job, without any cache.
    """

    context: Context
    fresh: str = ""

    def root(self, root: Root, node: Node, daemon: Daemon) -> tuple[str, tuple[StepRecord, ...]]:
        """Return the name of the image of ``root`` on the engine, made first if it is missing, and the step that made
        it."""
        if name := self.made(root, daemon):
            self._warn_if_aged(name, daemon)
            return name, ()
        with self.context.workspace.locked(
            f"image-{manifest.key(root)}", what=f"the image of the root {manifest.key(root)}", say=self.context.log.note
        ):
            for name, base in self._choices(root).items():
                if daemon.has_image(name):
                    return name, ()
                started = time.monotonic()
                try:
                    self._make(root, node, daemon, name, base)
                    # The memory is used by the engine and cannot be measured here.
                    return name, (StepRecord("root", time.monotonic() - started, 0),)
                except BuildFailed as failure:
                    if base is None or not failures.registry_failed(failure):
                        raise self._failed(root, node, failure) from failure
                    if self.context.settings.buildx.base == "registry":
                        raise failures.no_registry(f"{base}\n{failure.words}") from failure
                    self._note_fallback(base)
        raise AssertionError("each choice of a base returns or raises")

    def made(self, root: Root, daemon: Daemon) -> str | None:
        """Return the name of the image of ``root`` on the engine, None if there is no image."""
        return next((name for name in self._choices(root) if daemon.has_image(name)), None)

    def _choices(self, root: Root) -> dict[str, str | None]:
        """Return the possible names of the image, each with its base in the registry, or None for a base made here."""
        bases: list[str | None] = [self._reference(root.suite), None]
        bases = {"registry": bases[:1], "bootstrap": bases[1:]}.get(self.context.settings.buildx.base, bases)
        return {f"reef-root:{manifest.key(root)}-{self._digest(root, base)}{self.fresh}": base for base in bases}

    def stage(self, root: Root, node: Node, context: Path) -> tuple[str, dict[str, str]]:
        """Return the Dockerfile text of a root as stage ``start``, and its build arguments, for builders that share no
        images with an engine. The files that it reads are put into ``context``."""
        for name in SCRIPTS:
            shutil.copy(DOCKERFILES / name, context)
        text = _dockerfile(root).read_text()
        arguments = self._arguments(root) | {"FRESH": self.fresh}
        base = self.context.settings.buildx.base
        if base == "bootstrap" or (base == "auto" and not self._offered(root, node)):
            self._tar(root.suite, root.build, context / "base.tar")
            text = "FROM scratch AS base\nADD base.tar /\n" + text.replace("FROM ${BASE} AS", "FROM base AS")
        else:
            arguments["BASE"] = self._reference(root.suite)
        return f"{text}\nFROM root AS start", arguments

    def _offered(self, root: Root, node: Node) -> bool:
        """Return whether the node can fetch a root's base image from its registry; a build of that image finds out."""
        base = self._reference(root.suite)
        with self.context.workspace.scratch_folder("base") as scratch:
            (scratch / "Dockerfile").write_text(f"FROM {base}\n")
            call = BuildxBuild(scratch / "Dockerfile", scratch, root.build, kind="probe")
            progress = Progress(self.context.workspace.log_file(f"roots/registry-{node.name}"))
            try:
                client.build(call, builder=node.builder, environment=node.environment, progress=progress)
            except BuildFailed as failure:
                if not failures.registry_failed(failure):
                    raise self._failed(root, node, failure) from failure
                self._note_fallback(base)
                return False
        return True

    def _note_fallback(self, base: str) -> None:
        self.context.log.note(f"{base} cannot be fetched from its registry: making the base with mmdebstrap instead")

    def reference(self, suite: str) -> str:
        """Return the registry's base image for a suite, without a digest."""
        try:
            return self.context.settings.buildx.image.format(suite=suite)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise InputError(
                f"buildx: image: is not a pattern: {self.context.settings.buildx.image}",
                str(error),
                "write {suite} in place of the suite, and no other braces",
            ) from error

    def pin(self, suites: list[str], node: Node) -> dict[str, str]:
        """Ask the registry for each suite's base image, record the digests in `PINS` and return them by image."""
        found = {}
        for name in map(self.reference, suites):
            words = ["imagetools", "inspect", f"--builder={node.builder}", name, "--format={{json .Manifest}}"]
            try:
                found[name] = str(json.loads(client.call(words, node.environment))["digest"])
            except process.ProgramFailed as error:
                raise failures.no_registry(f"{name}\n{error.detail}") from error
        text = "# Digests of base images, refreshed by the command pin\n" + yaml.safe_dump(
            pins(self.context.folder) | found
        )
        write_whole(self.context.folder / PINS, text)
        return found

    def _reference(self, suite: str) -> str:
        name = self.reference(suite)
        digest = pins(self.context.folder).get(name)
        return f"{name}@{digest}" if digest else name

    def _digest(self, root: Root, base: str | None) -> str:
        files = [_dockerfile(root), *(DOCKERFILES / name for name in SCRIPTS)]
        document = [base, self._site(), *map(_instructions, files)]
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:12]

    def _site(self) -> str:
        """Return the mirror for roots; empty for the base image's own mirror, on a machine without apt."""
        if not self.context.settings.debian_mirror and not _apt_here():
            return ""
        mirror = debian_mirror.chosen(self.context.settings.debian_mirror)
        if mirror.folder:
            raise _unseen(mirror)
        return mirror.url

    def _arguments(self, root: Root) -> dict[str, str]:
        arguments = {
            "SUITE": root.suite,
            "MIRROR": self._site(),
            "PACKAGES": " ".join(root.packages),
        }
        if root.host == root.build:
            return arguments | root.build.emulation
        return arguments | {"HOST": root.host.debian}

    def _make(self, root: Root, node: Node, daemon: Daemon, name: str, base: str | None) -> None:
        own_base = None if base else self._bootstrapped(root, node, daemon)
        network = self.context.settings.buildx.network
        try:
            self._build(
            BuildxBuild(
                _dockerfile(root), DOCKERFILES, root.build, target="root", tag=name, kind="root",
                network=network if network != "default" else None,
                arguments=self._arguments(root) | {"BASE": base or own_base or ""},
                # The image does not exist, so the builder's layers of a removed one must not be used again.
                no_cache=True, owner=self._owner(), secrets=secrets(self.context), inherited=proxies(self.context),
            ),
            f"make root {root.suite}, runs {root.build}" + ("" if root.build == root.host else f", for {root.host}"),
            f"roots/{name.partition(':')[2]}", node,
          )  # fmt: skip
        finally:
            if own_base and self.fresh:
                daemon.remove_image(own_base)

    def _bootstrapped(self, root: Root, node: Node, daemon: Daemon) -> str:
        """Return the name of the base image that mmdebstrap made, loaded first if it is missing.

        Its name is a digest of its content and mirror. A fresh root has its own base image: a shared
        image could give both builds that are compared the same fault.
        """
        minimal = Root(root.suite, root.build, root.build, ())
        made_of = [manifest.document(minimal), self._site(), _instructions(DOCKERFILES / "base.Dockerfile")]
        digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
        name = f"reef-base:{root.suite}-{root.build}-{digest}{self.fresh}"
        if daemon.has_image(name):
            self._warn_if_aged(name, daemon)
        else:
            with self.context.workspace.scratch_folder("base") as scratch:
                self._tar(root.suite, root.build, scratch / "base.tar")
                call = BuildxBuild(
                    DOCKERFILES / "base.Dockerfile", scratch, root.build, tag=name, kind="base", owner=self._owner()
                )
                self._build(call, f"load base image {name}", f"roots/base-{root.suite}-{root.build}", node)
        return name

    def _owner(self) -> str | None:
        """Return the project that owns the images: None for roots, which all share, unless they are fresh."""
        return owner(self.context.workspace) if self.fresh else None

    def _warn_if_aged(self, name: str, daemon: Daemon) -> None:
        manifest.warn_if_aged(
            f"the image {name}", daemon.made_at(name), "clean --what images --what roots", self.context.log
        )

    def _tar(self, suite: str, architecture: Architecture, tar: Path) -> None:
        """Pack a minimal root, which is made once for both engines."""
        minimal = Root(suite, architecture, architecture, ())
        rootfs, _ = bootstrap.make(minimal, self.context)
        words = ["tar", "--create", "--numeric-owner", f"--file={tar}", f"--directory={rootfs}", "."]
        process.run([*namespaces.prefix(network=False), *words])

    def _build(self, call: BuildxBuild, title: str, log_name: str, node: Node) -> None:
        log_file = self.context.workspace.log_file(log_name)
        with self.context.log.step(title) as step:
            client.build(call, builder=node.builder, environment=node.environment, progress=Progress(log_file, step))

    def _failed(self, root: Root, node: Node, failure: BuildFailed) -> Exception:
        return failures.general(failure, str(node), root.build) or RootError(
            f"the root {manifest.key(root)} cannot be made in {node}",
            f"{excerpt_of(failure.tail)}\n{failure.words}\nfull log: {self.context.workspace.logs / 'roots'}",
            f"check that {self._site() or 'the mirror'} is reachable from containers (buildx: {{network: host}} gives "
            "them the machine's own network) and has the suite; debian_mirror: in reef.yml names another",
        )


def pins(folder: Path) -> dict[str, str]:
    """Return the pinned digests of base images by name; raises InputError for a file that is not such a list."""
    path = folder / PINS
    try:
        found = yaml.safe_load(path.read_text()) if path.exists() else {}
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML", str(error), "remove it; ./inv pin writes it again") from error
    if not isinstance(found, dict) or not all(str(digest).startswith("sha256:") for digest in found.values()):
        raise InputError(f"{path} does not hold digests by image", fix="remove it; ./inv pin writes it again")
    return {str(name): str(digest) for name, digest in found.items()}


def secrets(context: Context) -> dict[str, str]:
    """Return the secret of builds with a network: apt's access to mirrors, as apt-access.sh unpacks it."""
    setting = context.settings.debian_mirror
    if not setting and not _apt_here():
        return {}
    warn_of_security(context.log)
    content = access(debian_mirror.chosen(setting)).content("/reef/apt")
    lines = [f"{name} {base64.b64encode(data).decode()}\n" for name, data in content.items()]
    return {"reef-apt": "".join(lines)}


def check_mirror(context: Context) -> None:
    """Raise HostError if containers cannot reach the mirror, or apt's proxy for it, because only this machine can."""
    setting = context.settings.debian_mirror
    if not setting and not _apt_here():
        return
    mirror = debian_mirror.chosen(setting)
    if mirror.folder:
        raise _unseen(mirror)
    places = [mirror.url, *access(mirror).proxies.values()]
    local = [place for place in places if urlsplit(place).hostname in LOOPBACK]
    if local and context.settings.buildx.network != "host":
        raise HostError(
            f"containers cannot reach {debian_mirror.without_login(local[0])} on this machine's loopback interface",
            fix="give them this machine's network: buildx: {network: host} in reef.yml; or name it by another address",
        )


def _unseen(mirror: Mirror) -> HostError:
    return HostError(
        f"containers cannot see the Debian mirror {mirror.url}, a folder of this machine",
        fix="build with --engine chroot, or serve the folder over HTTP: debian_mirror: in reef.yml",
    )


def proxies(context: Context) -> tuple[str, ...]:
    """Return the names of the environment variables with proxies, which BuildKit gives to a build's commands.

    A container cannot reach a proxy on the loopback interface of this machine, unless it has the machine's network.
    """
    found = tuple(name for name in VARIABLES if os.environ.get(name))
    hosts = {urlsplit(os.environ[name]).hostname for name in found if "no_" not in name.lower()}
    return () if hosts & LOOPBACK and context.settings.buildx.network != "host" else found


def _dockerfile(root: Root) -> Path:
    return DOCKERFILES / ("target-root.Dockerfile" if root.host == root.build else "cross-root.Dockerfile")


def _instructions(path: Path) -> list[str]:
    """Return the lines of a file without comments, which change no image."""
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def _apt_here() -> bool:
    """Return whether this machine has apt; Docker also runs on machines without it."""
    return process.find("apt-get") is not None
