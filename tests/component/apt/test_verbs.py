"""Suites beside each other, what stays and what goes, and the way back: the verbs behind Invoke's commands."""

import io
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.keys.keyring_package import PACKAGE as KEYRING_PACKAGE
from builders.apt.repository.retention import LEAVING, remove, unreferenced
from builders.errors import BusyError, CheckError, InputError, PublishError, ReefError
from builders.model.deb_file import read_deb
from builders.model.settings import Keep, RepositorySettings, Settings
from tests.support.repository import DATE, AptClient, Publisher, facts_of, tree_of


@pytest.fixture(autouse=True)
def _own_key(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEF_GNUPGHOME", str(publisher.key.home))
    # Real apt has a file of its own (test_client_report.py); here it would only cost seconds.
    monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])


def keep(publisher: Publisher, generations: int = 1, **words: int) -> None:
    publisher.settings = Settings(repository=RepositorySettings(keep=Keep(**words), generations=generations))


def versions(publisher: Publisher, suite: str = "trixie") -> list[str]:
    stanzas = publisher.index(suite=suite).split("\n\n")
    return [text.split("\nVersion: ")[1].split("\n")[0] for text in stanzas if text.startswith("Package: reef-demo\n")]


def aged(publisher: Publisher, name: str, days: float) -> None:
    (path,) = publisher.repository.glob(f"pool/**/{name}")
    os.utime(path, (time.time() - days * 86400,) * 2)


def pool(publisher: Publisher) -> list[str]:
    names = (path.name for path in publisher.repository.glob("pool/**/*.deb"))
    return sorted(name for name in names if not name.startswith(KEYRING_PACKAGE))


def test_testing_stands_beside_and_is_promoted(publisher: Publisher) -> None:
    old, new, other = publisher.deb(), publisher.deb(version="2"), publisher.deb("reef-other")
    publisher.publish(old)
    publisher.publish(new, other, suite="trixie-testing", date=DATE + 1)
    assert (versions(publisher), versions(publisher, "trixie-testing")) == (["1.0-1"], ["2"])
    text = (publisher.repository / "dists/trixie-testing/Release").read_text()
    assert "\nSuite: trixie-testing\nCodename: trixie-testing\n" in text
    before = pool(publisher)
    publication, entries = apt.promote(publisher.project(), "trixie-testing", "trixie", ["reef-demo"])
    assert (publication.changed, [entry.version for entry in entries]) == (True, ["2"])
    assert versions(publisher) == ["1.0-1", "2"]
    assert pool(publisher) == before
    assert publication.packages[0].sha256 == read_deb(new).sha256
    publication, entries = apt.promote(publisher.project(), "trixie-testing", "trixie")
    assert [entry.package for entry in entries] == ["reef-other"], "its keyring package stays its own"
    facts = facts_of(publisher.repository)
    publication, entries = apt.promote(publisher.project(), "trixie-testing", "trixie")
    assert (publication.changed, entries) == (False, [])
    assert facts_of(publisher.repository) == facts


def test_older_candidates_stay_where_they_are_if_asked(publisher: Publisher) -> None:
    both = publisher.deb(version="3"), publisher.deb(version="2", architecture="armhf")
    publisher.publish(publisher.deb(version="2"), *both, suite="trixie-testing")
    _, entries = apt.promote(publisher.project(), "trixie-testing", "trixie", ["reef-demo"], newest=True)
    assert {(entry.version, entry.architecture) for entry in entries} == {("3", "arm64"), ("2", "armhf")}


@pytest.mark.parametrize(
    ("source", "target", "packages", "told"),
    [
        ("trixie-tesing", "trixie", [], "did you mean 'trixie-testing'"),
        ("trixie-testing", "bookworm", [], "different board releases"),
        ("trixie-testing", "tricksie", [], "did you mean 'trixie'"),
        ("trixie", "trixie", [], "into itself"),
        ("trixie-testing", "trixie", ["reef-dmo"], "did you mean 'reef-demo'"),
    ],
)
def test_promotions_that_make_no_sense(
    publisher: Publisher, source: str, target: str, packages: list[str], told: str
) -> None:
    publisher.publish(publisher.deb(), suite="trixie-testing")
    before = tree_of(publisher.repository)
    with pytest.raises(ReefError, match=told):
        apt.promote(publisher.project(), source, target, packages)
    assert tree_of(publisher.repository) == before


