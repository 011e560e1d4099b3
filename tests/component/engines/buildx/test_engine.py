"""What the buildx engine decides before it asks any engine: which, where, in which words; and how it reads answers."""

import base64
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from builders.engines.buildx.builder import client
from builders.engines.buildx.builder.client import BuildxBuild
from builders.engines.buildx.builder.progress import Progress
from builders.engines.buildx.docker import daemon, endpoint
from builders.engines.buildx.dockerfile import WITH_PROXIES
from builders.engines.buildx.images import DOCKERFILES, Images, check_mirror, proxies, secrets
from builders.engines.roots import bootstrap
from builders.errors import HostError
from builders.host import process
from builders.host.apt_access import VARIABLES, AptAccess
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64, ARM64
from builders.model.context import Context
from builders.model.jobs import Root
from builders.model.settings import Settings
from tests.support.docker import no_docker, plugin
from tests.support.host_apt import HostApt

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
SETTING = "http://me:pw@mirror.example/debian"


def test_no_password_is_in_an_argument(alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setenv("https_proxy", "http://me:hush@proxy:3128")
    client._version.cache_clear()
    with HostApt(tmp_path, monkeypatch) as apt:
        apt.config.write_text(apt.config.read_text() + f'Acquire::Retries "3"; {SECRET}\n')
        settings = Settings(debian_mirror=SETTING)
        made = Images(Context(tmp_path, settings, Workspace(tmp_path / "a"), AMD64, Log(quiet=True)))
        arguments = made._arguments(ROOT)
        call = BuildxBuild(
            tmp_path / "D", tmp_path, AMD64, arguments=arguments, secrets=secrets(made.context),
            inherited=proxies(made.context),
        )  # fmt: skip
        client.build(call, builder="b", environment={}, progress=Progress(tmp_path / "log"))
    words, mode = note.read_text().splitlines()
    assert arguments["MIRROR"] == "http://mirror.example/debian"
    assert "--build-arg=https_proxy" in words.split()
    assert not {"hush", "pw"} & set(re.findall(r"\w+", words))
    assert mode == "600"
    given = {name: base64.b64decode(data).decode() for name, data in map(str.split, _told(note).splitlines())}
    assert {SECRET, 'Acquire::Retries "3";'} <= set(given["apt.conf"].splitlines())
    assert "machine http://mirror.example/debian login me password pw\n" in given["auth.conf"]
    assert not Path(words.partition("src=")[2].split()[0]).exists()
    for name in ("cross", "target"):
        assert "type=secret,id=reef-apt," in (DOCKERFILES / f"{name}-root.Dockerfile").read_text()


def _told(note: Path) -> str:
    return Path(f"{note}.told").read_text()


def test_a_container_unpacks_apts_access(tmp_path: Path) -> None:
    content = {"apt.conf": b'A "caf\xe9";\n', "0.pem": bytes(range(256)) * 2000}
    lines = [f"{name} {base64.b64encode(data).decode()}\n" for name, data in content.items()]
    (tmp_path / "apt-files").write_text("".join(lines))
    (tmp_path / "apt").mkdir()
    script = (DOCKERFILES / "apt-access.sh").read_text().replace("/reef/", f"{tmp_path}/")
    for _ in range(2):  # without the files too
        subprocess.run(["sh", "-euc", script], check=True)
        (tmp_path / "apt-files").write_text("")
    assert {path.name: path.read_bytes() for path in (tmp_path / "apt").iterdir()} == content


@pytest.mark.parametrize(
    ("proxy", "network", "given"),
    [
        ("http://proxy:3128", "default", ("http_proxy", "no_proxy")),
        ("http://127.0.0.1:3128", "default", ()),
        ("http://127.0.0.1:3128", "host", ("http_proxy", "no_proxy")),
    ],
)
def test_proxies_that_containers_can_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, network: str, given: tuple[str, ...]
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "localhost")
    settings = Settings.model_validate({"buildx": {"network": network}})
    assert proxies(Context(tmp_path, settings, Workspace(tmp_path), AMD64, Log(quiet=True))) == given


