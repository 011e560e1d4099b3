"""What the buildx engine decides before it asks any engine: which, where, in which words; and how it reads answers."""

import subprocess
from pathlib import Path

import pytest

from builders.engines.buildx.builder import client
from builders.engines.buildx.builder.client import BuildxBuild
from builders.engines.buildx.builder.progress import Progress
from builders.engines.buildx.docker import daemon, endpoint
from builders.engines.buildx.images import DOCKERFILES, Images, secrets
from builders.engines.roots import bootstrap
from builders.errors import HostError
from builders.host import debian_mirror, process
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64, ARM64
from builders.model.context import Context
from builders.model.jobs import Root
from builders.model.settings import Settings
from tests.support.docker import no_docker, plugin

ROOT = Root("trixie", AMD64, ARM64, ())


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return no_docker(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "host", ["ssh://nobody@127.0.0.1:9", "tcp://127.0.0.1:9", "unix:///nonexistent/socket", "x://"]
)
def test_an_engine_that_does_not_answer_is_reported_however_it_is_reached(host: str) -> None:
    with pytest.raises(HostError, match="no Docker engine answers at") as caught:
        daemon.connect(endpoint.Endpoint(host), timeout_s=5)
    assert caught.value.fix


def test_no_buildx_and_one_that_is_too_old_are_reported(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostError, match="buildx is not installed"):
        client.program()
    monkeypatch.setattr(process, "find", lambda name: f"/usr/bin/{name}" if name == "setpriv" else name)
    plugin(alone, "v0.10.4")
    with pytest.raises(HostError, match=r"buildx is too old: 0\.10\.4") as caught:
        client.program()
    assert "docker-buildx" in caught.value.fix


SECRET = 'Acquire::http::Proxy "http://me:hush@proxy:3128";'


def test_a_proxys_password_stands_in_no_words(alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(alone, "v0.13.1")
    program = alone / "cli-plugins" / "docker-buildx"
    note = tmp_path / "note"
    program.write_text(
        '#!/bin/sh\n[ "$1" = version ] && { echo v0.13.1; exit; }\n'
        f'echo "$@" >{note}\n'
        "for word; do case $word in --secret=*) f=${word#*src=}; "
        f'stat -c %a "$f" >>{note}; cat "$f" >>{note}.told;; esac; done\n'
    )
    monkeypatch.setattr(process, "find", lambda name: f"/usr/bin/{name}")
    client._version.cache_clear()
    monkeypatch.setattr(debian_mirror, "apt_options", lambda: ('Acquire::Retries "3";', SECRET))
    made = Images(
        Context(tmp_path, Settings(debian_mirror="http://m"), Workspace(tmp_path / "a"), AMD64, Log(quiet=True))
    )
    arguments = made._arguments(ROOT)
    assert arguments["APT_OPTIONS"] == 'Acquire::Retries "3";'
    call = BuildxBuild(tmp_path / "D", tmp_path, AMD64, arguments=arguments, secrets=secrets())
    client.build(call, builder="b", environment={}, progress=Progress(tmp_path / "log"))
    words, mode = note.read_text().splitlines()
    assert "hush" not in words
    assert mode == "600"
    assert SECRET in Path(f"{note}.told").read_text()
    assert not Path(words.partition("src=")[2].split()[0]).exists()
    for name in ("cross", "target"):
        assert "type=secret,id=reef-apt," in (DOCKERFILES / f"{name}-root.Dockerfile").read_text()


def test_a_chroots_apt_reads_a_password_from_a_file_that_goes(tmp_path: Path) -> None:
    words = bootstrap._secret_options([SECRET], tmp_path / "secret")
    assert "hush" not in "".join(words)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    conf = tmp_path / "root" / "etc" / "apt" / "apt.conf.d"
    conf.mkdir(parents=True)
    for kind, left in (("--setup-hook=", [SECRET]), ("--customize-hook=", [])):
        [hook] = [word.removeprefix(kind) for word in words if word.startswith(kind)]
        subprocess.run(["sh", "-euc", hook, "sh", str(tmp_path / "root")], check=True)
        assert [path.read_text().strip() for path in conf.iterdir()] == left
    assert bootstrap._secret_options([], tmp_path / "none") == []
