"""Runs that are killed, disks that are full, folders that are not ours: readers see the old or the new repository."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from builders.apt.keys.signing import SigningKey
from builders.apt.publish.switch import make_live
from builders.apt.repository.journal import recover
from builders.apt.verify.verify import verify
from builders.errors import DiskError
from tests.support.killing import kill_points, killed, killed_at
from tests.support.repository import DATE, Publisher, facts_of, tree_of

from .conftest import short_folder


@pytest.fixture
def signed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let gpg sign each Release once: its signatures repeat, and this file publishes the same hundreds of times."""
    made: dict[tuple[bytes, int], tuple[bytes, bytes]] = {}
    real = SigningKey.sign

    def sign(key: SigningKey, release: Path, *, date: int) -> None:
        wish, files = (release.read_bytes(), date), [release.with_name(n) for n in ("InRelease", "Release.gpg")]
        if wish not in made:
            real(key, release, date=date)
            made[wish] = files[0].read_bytes(), files[1].read_bytes()
        for path, content in zip(files, made[wish], strict=True):
            path.write_bytes(content)

    monkeypatch.setattr(SigningKey, "sign", sign)


def test_killed_while_switching(publisher: Publisher, signed_once: None, complete: bool) -> None:
    """After each kill the repository is the old or the new one, and the next run leaves what an unkilled one does."""
    publisher.publish(publisher.deb())
    new = {"trixie": [publisher.deb(version="2"), publisher.deb("reef-more")], "bookworm": [publisher.deb(version="3")]}
    publisher.publish(*new["bookworm"], suite="bookworm")
    new["bookworm"].append(publisher.deb("reef-more", "4"))
    template = publisher.folder / "template"
    shutil.copytree(publisher.repository, template / "apt", symlinks=True)
    shutil.copytree(publisher.folder / "state", template / "state")
    staged = publisher.stage(new, DATE + 60)
    points = kill_points(lambda: make_live(staged, publisher.repository), complete=complete)
    expected = tree_of(publisher.repository)

    outcomes = []
    for number in points:
        for name in ("apt", "state"):
            shutil.rmtree(publisher.folder / name)
            shutil.copytree(template / name, publisher.folder / name, symlinks=True)
        staged = publisher.stage(new, DATE + 60)
        was_killed = killed_at(lambda staged=staged: make_live(staged, publisher.repository), number)  # type: ignore[misc]
        assert was_killed == (number < points[-1])
        outcomes.append((verify(publisher.repository, "trixie").debs, verify(publisher.repository, "bookworm").debs))
        make_live(publisher.stage(new, DATE + 60), publisher.repository)
        assert tree_of(publisher.repository) == expected, number
        assert not (publisher.state / "publishing.json").exists()
    assert outcomes == sorted(outcomes), "once new, always new"
    assert set(outcomes) == {(1, 1), (3, 1), (3, 2)}
    assert points[-1] > 20


def test_killed_and_then_something_else_published(publisher: Publisher, signed_once: None) -> None:
    """What a killed run brought is discarded when the next one does not want it."""
    publisher.publish(publisher.deb())
    doomed, other = publisher.deb(version="2"), publisher.deb("reef-other")
    for number in range(1, 40):
        staged = publisher.stage({"trixie": [doomed]}, DATE + 60)
        assert killed_at(lambda staged=staged: make_live(staged, publisher.repository), number)  # type: ignore[misc]
        if list(publisher.repository.glob("pool/**/reef-demo_2_*")):
            break
    publisher.publish(other, date=DATE + 90)
    assert not list(publisher.repository.glob("pool/**/reef-demo_2_*"))
    assert publisher.verify().debs == 2


