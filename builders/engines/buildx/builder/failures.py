"""Turns the messages of a failed build into errors with advice."""

import re

from builders.engines.buildx.builder.client import BuildFailed
from builders.errors import DiskError, HostError, ReefError, RootError
from builders.model.arch import Architecture

NO_SPACE = re.compile(r"no space left on device", re.IGNORECASE)
FOREIGN = re.compile(
    r"exec format error|runtime execution on platform \S+ not supported|no match for platform|"
    r"does not (?:support|provide) (?:the )?(?:specified )?platform|no (?:builder|node)s? .*platform",
    re.IGNORECASE,
)
GONE = re.compile(
    r"cannot connect to the docker daemon|error during connect|connection refused|connection reset|"
    r"error reading from server|unexpected eof|code = unavailable|transport is closing|broken pipe|"
    r"no active session|no such host|i/o timeout|context deadline exceeded|use of closed network connection|"
    r"no builder|failed to find driver|permission denied while trying to connect",
    re.IGNORECASE,
)
NO_SOCKETS = re.compile(
    r"exec\.mount\.ssh|\bssh forward|no ssh key|unknown flag: --ssh|unsupported mount type", re.IGNORECASE
)
REGISTRY = re.compile(
    r"failed to (?:resolve source metadata|load metadata|do request|authorize|fetch|pull|copy)|"
    r"pull access denied|manifest unknown|: not found$|toomanyrequests|unexpected status",
    re.IGNORECASE | re.MULTILINE,
)


def registry_failed(failure: BuildFailed) -> bool:
    """Return whether a build failed because its base image could not be fetched."""
    return bool(REGISTRY.search(failure.words)) and not failure.tail and not NO_SPACE.search(failure.words)


def forwards_no_sockets(failure: BuildFailed) -> bool:
    """Return whether a build failed because its builder knows no ``--mount=type=ssh``, or its buildx no ``--ssh``."""
    return bool(NO_SOCKETS.search(failure.words)) and not failure.tail


def general(failure: BuildFailed, node: str, architecture: Architecture) -> ReefError | None:
    """Return the error of a failure that can happen to any build on ``node``, None if the build itself failed."""
    words = f"{failure.tail}\n{failure.words}".strip()
    if NO_SPACE.search(words):
        return full_disk(node, failure.words)
    if FOREIGN.search(words):
        return foreign(node, architecture, words)
    if registry_failed(failure):
        return no_registry(failure.words)
    if GONE.search(failure.words):
        return HostError(
            f"{node} no longer answers",
            failure.words,
            "check that it runs (its log says why it ended), then run the same command again",
        )
    return None


def full_disk(node: str, words: str) -> DiskError:
    """Return the error of a full disk on a builder."""
    return DiskError(
        f"no space left on the disk of {node}",
        words,
        "free some space (docker system df shows its use; docker builder prune and ./inv clean --what images free it), "
        "then run the same command again",
    )


def no_registry(words: str) -> RootError:
    """Return the error of a base image that cannot be fetched."""
    return RootError(
        "the base image cannot be fetched from its registry",
        words,
        "check that the registry is reachable, or make the base on this machine: --base bootstrap, or "
        "buildx: {base: bootstrap} in reef.yml",
    )


def foreign(node: str, architecture: Architecture, words: str) -> HostError:
    """Return the error of a builder that does not run a CPU's programs."""
    return HostError(
        f"{node} does not run {architecture} programs",
        words,
        "register QEMU with that machine's kernel once: run sudo ./inv doctor --fix on it, or install its packages "
        "qemu-user-static and binfmt-support; or name a node of that CPU under buildx: in reef.yml",
    )
