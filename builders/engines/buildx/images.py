"""Base images and roots: from a registry, by digest where pinned, or from mmdebstrap; the same packages either way."""

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from builders.engines.buildx.builder import client, failures
from builders.engines.buildx.builder.client import Build, BuildFailed
from builders.engines.buildx.builder.nodes import Node
from builders.engines.buildx.builder.progress import Progress
from builders.engines.buildx.docker.daemon import Daemon, owner
from builders.engines.roots import bootstrap, manifest, namespaces
from builders.errors import InputError, RootError
from builders.host import debian_mirror, process
from builders.host.files import write_whole
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import Architecture
from builders.model.jobs import Root, StepRecord
from builders.model.settings import Settings

DOCKERFILES = Path(__file__).parents[3] / "dockerfiles"
PINS = "base-images.yml"
"""The file beside reef.yml that holds the digests of base images."""


@dataclass(frozen=True)
class Images:
    """What it takes to make images for roots: the project's settings, and ``folder``, where reef.yml lies.

    ``fresh`` is empty, or a word that names roots which are made anew for one job, from no cache.
    """

    workspace: Workspace
    settings: Settings
    folder: Path
    log: Log
    fresh: str = ""

    def root(self, root: Root, node: Node, daemon: Daemon) -> tuple[str, tuple[StepRecord, ...]]:
        """Return the name of the image that holds ``root`` on the engine, made first where it is missing, and the step
        that made it."""
        if name := self.made(root, daemon):
            self._tell_age(name, daemon)
            return name, ()
        with self.workspace.locked(
            f"image-{manifest.key(root)}", what=f"the image of the root {manifest.key(root)}", say=self.log.note
        ):
            for name, base in self._choices(root).items():
                if daemon.has_image(name):
                    return name, ()
                started = time.monotonic()
                try:
                    self._make(root, node, daemon, name, base)
                    # The memory is the engine's affair: who makes an image cannot see it.
                    return name, (StepRecord("root", time.monotonic() - started, 0),)
                except BuildFailed as failure:
                    if base is None or not failures.registry_failed(failure):
                        raise self._failed(root, node, failure) from failure
                    if self.settings.buildx.base == "registry":
                        raise failures.no_registry(f"{base}\n{failure.words}") from failure
                    self._tell_fallback(base)
        raise AssertionError("each choice of a base returns or raises")

    def made(self, root: Root, daemon: Daemon) -> str | None:
        """Return the name of the image on the engine that holds ``root``, None where there is none."""
        return next((name for name in self._choices(root) if daemon.has_image(name)), None)

    def _choices(self, root: Root) -> dict[str, str | None]:
        """Return the image's name by what it may be made of: the registry's base image, or None for one of our own."""
        bases: list[str | None] = [self._reference(root.suite), None]
        bases = {"registry": bases[:1], "bootstrap": bases[1:]}.get(self.settings.buildx.base, bases)
        return {f"reef-root:{manifest.key(root)}-{self._digest(root, base)}{self.fresh}": base for base in bases}

    def stage(self, root: Root, node: Node, context: Path) -> tuple[str, dict[str, str]]:
        """Return the Dockerfile text of a root as stage ``start``, and its build arguments, for builders that share no
        images with an engine; what it reads is put into ``context``."""
        shutil.copy(DOCKERFILES / "make-root.sh", context)
        text = _dockerfile(root).read_text()
        arguments = self._arguments(root) | {"FRESH": self.fresh}
        base = self.settings.buildx.base
        if base == "bootstrap" or (base == "auto" and not self._offered(root, node)):
            self._tar(root.suite, root.build, context / "base.tar")
            text = "FROM scratch AS base\nADD base.tar /\n" + text.replace("FROM ${BASE} AS", "FROM base AS")
        else:
            arguments["BASE"] = self._reference(root.suite)
        return f"{text}\nFROM root AS start", arguments

    def _offered(self, root: Root, node: Node) -> bool:
        """Tell whether the node gets a root's base image from its registry, by a build that only asks for it."""
        base = self._reference(root.suite)
        with self.workspace.scratch_folder("base") as scratch:
            (scratch / "Dockerfile").write_text(f"FROM {base}\n")
            call = Build(scratch / "Dockerfile", scratch, root.build, kind="probe")
            progress = Progress(self.workspace.log_file(f"roots/registry-{node.name}"))
            try:
                client.build(call, builder=node.builder, environment=node.environment, progress=progress)
            except BuildFailed as failure:
                if not failures.registry_failed(failure):
                    raise self._failed(root, node, failure) from failure
                self._tell_fallback(base)
                return False
        return True

    def _tell_fallback(self, base: str) -> None:
        self.log.note(f"{base} cannot be had from its registry: making the base with mmdebstrap instead")

    def reference(self, suite: str) -> str:
        """Return the registry's base image for a suite, without a digest."""
        try:
            return self.settings.buildx.image.format(suite=suite)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise InputError(
                f"buildx: image: is not a pattern: {self.settings.buildx.image}",
                str(error),
                "only {suite} stands in it",
            ) from error

    def pin(self, suites: list[str], node: Node) -> dict[str, str]:
        """Ask the registry for each suite's base image, note the digests in `PINS` and return them by image."""
        found = {}
        for name in map(self.reference, suites):
            words = ["imagetools", "inspect", f"--builder={node.builder}", name, "--format={{json .Manifest}}"]
            try:
                found[name] = str(json.loads(client.call(words, node.environment))["digest"])
            except process.ProgramFailed as error:
                raise failures.no_registry(f"{name}\n{error.detail}") from error
        text = "# Digests of base images, refreshed by: ./inv pin\n" + yaml.safe_dump(pins(self.folder) | found)
        write_whole(self.folder / PINS, text)
        return found

    def _reference(self, suite: str) -> str:
        name = self.reference(suite)
        digest = pins(self.folder).get(name)
        return f"{name}@{digest}" if digest else name

    def _digest(self, root: Root, base: str | None) -> str:
        document = [base, self._site(), _dockerfile(root).read_text(), (DOCKERFILES / "make-root.sh").read_text()]
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:12]

    def _site(self) -> str:
        """Return the mirror for roots; empty where this machine's apt names none: then the base image's own."""
        if self.settings.debian_mirror or not _apt_here():
            return self.settings.debian_mirror or ""
        return debian_mirror.host_mirror().url

    def _arguments(self, root: Root) -> dict[str, str]:
        arguments = {
            "SUITE": root.suite,
            "MIRROR": self._site(),
            "APT_OPTIONS": "\n".join(_apt_options()[0]),
            "PACKAGES": " ".join(root.packages),
        }
        if root.host == root.build:
            return arguments | root.build.emulation
        return arguments | {"HOST": root.host.debian}

    def _make(self, root: Root, node: Node, daemon: Daemon, name: str, base: str | None) -> None:
        own_base = None if base else self._bootstrapped(root, node, daemon)
        network = self.settings.buildx.network
        try:
            self._build(
            Build(
                _dockerfile(root), DOCKERFILES, root.build, target="root", tag=name, kind="root",
                network=network if network != "default" else None,
                arguments=self._arguments(root) | {"BASE": base or own_base or ""},
                # There is no such image: what a builder still has of one was removed to be made anew.
                no_cache=True, owner=self._owner(), secrets=secrets(),
            ),
            f"make root {root.suite}, runs {root.build}" + ("" if root.build == root.host else f", for {root.host}"),
            f"roots/{name.partition(':')[2]}", node,
          )  # fmt: skip
        finally:
            if own_base and self.fresh:
                daemon.remove_image(own_base)

    def _bootstrapped(self, root: Root, node: Node, daemon: Daemon) -> str:
        """Return the name of the base image that mmdebstrap made, loaded first where it is missing.

        Its name tells what it was made of and from which mirror. A fresh root has one of its own: an image that is
        there already could have given both builds that are compared the same fault.
        """
        minimal = Root(root.suite, root.build, root.build, ())
        made_of = [manifest.document(minimal), self._site(), (DOCKERFILES / "base.Dockerfile").read_text()]
        digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
        name = f"reef-base:{root.suite}-{root.build}-{digest}{self.fresh}"
        if daemon.has_image(name):
            self._tell_age(name, daemon)
        else:
            with self.workspace.scratch_folder("base") as scratch:
                self._tar(root.suite, root.build, scratch / "base.tar")
                call = Build(
                    DOCKERFILES / "base.Dockerfile", scratch, root.build, tag=name, kind="base", owner=self._owner()
                )
                self._build(call, f"load base image {name}", f"roots/base-{root.suite}-{root.build}", node)
        return name

    def _owner(self) -> str | None:
        """Return whose the images are that are made: only a fresh root is one project's."""
        return owner(self.workspace) if self.fresh else None

    def _tell_age(self, name: str, daemon: Daemon) -> None:
        manifest.warn_if_aged(f"the image {name}", daemon.made_at(name), "clean --what images --what roots", self.log)

    def _tar(self, suite: str, architecture: Architecture, tar: Path) -> None:
        """Pack a minimal root of the chroot engine's: made once, and for both engines the same."""
        minimal = Root(suite, architecture, architecture, ())
        rootfs, _ = bootstrap.make(minimal, self.workspace, self.settings, self.log)
        words = ["tar", "--create", "--numeric-owner", f"--file={tar}", f"--directory={rootfs}", "."]
        process.run([*namespaces.prefix(network=False), *words])

    def _build(self, call: Build, title: str, log_name: str, node: Node) -> None:
        log_file = self.workspace.log_file(log_name)
        with self.log.step(title) as step:
            client.build(call, builder=node.builder, environment=node.environment, progress=Progress(log_file, step))

    def _failed(self, root: Root, node: Node, failure: BuildFailed) -> Exception:
        return failures.general(failure, str(node), root.build) or RootError(
            f"the root {manifest.key(root)} cannot be made in {node}",
            f"{failure.tail}\n{failure.words}\nfull log: {self.workspace.logs / 'roots'}",
            f"see whether {self._site() or 'the mirror'} is reachable from containers (buildx: {{network: host}} lets "
            "them use the machine's own network) and has the suite; debian_mirror: in reef.yml names another",
        )


