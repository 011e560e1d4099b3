"""Newer versions of bundled packages, as real apt sees them in a small mirror; and every way to get no answer."""

import os
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders.apt.keys.signing import SigningKey, signing_key
from builders.host import debian_mirror, isolated_apt, process
from builders.host.apt_access import AptAccess
from builders.host.debian_mirror import Mirror
from builders.host.log import Log
from builders.maintenance import debian_index
from builders.maintenance.debian_index import Comparison
from builders.model.arch import ARM64
from builders.model.settings import Settings
from builders.pipeline.project import Project
from tests.component.apt.conftest import short_folder
from tests.support.repository import DATE, Publisher

QUIET = Log(quiet=True)


@pytest.fixture(scope="module")
def key() -> Iterator[SigningKey]:
    folder = short_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REEF_GNUPGHOME", str(folder / "home"))
        made = signing_key(Settings(), QUIET)
    yield made
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's apt has no proxy, no settings and no mirror for security updates."""
    monkeypatch.setattr(isolated_apt, "access", lambda _: AptAccess())
    monkeypatch.setattr(debian_mirror, "security_mirror", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def mirror(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """A mirror of trixie with two packages."""
    made = Publisher(tmp_path / "mirror", key, QUIET)
    made.publish(made.deb("libdemo", "1.9-1"), made.deb("demo-data", "1:2-1", "all"))
    monkeypatch.setattr(debian_mirror, "KEYRING", str(made.keyring))
    return made


@pytest.fixture
def project(tmp_path: Path, mirror: Publisher) -> Project:
    settings = Settings(debian_mirror=mirror.repository.as_uri())
    return replace(Project.open(tmp_path, QUIET, without_recipes=True), settings=settings)


def compare(project: Project, *bundled: str) -> Comparison:
    """Return the comparison of ``bundled`` packages, written NAME=VERSION."""
    path = project.folder / "bundled.tsv"
    lines = [word.replace("=", "\t") + "\tsource\tarm64\n" for word in bundled or ("libdemo=1.9-1", "demo-data=1:2-1")]
    path.write_text("".join(lines))
    return debian_index.compare(project, path, "trixie", ARM64)


def report(project: Project, *bundled: str) -> tuple[str, list[str]]:
    found = compare(project, *bundled)
    return found.sentence, list(found.newer)


def file_of(project: Project, name: str) -> Path:
    return project.workspace.cache.mounts / "debian-index" / "trixie-arm64" / name


def aged(project: Project, name: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(file_of(project, name), (then, then))


def test_current_packages(project: Project) -> None:
    assert compare(project) == Comparison("2 bundled Debian packages are current")


def test_a_newer_bundle_is_current(project: Project) -> None:
    """As after a publication that the mirror does not have yet. A tilde sorts below, 10 above 9: dpkg's order."""
    assert report(project, "libdemo=1.10-1", "demo-data=1:2-1")[1] == []
    assert report(project, "libdemo=1.9-1~rc1")[1] == ["libdemo 1.9-1~rc1 -> 1.9-1"]


def test_newer_packages(project: Project, mirror: Publisher) -> None:
    mirror.publish(mirror.deb("libdemo", "1.10-1"), date=DATE + 1)
    said, lines = report(project, "libdemo=1.9-1", "demo-data=2-9", "libgone=1")
    assert said == "Debian has newer versions of 3 of 3 bundled packages"
    assert lines == [
        "libdemo 1.9-1 -> 1.10-1",
        "demo-data 2-9 -> 1:2-1",
        "libgone 1 -> no longer in trixie",
    ]


def test_a_damaged_list_is_named(project: Project, mirror: Publisher) -> None:
    said = compare(project, "libdemo=1.9-1", "demo-data")  # a line of three columns
    assert said.sentence.endswith("bundled.tsv is damaged")
    assert said.newer == ()


def test_security_updates(project: Project, mirror: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_mirror, "security_mirror", lambda: Mirror(mirror.repository.as_uri()))
    mirror.publish(mirror.deb("libdemo", "1.9-1+deb13u1"), suite="trixie-security", date=DATE + 1)
    assert compare(project).newer == ("libdemo 1.9-1 -> 1.9-1+deb13u1, in trixie-security",)


def test_the_mirror_is_asked_once_a_day(project: Project, mirror: Publisher) -> None:
    assert report(project)[1] == []
    mirror.publish(mirror.deb("libdemo", "1.10-1"), date=DATE + 1)
    aged(project, "fetched", 23 * 3600)
    assert report(project)[1] == []
    aged(project, "fetched", 25 * 3600)
    assert report(project)[1] == ["libdemo 1.9-1 -> 1.10-1"]


def test_another_mirror_is_asked_at_once(project: Project, mirror: Publisher, tmp_path: Path) -> None:
    assert report(project)[1] == []
    other = Publisher(tmp_path / "other", mirror.key, QUIET)
    other.publish(other.deb("libdemo", "3"), date=DATE + 1)
    project = replace(project, settings=Settings(debian_mirror=other.repository.as_uri()))
    assert "libdemo 1.9-1 -> 3" in report(project)[1]


def test_a_mirror_that_is_away(project: Project, mirror: Publisher) -> None:
    """The reason is kept for some minutes, in which nobody waits again."""
    moved = mirror.repository.rename(mirror.folder / "moved")
    said, lines = report(project)
    assert lines == []
    assert said.startswith("it is unknown whether Debian has newer versions of its bundled packages: ")
    assert said.endswith("does not have a Release file.")
    moved.rename(mirror.repository)
    assert report(project)[0] == said
    aged(project, "failed", 601)
    assert report(project) == ("2 bundled Debian packages are current", [])


def test_a_mirror_that_fails_later(project: Project, mirror: Publisher) -> None:
    report(project)
    shutil.rmtree(mirror.repository)
    assert report(project)[0] == "2 bundled Debian packages are current", "of the same day"
    aged(project, "fetched", 25 * 3600)
    assert "it is unknown" in report(project)[0]


def test_a_mirror_that_refuses_connections(project: Project) -> None:
    """apt-get update itself only warns of it, and apt-cache then knows no package at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said, lines = report(replace(project, settings=Settings(debian_mirror=f"http://127.0.0.1:{port}/")))
    assert lines == []
    assert "it is unknown" in said
    assert "Could not connect" in said


def test_a_mirror_with_other_keys(project: Project, mirror: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_mirror, "KEYRING", "/usr/share/keyrings/debian-archive-keyring.gpg")
    assert "it is unknown" in report(project)[0]


def test_a_mirror_that_never_answers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_apt, "TIME_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:  # connections wait in its queue for ever
        settings = Settings(debian_mirror=f"http://127.0.0.1:{server.getsockname()[1]}/")
        said, _ = report(replace(project, settings=settings))
    assert said.endswith("apt-get was ended after its time limit of 1 s")


def test_a_machine_without_apt(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find", lambda _: None)
    assert report(project)[0].endswith("apt-get is not installed")


def test_a_cache_that_is_being_cleaned(project: Project) -> None:
    with project.workspace.cache.alone():
        assert "another run of Reef is at work" in report(project)[0]


def test_passwords_stay_private(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = 'Acquire::http::Proxy "http://me:secret@proxy/caf\udce9";'
    monkeypatch.setattr(isolated_apt, "access", lambda _: AptAccess((proxy,), {}, "machine h login me password hush\n"))
    given: list[Path] = []
    run = process.run

    def seen(*words: Any, **more: Any) -> Any:
        config = Path(more["extra_environment"]["APT_CONFIG"])
        assert b"secret@proxy/caf\xe9" in config.read_bytes()
        assert "hush" in (config.parent / "auth.conf").read_text()
        assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
        given.append(config)
        return run(*words, **more)

    monkeypatch.setattr(process, "run", seen)
    report(project)
    file_of(project, "auth.conf").write_text("hush")  # of an earlier version
    report(project)
    assert len(given) == 3, "apt-get update runs only once: the settings are the same"
    assert not any(config.parent.exists() for config in given)
    kept = [path.read_bytes() for path in file_of(project, "").rglob("*") if path.is_file()]
    assert not any(b"hush" in data or b"secret" in data for data in kept)
    assert stat.S_IMODE(file_of(project, "settings.sha256").stat().st_mode) == 0o600
    settings = AptAccess((proxy.replace("secret", "other"),))
    monkeypatch.setattr(isolated_apt, "access", lambda _: settings)
    monkeypatch.setattr(process, "run", run)
    aged(project, "fetched", 3600)
    report(project)
    assert time.time() - file_of(project, "fetched").stat().st_mtime < 1800, "fetched again with other settings"
