"""Guards that nothing else would miss: each of these tests fails when its one line is taken out."""

import time
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.keys import rotation
from builders.apt.keys.keyring_package import PACKAGE as KEYRING_PACKAGE
from builders.apt.keys.signing import signing_key
from builders.apt.publish.switch import make_live
from builders.apt.repository.snapshots import earlier_publication
from builders.errors import InputError, PublishError
from builders.host.log import Log
from builders.model.deb_file import read_deb
from builders.model.settings import Keep, RepositorySettings, Settings
from tests.support.repository import DATE, Publisher


@pytest.fixture(autouse=True)
def _own_key(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEF_GNUPGHOME", str(publisher.key.home))
    monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])


def phases(publisher: Publisher, suite: str = "trixie") -> dict[tuple[str, str], str]:
    result = {}
    for text in publisher.index(suite=suite).strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in text.split("\n") if line[:1] != " ")
        result[fields["Package"], fields["Version"]] = fields.get("Phased-Update-Percentage", "100")
    return result


def test_a_promotion_leaves_each_suite_its_own_keyring_package(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, now = publisher.project(), time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now - 100)  # else both are made in one second, and are the same file
        apt.change(project, {"trixie": []})
    apt.change(project, {"trixie-testing": [read_deb(publisher.deb())]})
    before = [version for name, version in phases(publisher) if name == KEYRING_PACKAGE]
    _, entries = apt.promote(project, "trixie-testing", "trixie")
    assert [entry.package for entry in entries] == ["reef-demo"]
    assert [version for name, version in phases(publisher) if name == KEYRING_PACKAGE] == before


def test_a_promotion_needs_the_debs(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    publisher.publish(publisher.deb("reef-other"), suite="trixie-testing", date=DATE + 1)
    next(publisher.repository.glob("pool/**/reef-other_*.deb")).unlink()
    with pytest.raises(PublishError, match="the pool lacks"):
        apt.promote(publisher.project(), "trixie-testing", "trixie")


def test_what_a_killed_run_left_is_no_publication(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    left = publisher.stage({"trixie": [publisher.deb(version="2")]}, DATE + 60)
    (left.path / "snapshots/trixie" / left.suites[0].stamp).rename(
        publisher.repository / "snapshots/trixie" / left.suites[0].stamp
    )
    assert [one.stamp for one in apt.snapshots(publisher.repository)] == publisher.stamps()[:1]
    with pytest.raises(PublishError, match="has no earlier publication"):
        earlier_publication(publisher.repository, "trixie", None)


def test_versions_are_counted_for_each_cpu(publisher: Publisher) -> None:
    publisher.settings = Settings(repository=RepositorySettings(keep=Keep(versions=1)))
    publisher.publish(publisher.deb(version="1"), publisher.deb(version="2", architecture="armhf"))
    assert publisher.verify().debs == 2
    publisher.publish(publisher.deb(version="3"), date=DATE + 1)
    assert {version for _, version in phases(publisher)} == {"3"}
    assert "Version: 2\n" in publisher.index("armhf")


def test_what_is_too_much_goes_with_the_next_publication_of_anything(publisher: Publisher) -> None:
    publisher.publish(publisher.deb(version="1"), publisher.deb(version="2"))
    publisher.settings = Settings(repository=RepositorySettings(keep=Keep(versions=1)))
    publisher.publish(publisher.deb("reef-other"), date=DATE + 1)
    assert set(phases(publisher)) == {("reef-demo", "2"), ("reef-other", "1.0-1")}


def test_an_extension_that_ends_too_soon_is_refused(publisher: Publisher) -> None:
    with pytest.raises(InputError, match="10 days are too few"):
        rotation.extend(Settings(), 10)


def test_another_key_signs_every_suite(publisher: Publisher, home: Path, log: Log) -> None:
    promoted = make_live(publisher.stage({"trixie": [], "bookworm": []}), publisher.repository)
    publisher.key = signing_key(Settings(), log)
    make_live(publisher.stage({"trixie": [publisher.deb()]}, DATE + 1), publisher.repository)
    assert publisher.verify("bookworm").fingerprints == (publisher.key.fingerprint,)
    assert promoted[1].key_fingerprint != publisher.key.fingerprint


def test_a_phase_is_for_the_newest_and_never_for_the_keyring(publisher: Publisher) -> None:
    project = publisher.project()
    apt.change(project, {"trixie": [read_deb(publisher.deb(version="1"))]}, phase=20)
    apt.change(project, {"trixie": [read_deb(publisher.deb(version="2"))]}, phase=30)
    found = {version: phase for (name, version), phase in phases(publisher).items() if name == "reef-demo"}
    assert found == {"1": "20", "2": "30"}
    assert {phase for (name, _), phase in phases(publisher).items() if name == KEYRING_PACKAGE} == {"100"}
    apt.phase(project, "trixie", ["reef-demo"], 60)
    found = {version: phase for (name, version), phase in phases(publisher).items() if name == "reef-demo"}
    assert found == {"1": "20", "2": "60"}