def pins(folder: Path) -> dict[str, str]:
    """Return the pinned digests of base images by name; raises InputError for a file that is not such a list."""
    path = folder / PINS
    try:
        found = yaml.safe_load(path.read_text()) if path.exists() else {}
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML", str(error), "./inv pin writes it anew once it is gone") from error
    if not isinstance(found, dict) or not all(str(digest).startswith("sha256:") for digest in found.values()):
        raise InputError(f"{path} does not hold digests by image", fix="./inv pin writes it anew once it is gone")
    return {str(name): str(digest) for name, digest in found.items()}


def secrets() -> dict[str, str]:
    """Return what `Build.secrets` must give to a Dockerfile of a root: lines of apt.conf that hold a password."""
    lines = _apt_options()[1]
    return {"reef-apt": "\n".join([*lines, ""])} if lines else {}


def _apt_options() -> tuple[list[str], list[str]]:
    return debian_mirror.open_and_secret(debian_mirror.apt_options() if _apt_here() else ())


def _dockerfile(root: Root) -> Path:
    return DOCKERFILES / ("target-root.Dockerfile" if root.host == root.build else "cross-root.Dockerfile")


def _apt_here() -> bool:
    """Tell whether this machine has apt: Docker runs on others too."""
    return process.find("apt-get") is not None
