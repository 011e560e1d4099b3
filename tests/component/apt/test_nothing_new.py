"""Publishing costs what changed: nothing is written or read where nothing is new, and nothing is read twice."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.publish import root_files, web_page
from builders.apt.publish.switch import make_live
from builders.apt.repository.layout import PAGE
from builders.apt.state.verify_cache import VerifyCache
from builders.apt.verify import verify
from builders.errors import DiskError, PublishError
from builders.host.files import sha256_of
from builders.model.deb_file import read_deb
from tests.support.repository import DATE, Publisher, facts_of

INDEX = "dists/trixie/main/binary-arm64/Packages.xz"


@pytest.fixture(autouse=True)
def _own_key(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEF_GNUPGHOME", str(publisher.key.home))
    monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])  # real apt: test_client_report.py


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that verification hashes."""
    found: list[Path] = []

    def hashed(path: Path) -> str:
        found.append(path)
        return sha256_of(path)

    monkeypatch.setattr(verify, "sha256_of", hashed)
    return found


def test_nothing_new_is_neither_read_nor_written(publisher: Publisher, read: list[Path]) -> None:
    debs = {"trixie": [read_deb(publisher.deb())], "bookworm": []}
    assert [one.changed for one in apt.change(publisher.project(), debs)] == [True, True]
    apt.change(publisher.project(), debs)  # what the first run found out is known from here on
    facts = facts_of(publisher.repository), facts_of(publisher.state)
    read.clear()
    assert [one.changed for one in apt.change(publisher.project(), debs)] == [False, False]
    assert (facts_of(publisher.repository), facts_of(publisher.state)) == facts
    assert read == []


@pytest.mark.parametrize(
    ("where", "change", "told"),
    [
        ("dists/trixie/InRelease", lambda text: text.replace(b"Label: Reef", b"Label: Leaf"), "differs from Release"),
        ("dists/trixie/Release.gpg", lambda text: text.replace(b"\n=", b"\n=A"), "no good signature"),
        (INDEX, lambda text: text[:-1], "Release says"),
        (INDEX, None, "No such file"),
    ],
)
def test_what_is_wrong_at_a_glance_is_told_though_nothing_is_new(
    publisher: Publisher, where: str, change: Callable[[bytes], bytes] | None, told: str
) -> None:
    debs = {"trixie": [read_deb(publisher.deb())]}
    apt.change(publisher.project(), debs)
    path = publisher.repository / where
    content = path.read_bytes()
    path.unlink()  # not through the hard link
    if change:
        path.write_bytes(change(content))
    with pytest.raises(PublishError, match=told):
        apt.change(publisher.project(), debs)


def test_the_page_is_remade_where_its_rules_changed(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    debs = {"trixie": [read_deb(publisher.deb())]}
    apt.change(publisher.project(), debs)
    before = (publisher.repository / PAGE).read_bytes()
    monkeypatch.setattr(web_page, "MOST_SHOWN", 0)
    apt.change(publisher.project(), debs)
    assert (publisher.repository / PAGE).read_bytes() == before
    monkeypatch.setattr(root_files, "RULES", web_page.RULES + 1)
    apt.change(publisher.project(), debs)
    assert (publisher.repository / PAGE).read_bytes() != before


def test_an_index_file_is_read_once_whatever_its_names(publisher: Publisher, read: list[Path]) -> None:
    """By its own name and by hash, as a candidate and where it is published."""
    apt.change(publisher.project(), {"trixie": [read_deb(publisher.deb())]})
    read.clear()
    apt.change(publisher.project(), {"trixie": [read_deb(publisher.deb(version="2"))]})
    indices = [path for path in read if path.suffix != ".deb"]
    files = {path.stat().st_ino for path in publisher.repository.glob("dists/trixie/**/by-hash/*/*")}
    assert len(indices) == len(files)
    assert sum(path.suffix == ".deb" for path in read) <= 4, "a new .deb as it comes and where it lies"


def full(*_arguments: object) -> None:
    raise DiskError("no space left on the disk of state", "[Errno 28]", "free some space")


def test_what_only_saves_time_is_no_reason_to_fail_once_readers_see_it(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish(publisher.deb())
    staged, warnings = publisher.stage({"trixie": [publisher.deb(version="2")]}, DATE + 1), list[str]()
    with monkeypatch.context() as patch:
        patch.setattr("builders.apt.state.sqlite.change", full)
        assert [one.changed for one in make_live(staged, publisher.repository, warnings.append)] == [True]
    assert len(warnings) == 1
    assert warnings[0].startswith("published, but")
    assert "no space left" in warnings[0]
    assert publisher.verify().debs == 2
    assert publisher.publish(publisher.deb(version="3"), date=DATE + 2).changed
    assert publisher.verify().debs == 3


def test_a_journal_that_stays_after_all_was_published_does_no_harm(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish(publisher.deb())
    staged, warnings = publisher.stage({"trixie": [publisher.deb(version="2")]}, DATE + 1), list[str]()
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "publishing.json":
            raise OSError(30, "Read-only file system", str(path))
        real(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        make_live(staged, publisher.repository, warnings.append)
    assert warnings
    assert (publisher.state / "publishing.json").exists()
    assert publisher.publish(publisher.deb(version="3"), date=DATE + 2).changed
    assert publisher.verify().debs == 3
    assert not (publisher.state / "publishing.json").exists()


def test_a_proof_that_cannot_be_kept_is_told(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, said: io.StringIO
) -> None:
    monkeypatch.setattr(VerifyCache, "save", full)
    publications = apt.change(publisher.project(), {"trixie": [read_deb(publisher.deb())]})
    assert [one.changed for one in publications] == [True]
    assert "warning: published, but the next run will take longer" in said.getvalue()
    assert apt.verify(publisher.repository, "trixie").debs == 2