def test_killed_while_staging(publisher: Publisher, signed_once: None, complete: bool) -> None:
    """Whatever is published stays untouched; what lies in the scratch folder the caller's next run sweeps away."""
    publisher.publish(publisher.deb())
    deb = publisher.deb(version="2")
    publisher.stage({"trixie": [deb]}, DATE + 1)
    before, state = facts_of(publisher.repository), publisher.folder / "state"
    shutil.copytree(state, publisher.folder / "template")
    points = kill_points(lambda: publisher.stage({"trixie": [deb]}, DATE + 1), complete=complete)
    shutil.rmtree(publisher.folder / f"staging{publisher.runs + 1}")
    for number in points:
        shutil.rmtree(state)
        shutil.copytree(publisher.folder / "template", state)
        assert killed_at(lambda: publisher.stage({"trixie": [deb]}, DATE + 1), number) == (number < points[-1])
        shutil.rmtree(publisher.folder / f"staging{publisher.runs + 1}", ignore_errors=True)
        after = facts_of(publisher.repository)
        # Links from a candidate touch a published .deb's link count and change time, nothing else.
        assert {name: facts[:2] + facts[3:4] for name, facts in after.items()} == {
            name: facts[:2] + facts[3:4] for name, facts in before.items()
        }
    assert points[-1] > 20
    assert publisher.publish(deb, date=DATE + 1).changed
    publisher.verify()


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_disk_full_while_taking_debs(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    publisher.publish(publisher.deb())
    before = facts_of(publisher.repository)
    deb = publisher.deb(version="2")

    def full(handle: int, data: bytes) -> int:
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DiskError) as caught:
            publisher.stage({"trixie": [deb]}, DATE + 1)
    assert ("no space left" in caught.value.what) == (fault != errno.EIO)
    assert facts_of(publisher.repository) == before


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("call", ["replace", "mkdir", "symlink", "fsync"])
def test_refused_while_publishing(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, fault: int, call: str) -> None:
    publisher.publish(publisher.deb())
    deb = publisher.deb("reef-more")
    staged = publisher.stage({"trixie": [deb], "bookworm": [deb]}, DATE + 1)

    def refused(*arguments: object, **more: object) -> None:
        raise OSError(fault, os.strerror(fault), str(arguments[0]))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refused)
        with pytest.raises(DiskError) as caught:
            make_live(staged, publisher.repository)
    assert ("no space left" if fault == errno.ENOSPC else "no permission") in caught.value.what
    assert caught.value.fix
    assert publisher.verify().debs == 1
    assert publisher.publish(deb, date=DATE + 1).changed
    assert publisher.verify().debs == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_no_permission_to_write(publisher: Publisher, mode: int) -> None:
    """A publisher who is not the owner, or may not even look, is told so, and the repository stays."""
    publisher.folder = short_folder()  # pytest's own folders let nobody in
    publisher.folder.chmod(0o755)
    publisher.publish(publisher.deb())
    staged = publisher.stage({"trixie": [publisher.deb(version="2")]}, DATE + 1)
    publisher.folder.chmod(mode)

    def refused() -> None:
        os.setuid(65534)
        with pytest.raises(DiskError, match="no permission to use"):
            make_live(staged, publisher.repository)

    assert not killed(refused)
    assert publisher.verify().debs == 1
    shutil.rmtree(publisher.folder)


@pytest.mark.parametrize("text", ["", "{", '["../../etc/passwd", 5, "/etc"]', "[]"])
def test_a_strange_journal_removes_nothing(publisher: Publisher, text: str) -> None:
    publisher.publish(publisher.deb())
    before = tree_of(publisher.repository)
    (publisher.state / "publishing.json").write_text(text)
    recover(publisher.repository, publisher.state)
    assert tree_of(publisher.repository) == before
    assert not (publisher.state / "publishing.json").exists()


def test_state_is_only_a_help(publisher: Publisher, tmp_path: Path) -> None:
    """A lost state folder costs reading, and leftovers of a killed run do no harm."""
    publisher.publish(publisher.deb())
    staged = publisher.stage({"trixie": [publisher.deb(version="2")]}, DATE + 60)
    shutil.copytree(staged.path / "snapshots", publisher.repository / "snapshots", dirs_exist_ok=True, symlinks=True)
    shutil.rmtree(publisher.state)
    publisher.publish(publisher.deb(version="3"), date=DATE + 60)
    assert publisher.verify().debs == 2
