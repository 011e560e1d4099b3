"""Calls of buildx."""

import functools
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from builders.engines.buildx.builder.progress import Progress
from builders.engines.buildx.docker import endpoint
from builders.engines.buildx.docker.daemon import LABEL, OWNER
from builders.errors import HostError
from builders.host import process
from builders.model.arch import Architecture

OLDEST = (0, 13)
"""The first buildx with ``--progress rawjson``; Debian 13 has it."""
INSTALL = "on Debian 13: sudo apt-get install docker-buildx; elsewhere Docker's package docker-buildx-plugin"


@dataclass(frozen=True)
class BuildxBuild:
    """One call of ``buildx build``: ``output`` is a folder for the result, ``tag`` the name of an image of it.

    ``owner`` is the project that owns the image (`daemon.owner`), None if all projects share it. ``secrets`` are texts
    by name that instructions may mount; they appear neither in the call's arguments nor in the image. ``sockets`` are
    paths by name that instructions may mount as an ssh-agent's socket. ``inherited`` are environment variables of this
    process that become build arguments.
    """

    dockerfile: Path
    context: Path
    platform: Architecture
    target: str | None = None
    tag: str | None = None
    kind: str = "job"
    output: Path | None = None
    network: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    inherited: Sequence[str] = ()
    no_cache: bool = False
    owner: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    sockets: Mapping[str, Path] = field(default_factory=dict)


class BuildFailed(Exception):
    """buildx failed; ``words`` are its messages, ``tail`` the last output of the build's instructions."""

    def __init__(self, words: str, tail: str) -> None:
        super().__init__(words)
        self.words = words
        self.tail = tail


def program() -> str:
    """Return the path of buildx; raises HostError if it is missing or too old."""
    found = endpoint.buildx()
    if found is None:
        raise HostError("buildx is not installed, needed by --engine buildx", fix=INSTALL)
    version = _version(found)
    if version < OLDEST:
        raise HostError(
            f"buildx is too old: {'.'.join(map(str, version))}",
            f"{found}; needed: {'.'.join(map(str, OLDEST))} or later",
            INSTALL,
        )
    return found


@functools.cache
def _version(path: str) -> tuple[int, ...]:
    try:
        output = process.capture([path, "version"], timeout_s=20)
    except process.ProgramFailed as error:
        raise HostError(f"buildx does not run: {path}", error.detail, INSTALL) from error
    numbers = re.search(r"\bv?(\d+)\.(\d+)(?:\.(\d+))?", output)
    if numbers is None:
        raise HostError(f"buildx prints no version: {path}", output, INSTALL)
    return tuple(int(number) for number in numbers.groups(default="0"))


def build(
    call: BuildxBuild,
    *,
    builder: str,
    environment: Mapping[str, str],
    progress: Progress,
    timeout_s: float | None = None,
) -> None:
    """Run one build on the buildx builder ``builder`` to its end; raises BuildFailed."""
    words = [program(), "build", f"--builder={builder}", "--progress=rawjson", f"--platform={call.platform.oci}"]
    words += [f"--file={call.dockerfile}", f"--label={LABEL}={call.kind}"]
    words += [f"--label={OWNER}={call.owner}"] if call.owner else []
    words += [f"--{name}={value}" for name, value in (("target", call.target), ("network", call.network)) if value]
    words += ["--no-cache"] if call.no_cache else []
    words += ["--allow=network.host"] if call.network == "host" else []
    words += [f"--build-arg={name}={value}" for name, value in call.arguments.items()]
    words += [f"--build-arg={name}" for name in call.inherited]
    words += [f"--ssh={name}={path}" for name, path in call.sockets.items()]
    words += [f"--tag={call.tag}", "--load"] if call.tag else []
    # A CSV field, so that a path may hold a comma.
    words += ["--output=" + _csv("type=local", f"dest={call.output}")] if call.output else []
    words += ["--output=type=cacheonly"] if not call.tag and not call.output else []
    try:
        with _secret_files(call.secrets) as secrets:
            process.run(
                [*words, *secrets, str(call.context)],
                # With attestations the result would be an index instead of an image.
                extra_environment={"BUILDX_NO_DEFAULT_ATTESTATIONS": "1", **environment},
                on_line=progress.take,
                timeout_s=timeout_s,
            )
    except process.ProgramFailed as error:
        raise BuildFailed("\n".join(progress.errors) or error.what, "\n".join(progress.tail)) from error


@contextmanager
def _secret_files(secrets: Mapping[str, str]) -> Iterator[list[str]]:
    """Give buildx's options for ``secrets``, in files that exist for the time of the call."""
    with tempfile.TemporaryDirectory(prefix="reef-") as folder:  # only this user may read it
        words = []
        for name, text in secrets.items():
            path = Path(folder) / name
            path.touch(mode=0o600)
            path.write_text(text)
            words.append("--secret=" + _csv(f"id={name}", f"src={path}"))
        yield words


def call(words: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a short command of buildx and return its output; raises HostError if buildx is not usable."""
    return process.capture([program(), *words], extra_environment=environment, timeout_s=120)


def _csv(*fields: str) -> str:
    return ",".join('"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text for text in fields)
