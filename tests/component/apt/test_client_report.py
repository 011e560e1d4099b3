"""What clients say of a publication, now and later: this machine's apt, and the job for clean roots."""

import gzip
import io
import re
import subprocess
import time
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.indices.release import Release
from builders.apt.keys import rotation
from builders.apt.keys.signing import day_of, signing_key
from builders.apt.publish.switch import make_live
from builders.apt.repository.publication import digest_of
from builders.apt.verify import clients
from builders.apt.verify.clients import TODAY, Trial
from builders.cli import repository as cli_repository
from builders.engines.select import Engines
from builders.errors import HostError, PublishError, RootError
from builders.host.log import Log
from builders.model.arch import ARCHITECTURES
from builders.model.deb_file import read_deb
from builders.model.jobs import BuildJob, JobResult, Root
from builders.model.settings import RepositorySettings, Settings, Signing
from tests.support.ports import free_port
from tests.support.repository import VERIFIER, Publisher, tree_of

DAY = 86400


class HereEngine:
    """Runs a job for clean roots on this machine: the same script, its paths turned to those of the inputs."""

    def __init__(self) -> None:
        self.jobs: list[BuildJob] = []

    def check(self, _root: Root) -> None:
        pass

    def forget(self, _job: str) -> None:
        pass

    def run(self, job: BuildJob, output: Path, _log: Log) -> JobResult:
        self.jobs.append(job)
        script = re.sub(rf"\b{clients.PORT}\b", str(free_port()), job.script.replace("/build/out", str(output)))
        for one in job.inputs:
            script = script.replace(one.destination, str(one.path))
        subprocess.run(["sh", "-eu", "-c", script], check=True, capture_output=True)
        return JobResult(job.name, output, ())


class NoRoots(HereEngine):
    """An engine whose roots cannot be made."""

    def check(self, _root: Root) -> None:
        raise RootError("the mirror has no such release", fix="name another mirror")


@pytest.fixture
def place(tmp_path: Path, home: Path, log: Log) -> Publisher:
    return Publisher(tmp_path, signing_key(Settings(), log), log)


def trials(place: Publisher, name: str = "trials") -> list[Trial]:
    scratch = place.folder / name
    scratch.mkdir()
    return clients.try_here(place.repository, "trixie", "main", scratch)


