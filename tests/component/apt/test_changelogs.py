"""Changelogs in the pool: they come with their packages, stay as long, and go with them. apt judges in test_clients."""

import gzip
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.packages import changelogs
from builders.apt.publish.switch import make_live
from builders.apt.upload import upload
from builders.apt.verify import clients
from builders.model.settings import Folder, Keep, RepositorySettings, Settings
from tests.support.killing import killed_at
from tests.support.repository import DATE, Publisher, facts_of

from .test_faults import signed_once  # noqa: F401 - a fixture

URL = "https://apt.example.org/reef"


@pytest.fixture(autouse=True)
def _own_key(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEF_GNUPGHOME", str(publisher.key.home))
    monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])
    publisher.settings = Settings(repository=RepositorySettings(url=URL))


def log(text: str) -> bytes:
    return gzip.compress(text.encode())


def found(publisher: Publisher) -> dict[str, str]:
    folder = publisher.repository / "pool"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.changelog")
            if "keyring" not in path.name}  # fmt: skip


def test_they_stay_as_long_as_a_publication_names_their_package(publisher: Publisher) -> None:
    for number in range(3):
        version = f"1.{number}"
        publisher.publish(publisher.deb(version=version, changelog=log(version)), date=DATE + number)
    place = "main/r/reef-demo/reef-demo_{}.changelog"
    publisher.settings = Settings(
        repository=RepositorySettings(url=URL, keep=Keep(versions=1, snapshots=2), generations=1)
    )
    apt.prune(publisher.project())
    assert sorted(found(publisher)) == [place.format(f"1.{number}") for number in (0, 1, 2)]
    publisher.settings = Settings(
        repository=RepositorySettings(url=URL, keep=Keep(versions=1, snapshots=1), generations=1)
    )
    _, going = apt.prune(publisher.project())
    assert "pool/" + place.format("1.0") in going.debs
    assert found(publisher) == {place.format("1.2"): "1.2"}
    publisher.verify()


def test_a_rollback_and_a_promotion_have_theirs(publisher: Publisher) -> None:
    publisher.publish(publisher.deb(changelog=log("old")))
    publisher.publish(publisher.deb(version="2", changelog=log("new")), date=DATE + 1)
    before = found(publisher)
    apt.rollback(publisher.project(), "trixie")
    apt.promote(publisher.project(), "trixie", "trixie-testing")
    assert found(publisher) == before
    assert sorted(before.values()) == ["new", "old"]


def test_those_of_what_was_published_before_follow(publisher: Publisher) -> None:
    """By an earlier Reef, or before the repository had an address. Nothing names them until then."""
    publisher.settings = Settings()
    deb = publisher.deb(changelog=log("first"))
    publisher.publish(deb)
    assert found(publisher) == {}
    assert "Changelogs" not in (publisher.repository / "dists/trixie/Release").read_text()
    publisher.settings = Settings(repository=RepositorySettings(url=URL))
    publisher.publish(deb, date=DATE + 1)
    assert found(publisher) == {"main/r/reef-demo/reef-demo_1.0-1.changelog": "first"}
    line = f"\nChangelogs: {URL}/pool/@CHANGEPATH@.changelog\n"
    assert line in (publisher.repository / "dists/trixie/Release").read_text()
    facts = facts_of(publisher.repository)
    assert not publisher.publish(deb, date=DATE + 2).changed
    assert facts_of(publisher.repository) == facts


