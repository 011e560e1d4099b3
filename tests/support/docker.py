"""A machine without Docker, and a buildx that only tells its version."""

from pathlib import Path

import pytest

from builders.engines.buildx.docker import endpoint, ping
from builders.host import process


def no_docker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put Docker's configuration into ``folder``, hide the machine's buildx, and return the configuration's folder."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder / "docker"))
    monkeypatch.setattr(endpoint, "PLUGINS", ())
    monkeypatch.setattr(process, "find", lambda _: None)
    ping.answers.cache_clear()
    (folder / "docker" / "cli-plugins").mkdir(parents=True)
    return folder / "docker"


def plugin(config: Path, version: str) -> None:
    program = config / "cli-plugins" / "docker-buildx"
    program.write_text(f"#!/bin/sh\necho github.com/docker/buildx {version} 0\n")
    program.chmod(0o755)