def test_apt_today_and_up_to_the_key_s_end(place: Publisher, said: io.StringIO) -> None:
    apt.change(place.project(), {"trixie": [read_deb(place.deb()), read_deb(place.deb(architecture="armhf"))]})
    found = trials(place)
    assert {re.sub(" .* ", " ", one.client) for one in found} == {f"apt ({VERIFIER})"}
    verdicts = {(one.keyring, one.seconds // DAY): one.accepted for one in found}
    assert verdicts == {(TODAY, 0): True, ("download", 0): True, ("contents", 0): True, (TODAY, 547): True,
                        (TODAY, 1093): True, (TODAY, 1095): VERIFIER == "sqv"}  # fmt: skip
    assert all("EXPKEYSIG" in one.said for one in found if not one.accepted)
    (outlook,) = clients.outlooks(place.repository, "trixie")
    assert outlook.until == place.key.expires
    lines = [line for line in said.getvalue().splitlines() if "boards with" in line]
    assert lines == [f"trixie: tried with {found[0].client}, today and on later days; boards with any keyring that was "
                     f"published are not locked out before {day_of(outlook.until or 0)}"]  # fmt: skip


def test_valid_until_locks_out_first(place: Publisher) -> None:
    place.settings = Settings(repository=RepositorySettings(valid_days=30))
    apt.change(place.project(), {"trixie": []})
    found = trials(place)
    assert [(one.seconds // DAY, one.accepted) for one in found if one.keyring == TODAY] == [
        (0, True), (14, True), (28, True), (30, False)]  # fmt: skip
    assert "Valid-Until" in clients.outlooks(place.repository, "trixie")[0].why
    assert "expired" in found[-1].said


def test_contents_that_apt_does_not_fetch_are_not_published(place: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Release.render
    monkeypatch.setattr(Release, "render", lambda release: real(Release(release.fields, release.present)))
    with pytest.raises(PublishError, match="refuses: trixie on ") as caught:
        apt.change(place.project(), {"trixie": [read_deb(place.deb())]})
    assert "apt fetched no Contents" in caught.value.detail
    assert not place.repository.exists()


def test_contents_of_an_earlier_reef_are_a_warning(
    place: Publisher, monkeypatch: pytest.MonkeyPatch, said: io.StringIO
) -> None:
    """Its Release lists them only compressed. The next publication, not a rollback, is the way out."""
    real = Release.render
    with monkeypatch.context() as patch:
        patch.setattr(Release, "render", lambda release: real(Release(release.fields, release.present)))
        make_live(place.stage({"trixie": [place.deb()]}, int(time.time())), place.repository)
    monkeypatch.setattr(cli_repository, "open_project", place.project)
    cli_repository.verify_apt(None, roots=False)
    assert "trixie: apt takes no Contents (for apt-file) as an earlier Reef made them; publish once" in said.getvalue()
    assert {one.keyring: one.accepted for one in trials(place) if one.seconds == 0}["contents"] is False


def test_a_changelog_that_is_lost_or_another_s_is_refused(place: Publisher) -> None:
    place.settings = Settings(repository=RepositorySettings(url="https://apt.example.org"))
    deb = place.deb(changelog=gzip.compress(b"reef-demo (1.0-1) trixie; urgency=low\n"))
    apt.change(place.project(), {"trixie": [read_deb(deb)]})
    (path,) = place.repository.glob("pool/main/r/reef-demo/*.changelog")

    def verdict(name: str) -> Trial:
        return next(trial for trial in trials(place, name) if trial.keyring == "changelog")

    assert verdict("whole").accepted
    path.write_text("reef-other (1.0-1) trixie; urgency=low\n")
    assert "expected: reef-demo (1.0-1)" in verdict("other").said
    path.unlink()
    assert not verdict("lost").accepted


def test_packages_without_files_have_no_contents_to_fetch(place: Publisher) -> None:
    deb, tree = place.folder / "meta.deb", place.folder / "meta"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: reef-meta\nVersion: 1\nArchitecture: arm64\nMaintainer: R <r@localhost>\nDescription: nothing\n"
    )
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(deb)], check=True, capture_output=True)
    make_live(place.stage({"trixie": [deb]}, int(time.time())), place.repository)
    assert {one.keyring: one.accepted for one in trials(place) if one.seconds == 0} == {TODAY: True, "download": True}


def test_who_missed_the_overlap_is_told(place: Publisher, monkeypatch: pytest.MonkeyPatch, said: io.StringIO) -> None:
    project = place.project()
    apt.change(project, {"trixie": []})
    apt.rotate_keys(project)
    both = clients.outlooks(place.repository, "trixie")
    assert [one.until is not None and one.until > time.time() for one in both] == [True, True]
    assert "LOCKED OUT" not in said.getvalue()
    apt.retire_key(project, place.key.fingerprint)
    published = said.getvalue()
    assert "; boards with today's keyring are not locked out before " in published
    assert f"warning: boards with the keyring of {both[1].keyring}: LOCKED OUT NOW" in published
    today, overlap, first = clients.outlooks(place.repository, "trixie")
    assert (today.keyring, first.until) == (TODAY, 0)
    assert overlap.until is not None
    found = {one.keyring: one.accepted for one in trials(place) if one.seconds == 0}
    assert found == {TODAY: True, "download": True, "contents": True, overlap.keyring: True, first.keyring: False}
    monkeypatch.setattr(cli_repository, "open_project", lambda **_: project)
    cli_repository.verify_apt("trixie", roots=False)
    assert f"boards with the keyring of {first.keyring}: LOCKED OUT NOW" in said.getvalue()
    assert "boards with the keyring of today: locked out from" in said.getvalue()


@pytest.mark.parametrize(("blind", "told"), [(False, "it is for trixy, not trixie"), (True, "refuses: trixie on")])
def test_what_is_wrong_or_apt_refuses_is_not_published(
    place: Publisher, monkeypatch: pytest.MonkeyPatch, blind: bool, told: str
) -> None:
    """Our own verification comes first; where it sees nothing (``blind``), apt still does."""
    apt.change(place.project(), {"trixie": []})
    before = tree_of(place.repository)
    real = type(place.key).sign

    def sign(key: object, release: Path, *, date: int) -> None:
        release.write_bytes(release.read_bytes().replace(b"Suite: trixie\n", b"Suite: trixy\n"))
        index = release.parent / "main/binary-arm64/Packages.xz"
        text = release.read_bytes().replace(digest_of(index.read_bytes()).sha256.encode(), b"0" * 64)
        release.write_bytes(text)
        real(key, release, date=date)  # type: ignore[arg-type]

    monkeypatch.setattr(type(place.key), "sign", sign)
    if blind:
        monkeypatch.setattr("builders.apt.publish.change.verify", lambda *_words, **_more: None)
    with pytest.raises(PublishError) as caught:
        apt.change(place.project(), {"trixie": [read_deb(place.deb())]})
    assert told in str(caught.value)
    assert caught.value.detail
    assert tree_of(place.repository) == before


def test_missing_faketime_is_told_before_anything_is_published(
    place: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builders.host.process.find", lambda name: None if name == "faketime" else f"/usr/bin/{name}")
    with pytest.raises(HostError, match="faketime is not installed"):
        apt.change(place.project(), {"trixie": []})
    assert not place.repository.exists()


def test_keys_without_an_end(place: Publisher, home: Path) -> None:
    from .test_keys import make_key

    place.settings = Settings(signing=Signing(key=make_key(home)))
    apt.change(place.project(), {"trixie": []})
    (outlook,) = clients.outlooks(place.repository, "trixie")
    assert outlook.until is None
    assert all(one.accepted for one in trials(place))


def test_the_job_for_clean_roots(place: Publisher, tmp_path: Path) -> None:
    apt.change(place.project(), {"trixie": [read_deb(place.deb())]})
    rotation.rotate(Settings(), place.log)
    apt.change(place.project(), {"trixie": []})
    job = clients.job(
        place.repository, "trixie", "bullseye", "main", machine=ARCHITECTURES["amd64"], scratch=tmp_path / "rings"
    )
    assert (job.name, job.root.suite, job.fetch) == ("clients/trixie/bullseye", "bullseye", None)
    assert {Path(one.destination) for one in job.inputs} == {Path("/srv/reef"), Path("/reef/keyrings")}
    for name in re.findall(r"/reef/keyrings/(\S+\.gpg)", job.script):
        assert (tmp_path / "rings" / name.strip("'")).is_file()
    checked = subprocess.run(
        ["shellcheck", "--shell=sh", "--exclude=SC2043", "-"], input="set -eu\n" + job.script,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    HereEngine().run(job, tmp_path / "out", place.log)
    found = clients.read_trials(tmp_path / "out")
    assert {one.accepted for one in found if one.seconds == 0} == {True}
    assert {one.client.rpartition(" ")[2] for one in found} == {f"({VERIFIER})"}
    (tmp_path / "out/version").unlink()
    with pytest.raises(PublishError, match="are incomplete"):
        clients.read_trials(tmp_path / "out")


def test_the_apt_of_other_releases_is_asked_before_anything_is_shown(
    place: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A candidate is tried in the roots that are named; its pool links to the published one, which goes along."""
    engine, project = HereEngine(), place.project()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    apt.change(project, {"trixie": [read_deb(place.deb())]})
    assert engine.jobs == [], "by default this machine's apt alone is asked"
    place.settings = Settings(repository=RepositorySettings(clients=["bullseye", "trixie"]))
    apt.change(place.project(), {"trixie": [read_deb(place.deb("reef-other"))]})
    assert [job.root.suite for job in engine.jobs] == ["bullseye", "trixie"]
    pool = place.repository / "pool"
    for job in engine.jobs:
        assert job.inputs[0].path != place.repository, "not yet published"
        assert [one.path for one in job.inputs if one.destination == str(pool)] == [pool]
    before = tree_of(place.repository)
    monkeypatch.setattr(Engines, "get", lambda *_: NoRoots())
    with pytest.raises(RootError, match="the apt of bullseye was not tried") as caught:
        apt.change(place.project(), {"trixie": [read_deb(place.deb(version="3"))]})
    assert "repository.clients in reef.yml" in caught.value.fix
    assert tree_of(place.repository) == before