def test_only_what_arrives_is_read(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.publish(publisher.deb(), publisher.deb("reef-b", changelog=log("b")))
    read: list[Path] = []

    def counted(deb: Path, _package: str) -> bytes:
        read.append(deb)
        return b""

    monkeypatch.setattr(changelogs, "packed_in", counted)
    publisher.publish(publisher.deb("reef-c", changelog=log("c")), publisher.deb("reef-d"), date=DATE + 1)
    # The page shows what changed in new packages; the pool's changelogs come from the copy that is read anyway.
    assert sorted(found(publisher).values()) == ["b", "c"]
    assert len(read) == 2


def test_a_changelog_of_a_source_s_second_package_is_no_other_source_s(publisher: Publisher) -> None:
    """Neither where they arrive, nor where a publication from before is read."""
    two = {"Source": "reef-a"}
    debs = [
        publisher.deb("reef-a1", fields=two), publisher.deb("reef-a2", fields=two, changelog=log("a")),
        publisher.deb("reef-c", changelog=log("c")),
    ]  # fmt: skip
    expected = {
        "main/r/reef-a/reef-a_1.0-1.changelog": "a", "main/r/reef-c/reef-c_1.0-1.changelog": "c",
    }  # fmt: skip
    publisher.publish(*debs, suite="trixie")
    assert found(publisher) == expected


def test_another_cpu_s_build_changes_nothing(publisher: Publisher) -> None:
    publisher.publish(publisher.deb(changelog=log("arm64 came first")))
    (path,) = publisher.repository.glob("pool/**/reef-demo_*.changelog")
    inode = path.stat().st_ino
    publisher.publish(publisher.deb(architecture="armhf", changelog=log("armhf")), date=DATE + 1)
    assert list(found(publisher).values()) == ["arm64 came first"]
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("version", ["../../../../x", "1/2", "x" * 300, ";rm"])
def test_a_source_s_version_that_is_no_file_name(publisher: Publisher, version: str) -> None:
    publisher.publish(publisher.deb(fields={"Source": f"reef ({version})"}, changelog=log("text")))
    assert found(publisher) == {}
    assert publisher.verify().debs == 1


def test_strange_changelogs_are_none_and_long_ones_end(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelogs, "MOST_WHOLE", 1000)
    monkeypatch.setattr(changelogs.plain, "__defaults__", (1000,))
    publisher.publish(
        publisher.deb("reef-broken", changelog=b"\x1f\x8b broken"), publisher.deb("reef-empty", changelog=b""),
        publisher.deb("reef-bomb", changelog=gzip.compress(b"0" * (20 << 20))),
    )  # fmt: skip
    assert {path.split("/")[2]: len(text) for path, text in found(publisher).items()} == {"reef-bomb": 1000}


def test_a_killed_run_s_go_with_its_debs(publisher: Publisher, signed_once: None) -> None:  # noqa: F811
    publisher.publish(publisher.deb(changelog=log("stays")))
    doomed = publisher.deb(version="2", changelog=log("doomed"))
    for number in range(1, 40):
        staged = publisher.stage({"trixie": [doomed]}, DATE + 60)
        assert killed_at(lambda staged=staged: make_live(staged, publisher.repository), number)  # type: ignore[misc]
        if "doomed" in found(publisher).values():
            break
    publisher.publish(publisher.deb("reef-other"), date=DATE + 90)
    assert list(found(publisher).values()) == ["stays"]


def test_those_of_a_run_that_was_killed_after_its_switch_stay(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish(publisher.deb(changelog=log("first")))
    staged = publisher.stage({"trixie": [publisher.deb(version="2", changelog=log("second"))]}, DATE + 60)
    with monkeypatch.context() as patch:
        patch.setattr("builders.apt.publish.switch._remember", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_live(staged, publisher.repository)
    publisher.publish(publisher.deb("reef-other"), date=DATE + 90)
    assert sorted(found(publisher).values()) == ["first", "second"]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_plain_files_hold_them_too(publisher: Publisher, tmp_path: Path) -> None:
    """And they leave with the package; what the destination showed before stays until the next upload."""
    there = tmp_path / "there"

    def send() -> set[str]:
        upload(
            publisher.repository, Folder(name="pages", kind="folder", path=str(there), links=False),
            publisher.settings, publisher.log, base=publisher.folder, state=publisher.state,
        )  # fmt: skip
        return {path.read_text() for path in there.rglob("*.changelog")}

    publisher.settings = Settings(
        repository=RepositorySettings(url=URL, keep=Keep(versions=1, snapshots=1), generations=1)
    )
    publisher.publish(publisher.deb(changelog=log("old")))
    assert send() == {"old"}
    publisher.publish(publisher.deb(version="2", changelog=log("new")), date=DATE + 1)
    assert send() == {"old", "new"}
    publisher.publish(publisher.deb(version="3", changelog=log("newest")), date=DATE + 2)
    assert send() == {"new", "newest"}


@pytest.mark.parametrize("suffix", [".changelog", ".other"])
def test_real_apt_asks_for_one_before_a_publication(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """And refuses a Release that leads elsewhere."""
    monkeypatch.setattr("builders.apt.indices.release.CHANGELOG", suffix)
    publisher.publish(publisher.deb(version="1.0+x~1", changelog=log("text")))
    trials = clients.try_here(publisher.repository, "trixie", "main", tmp_path)
    (trial,) = (trial for trial in trials if trial.keyring == "changelog")
    assert trial.accepted == (suffix == ".changelog")
    assert "reef-demo_1.0%2bx%7e1.other" in trial.said or trial.accepted
