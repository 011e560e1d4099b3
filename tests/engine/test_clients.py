"""Real apt of every board release, in clean roots, on what is published: today and on later days."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from builders.apt import api as apt
from builders.host.log import Log
from builders.model.deb_file import read_deb
from builders.pipeline.project import Project
from tests.support.place import Place, gone
from tests.support.repository import make_deb


@pytest.fixture
def published(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("REEF_GNUPGHOME", str(place.gnupg))
    project = Project.open(place.folder, Log(quiet=True))
    apt.change(project, {"trixie": [read_deb(make_deb(place.folder))]})
    return place


def test_the_apt_of_every_release(published: Place) -> None:
    """Today and on every day before the key's end each accepts; after it gpgv refuses, and sqv keeps what it has."""
    output = published.run("verify-apt", "--roots")
    rows = [line.split() for line in output.splitlines() if line.split()[:1] == ["apt"]]
    clients: dict[str, list[tuple[str, str, str]]] = {}
    for _, version, verifier, keyring, day, verdict in rows:
        clients.setdefault(f"{version.rsplit('.', 1)[0]} {verifier}", []).append((keyring, day, verdict))
    assert set(clients) >= {"2.2 (gpgv)", "2.6 (gpgv)", "3.0 (sqv)"}, output
    for client, trials in clients.items():
        today = min(day for _, day, _ in trials)
        assert ("download", today, "accepts") in trials
        days = dict((day, verdict) for keyring, day, verdict in trials if keyring == "today")
        *before, after = sorted(days)
        assert len(before) == 3
        assert {days[day] for day in before} == {"accepts"}
        assert days[after] == ("refuses" if "gpgv" in client else "accepts")
    assert "locked out from" in output
    assert gone(published) == []


def test_publishing_asks_the_apt_of_releases_that_are_named(published: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a candidate, whose pool is partly links to what is published already."""
    with (published.folder / "reef.yml").open("a") as file:
        file.write("repository: {clients: [bookworm, trixie]}\nengine: chroot\n")
    said = io.StringIO()
    project = Project.open(published.folder, Log(live=False, console=Console(file=said, width=400, highlight=False)))
    apt.change(project, {"trixie": [read_deb(make_deb(published.folder, "reef-more"))]})
    (line,) = (line for line in said.getvalue().splitlines() if line.startswith("trixie: tried with "))
    assert set(re.findall(r"apt (\d+\.\d+)\S* (\(\w+\))", line)) >= {("2.6", "(gpgv)"), ("3.0", "(sqv)")}, line
    assert gone(published) == []


def test_the_apt_next_to_buster_s_takes_a_suite_for_buster(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No root of buster can be made; bullseye's apt 2.2 and gpgv 2.2 are the nearest that can be asked."""
    monkeypatch.setenv("REEF_GNUPGHOME", str(place.gnupg))
    with (place.folder / "reef.yml").open("a") as file:
        file.write("repository: {clients: [bullseye]}\nengine: chroot\n")
    said = io.StringIO()
    project = Project.open(place.folder, Log(live=False, console=Console(file=said, width=400, highlight=False)))
    apt.change(project, {"buster": [read_deb(make_deb(place.folder))]})
    (line,) = (line for line in said.getvalue().splitlines() if line.startswith("buster: tried with "))
    assert ("2.2", "(gpgv)") in set(re.findall(r"apt (\d+\.\d+)\S* (\(\w+\))", line)), line
    assert gone(place) == []


def test_a_release_that_the_mirror_lacks_stops_no_other(published: Place, tmp_path: Path) -> None:
    (published.artifacts / "cache").unlink()  # empty caches: every root would have to be made
    with (published.folder / "reef.yml").open("a") as file:
        file.write(f"debian_mirror: {tmp_path.as_uri()}\n")
    output = published.run("verify-apt", "--roots", status=6)
    assert "the apt of bullseye was not tried" in output
    assert "debian_mirror: in reef.yml names another" in output
    assert [line.split()[5] for line in output.splitlines() if line.split()[:1] == ["apt"]][:2] == [
        "accepts",
        "accepts",
    ]
    assert gone(published) == []