PROXY = "http://me:pw@127.0.0.1:3142"
AT_PROXY = "cannot reach http://127.0.0.1:3142 on"


@pytest.mark.parametrize(
    ("setting", "proxy", "what"),
    [
        ("http://mirror.example/debian", "", ""),
        ("http://localhost:3142/debian", "", "cannot reach http://localhost:3142/debian on"),
        ("http://mirror.example/debian", PROXY, AT_PROXY),
        ("file:/srv/debian", "", "cannot see the Debian mirror file:/srv/debian"),
    ],
)
def test_a_mirror_that_containers_cannot_reach_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, proxy: str, what: str
) -> None:
    monkeypatch.setattr(process, "find", lambda name: f"/usr/bin/{name}")
    settings = Settings(debian_mirror=setting)
    context = Context(tmp_path, settings, Workspace(tmp_path), AMD64, Log(quiet=True))
    with_network = Settings.model_validate({"debian_mirror": setting, "buildx": {"network": "host"}})
    with HostApt(tmp_path, monkeypatch) as apt:
        apt.setting(f'Acquire::http::Proxy "{proxy}";')
        if what:
            with pytest.raises(HostError, match=f"containers {re.escape(what)}") as caught:
                check_mirror(context)
            assert caught.value.fix
        if not setting.startswith("file"):
            check_mirror(replace(context, settings=with_network))


def test_a_fetch_keeps_proxies_and_nothing_else_of_its_surroundings() -> None:
    surroundings = {"http_proxy": "http://p:1", "NO_PROXY": "a b", "OTHER": "x", "PATH": "/usr/bin:/bin"}
    words = ["/bin/sh", "-c", WITH_PROXIES, "sh", "--chdir=/", "MINE=1", "/usr/bin/env"]
    output = subprocess.run(words, env=surroundings, capture_output=True, text=True, check=True).stdout
    assert set(output.splitlines()) == {"http_proxy=http://p:1", "NO_PROXY=a b", "MINE=1"}


def test_a_chroots_apt_reads_its_access_while_the_root_is_made(tmp_path: Path) -> None:
    access = AptAccess((SECRET,), {"Acquire::https::CAInfo": b"pem"}, "machine h login me password pw\n")
    words = bootstrap._while_made(access, tmp_path / "apt")
    assert not {"hush", "pw"} & set(re.findall(r"\w+", " ".join(words)))
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "apt").iterdir()} == {0o600}
    conf = tmp_path / "root" / "etc" / "apt" / "apt.conf.d"
    conf.mkdir(parents=True)
    (tmp_path / "root" / "etc" / "resolv.conf").touch()
    expected = [
        SECRET, f'Acquire::https::CAInfo "{tmp_path}/apt/0.pem";', f'Dir::Etc::netrc "{tmp_path}/apt/auth.conf";',
        'APT::Sandbox::User "root";',
    ]  # fmt: skip
    for kind, left in (("--setup-hook=", [expected]), ("--customize-hook=", [])):
        [hook] = [word.removeprefix(kind) for word in words if word.startswith(kind)]
        subprocess.run(["sh", "-euc", hook, "sh", str(tmp_path / "root")], check=True)
        assert [path.read_text().splitlines() for path in conf.iterdir()] == left
    assert os.listdir(tmp_path / "root" / "etc") == ["apt"]


def test_a_root_of_an_earlier_version_loses_its_access(tmp_path: Path) -> None:
    settings, sources = tmp_path / "etc/apt/apt.conf.d/99mmdebstrap", tmp_path / "etc/apt/sources.list"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'Acquire::http::Proxy-Auto-Detect "/gone";\n{SECRET}\nAcquire::Languages "none";\n')
    sources.write_text("deb http://me:pw@h/debian trixie main\n")
    bootstrap._without_access(tmp_path)
    assert settings.read_text() == 'Acquire::Languages "none";\nAPT::Install-Recommends "false";\n'
    assert sources.read_text() == "deb http://h/debian trixie main\n"
    before = settings.stat().st_ino
    bootstrap._without_access(tmp_path)
    assert settings.stat().st_ino == before