def test_a_candidate_that_fails_its_test_is_not_published(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    before, project = tree_of(publisher.repository), publisher.project()
    staging = apt.staged(project, {"trixie": [read_deb(publisher.deb(version="2"))]})

    def install_test() -> None:
        with staging as candidate:
            assert (candidate.path / "dists/trixie/InRelease").is_file()
            raise CheckError("it does not start")

    with pytest.raises(CheckError, match="it does not start"):
        install_test()
    assert tree_of(publisher.repository) == before
    assert list((publisher.folder / "scratch").iterdir()) == []


def test_suffix() -> None:
    assert apt.suffixed("trixie", "") == "trixie"
    assert apt.suffixed("trixie", "testing") == "trixie-testing"
    with pytest.raises(InputError, match="invalid suffix of a suite"):
        apt.suffixed("trixie", "../x")


def test_rollback_publishes_the_old_content_anew(publisher: Publisher) -> None:
    for number in range(3):
        publisher.publish(publisher.deb(version=f"1.{number}"), date=DATE + number)
    first = publisher.stamps()[0]
    publication, old = apt.rollback(publisher.project(), "trixie")
    assert (publication.changed, old) == (True, publisher.stamps()[1])
    assert versions(publisher) == ["1.0", "1.1"]
    assert publisher.stamps()[-1] > publisher.stamps()[2]
    apt.rollback(publisher.project(), "trixie", first)
    assert versions(publisher) == ["1.0"]
    assert len(pool(publisher)) == 3
    told = apt.snapshots(publisher.repository)
    # The last two hold the keyring package too.
    assert [(one.debs, one.live) for one in told] == [(1, False), (2, False), (3, False), (3, False), (2, True)]
    assert (told[1].added, told[3].removed) == (("reef-demo 1.1 (arm64)",), ("reef-demo 1.2 (arm64)",))
    # Its bytes are still the published ones: another 1.2 is refused, the same one comes back.
    with pytest.raises(PublishError, match="published before with other bytes") as caught:
        publisher.publish(publisher.deb(version="1.2", content="other"))
    assert "trixie/" in caught.value.detail
    assert publisher.publish(publisher.deb(version="1.2")).changed
    assert publisher.verify().debs == 3


@pytest.mark.parametrize(
    ("suite", "stamp", "told"),
    [("trixy", None, "did you mean 'trixie'"), ("trixie", "20010101T000000Z", "has no publication"),
     ("trixie", "../x", "has no publication"), ("trixie", None, "no earlier publication")],
)  # fmt: skip
def test_rollbacks_that_cannot_be(publisher: Publisher, suite: str, stamp: str | None, told: str) -> None:
    publisher.publish(publisher.deb())
    with pytest.raises(PublishError, match=told):
        apt.rollback(publisher.project(), suite, stamp)


def test_rollback_needs_the_debs(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    publisher.publish(publisher.deb("reef-more"), date=DATE + 1)
    next(publisher.repository.glob("pool/**/reef-demo_*")).unlink()
    with pytest.raises(PublishError, match="pool lacks"):
        apt.rollback(publisher.project(), "trixie")


def test_retention_by_count(publisher: Publisher) -> None:
    keep(publisher, versions=2)
    for number, version in enumerate(("1.9", "1.10", "1.11")):
        more = [publisher.deb("reef-one")] if not number else []
        publisher.publish(publisher.deb(version=version), *more, date=DATE + number)
    assert versions(publisher) == ["1.10", "1.11"]
    with pytest.raises(PublishError, match="would be removed at once"):
        publisher.publish(publisher.deb(version="1.8"))
    assert len(pool(publisher)) == 4, "what an earlier publication names stays"


def test_retention_by_age(publisher: Publisher) -> None:
    for number in range(4):
        publisher.publish(publisher.deb(version=f"1.{number}"), date=DATE + number)
    aged(publisher, "reef-demo_1.0_arm64.deb", 400)
    for version in ("1.1", "1.2", "1.3"):
        aged(publisher, f"reef-demo_{version}_arm64.deb", 3)
    keep(publisher, versions=2, days=30)
    apt.prune(publisher.project())
    assert versions(publisher) == ["1.1", "1.2", "1.3"]
    keep(publisher, days=1)
    apt.prune(publisher.project())
    assert versions(publisher) == ["1.3"]


def test_age_counts_from_the_publication(publisher: Publisher) -> None:
    deb = publisher.deb()
    os.utime(deb, (1, 1))
    publisher.publish(deb)
    (path,) = publisher.repository.glob("pool/**/*.deb")
    assert path.stat().st_mtime == DATE


def test_prune_spares_what_kept_publications_name(publisher: Publisher) -> None:
    for number in range(5):
        publisher.publish(publisher.deb(version=f"1.{number}"), date=DATE + number)
    publisher.publish(publisher.deb("reef-book"), suite="bookworm")
    keep(publisher, versions=1, snapshots=3)
    before = tree_of(publisher.repository)
    assert apt.prune(publisher.project(), show_only=True)[1].debs == ()
    assert tree_of(publisher.repository) == before
    publications, going = apt.prune(publisher.project())
    assert [one.suite for one in publications] == ["bookworm", "trixie"], "both got the keyring package"
    assert (len(going.snapshots), len(going.debs)) == (3, 0)
    assert len(publisher.stamps()) == 3
    keep(publisher, versions=1, snapshots=1)
    _, going = apt.prune(publisher.project())
    assert [Path(name).name for name in going.debs] == [f"reef-demo_1.{n}_arm64.deb" for n in range(4)]
    assert going.size > 0
    assert pool(publisher) == ["reef-book_1.0-1_arm64.deb", "reef-demo_1.4_arm64.deb"]
    assert (publisher.verify().debs, publisher.verify("bookworm").debs) == (2, 2)
    facts = facts_of(publisher.repository)
    assert apt.prune(publisher.project())[1] == apt.Unreferenced((), (), 0)
    assert facts_of(publisher.repository) == facts


def test_prune_keeps_what_old_readers_may_ask_for(publisher: Publisher) -> None:
    """As many publications stay as their indices can be asked for by hash."""
    for number in range(5):
        publisher.publish(publisher.deb(version=f"1.{number}"), date=DATE + number)
    keep(publisher, generations=3, versions=1, snapshots=1)
    apt.prune(publisher.project())
    assert len(publisher.stamps()) == 3
    by_hash = list((publisher.repository / "dists/trixie/main/binary-arm64/by-hash/SHA256").iterdir())
    indices = [path.read_text() for path in by_hash if path.read_bytes().startswith(b"Package:")]
    assert len(indices) == 3
    for line in "\n".join(indices).splitlines():
        assert not line.startswith("Filename: ") or (publisher.repository / line[10:]).is_file()


@pytest.mark.parametrize("number", range(2, 40, 4))
def test_prune_killed_is_gone_on_with(publisher: Publisher, number: int) -> None:
    from tests.support.killing import killed_at

    for count in range(4):
        publisher.publish(publisher.deb(version=f"1.{count}"), date=DATE + count)
    keep(publisher, versions=1, snapshots=1)
    apt.change(publisher.project(), {"trixie": []})
    going = unreferenced(publisher.repository, publisher.settings)
    assert killed_at(lambda: remove(publisher.repository, going), number)
    publisher.verify()
    apt.snapshots(publisher.repository)
    apt.prune(publisher.project())
    assert (pool(publisher), len(publisher.stamps())) == (["reef-demo_1.3_arm64.deb"], 1)
    assert not list(publisher.repository.glob(f"snapshots/*/*{LEAVING}"))


def test_generations_are_settable(publisher: Publisher) -> None:
    publisher.settings = Settings(repository=RepositorySettings(generations=2))
    for number in range(4):
        publisher.publish(publisher.deb(version=f"1.{number}"), date=DATE + number)
    plain = [
        path for path in (publisher.repository / "dists/trixie/main/binary-arm64/by-hash/SHA256").iterdir()
        if path.read_bytes().startswith(b"Package:")
    ]  # fmt: skip
    assert len(plain) == 2


def test_two_publishers_at_once(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first; here it does not wait at all, and is told who is in the way."""
    publisher.publish(publisher.deb())
    project = publisher.project()
    child = os.fork()
    if not child:
        with apt.locked(project):
            (publisher.folder / "held").touch()
            time.sleep(60)
        os._exit(0)
    while not (publisher.folder / "held").exists():
        time.sleep(0.01)
    with (
        pytest.raises(BusyError, match="holds the repository"),
        project.workspace.locked("publish", wait_s=0, what=f"the repository {project.workspace.apt}"),
    ):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with apt.locked(project):
        pass


def test_commands_tell_what_they_did(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, said: io.StringIO) -> None:
    from builders.cli import repository as cli_repository

    monkeypatch.setattr(cli_repository, "open_project", lambda **_: publisher.project())
    publisher.publish(publisher.deb(), suite="trixie-testing")
    cli_repository.promote("trixie-testing", "trixie", [])
    publisher.publish(publisher.deb(version="2"))
    cli_repository.snapshots("trixie")
    cli_repository.rollback("trixie", None)
    cli_repository.prune(plan=True)
    text = said.getvalue()
    for _ in range(2):  # the second changes nothing
        said.seek(said.truncate(0))
        cli_repository.prune(plan=False)
        assert "the signing key expires on " in said.getvalue()
    assert "trixie: unchanged in" in said.getvalue()
    assert "promoted from trixie-testing to trixie: reef-demo 1.0-1 (arm64)" in text
    assert "reef-demo 2 (arm64)" in text
    assert "--allow-downgrades" in text
    assert "would go: 0 publications, 0 files of packages, 0 B" in text


def test_a_killed_run_s_deb_does_no_harm_to_the_next(publisher: Publisher) -> None:
    """A file in the pool that no publication names is written over, whatever its bytes."""
    publisher.publish(publisher.deb())
    staged = publisher.stage({"trixie": [publisher.deb(version="2", content="first try")]}, DATE + 1)
    for name in staged.pool:
        shutil.copy(staged.path / name, publisher.repository / name)
    shutil.rmtree(publisher.state)
    assert publisher.publish(publisher.deb(version="2"), date=DATE + 2).changed
    assert publisher.verify().debs == 2


def test_phased_updates(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """New versions carry the percentage as apt expects it, per suite, until it is raised; apt is the judge."""
    project = publisher.project()
    apt.change(project, {"trixie": [read_deb(publisher.deb())]})
    new, other = publisher.deb(version="2"), publisher.deb("reef-other")
    apt.change(project, {"trixie": [read_deb(new)]}, phase=0)
    text = publisher.index()
    assert text.count("Phased-Update-Percentage: 0\n") == 1, "not the older version, not the keyring"
    apt.change(project, {"trixie": [read_deb(other), read_deb(new)]})
    assert publisher.index().count("Phased-Update-Percentage: 0\n") == 1, "what is there keeps its own"
    apt_client = AptClient(publisher.folder / "c", (publisher.repository / "reef-trixie.sources").read_text(),
                           publisher.keyring)  # fmt: skip
    status = "Package: reef-demo\nStatus: install ok installed\nVersion: 1.0-1\nArchitecture: arm64\n"
    (apt_client.folder / "status").write_text(f"{status}Maintainer: x <x@x>\nDescription: x\n\n")
    machine = ["-o", "APT::Machine-ID=912e43bd1c1d4ba481f9f8ccab25f9ee"]
    apt_client.update()
    assert "Inst reef-demo" not in apt_client.run(*machine, "-s", "upgrade")
    publication, versions = apt.phase(project, "trixie", ["reef-demo"], 100)
    assert (publication.changed, versions) == (True, {"reef-demo": "2"})
    assert "Phased" not in publisher.index()
    apt_client.update()
    assert "Inst reef-demo" in apt_client.run(*machine, "-s", "upgrade")
    # A phase is the suite's own: promotion begins anew.
    apt.change(project, {"trixie-testing": [read_deb(publisher.deb(version="3"))]}, phase=20)
    apt.promote(project, "trixie-testing", "trixie")
    assert "Phased" not in publisher.index()
    assert "Phased-Update-Percentage: 20" in publisher.index(suite="trixie-testing")
    with pytest.raises(InputError, match="not a percentage"):
        apt.phase(project, "trixie", ["reef-demo"], 101)
    with pytest.raises(InputError, match="did you mean 'reef-demo'"):
        apt.phase(project, "trixie", ["reef-dmo"], 50)


def test_contents_alone_make_a_publication(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    for number, wish in enumerate((False, True), 1):
        publisher.settings = Settings(repository=RepositorySettings(contents=wish))
        assert publisher.publish(date=DATE + number).changed
        assert bool(list(publisher.repository.glob("dists/trixie/main/Contents-*"))) == wish
        publisher.verify()
        assert not publisher.publish(date=DATE + number + 10).changed


def test_an_empty_repository_is_told(
    publisher: Publisher, home: Path, monkeypatch: pytest.MonkeyPatch, said: io.StringIO
) -> None:
    from builders.cli import repository as cli_repository

    monkeypatch.setattr(cli_repository, "open_project", lambda **_: publisher.project())
    with pytest.raises(PublishError, match="nothing is published yet"):
        cli_repository.verify_apt(None, roots=False)
    cli_repository.snapshots(None)
    cli_repository.keys(extend=0, rotate=False, retire=None)
    first, second = said.getvalue().splitlines()
    assert "nothing is published yet" in first
    assert "no signing key yet" in second


def test_wrong_words_about_keys_are_input(publisher: Publisher) -> None:
    for wrong in ("ABC", "A" * 40):
        with pytest.raises(InputError, match=f"{wrong}.*"):
            apt.retire_key(publisher.project(), wrong)
    with pytest.raises(InputError, match="-3 days are too few"):
        apt.extend_keys(publisher.project(), -3)
