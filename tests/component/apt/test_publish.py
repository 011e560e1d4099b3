"""Publishing into a folder: what is there after, what is refused, and when nothing is written."""

import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from builders.apt.keys.signing import SigningKey
from builders.apt.publish.switch import make_live
from builders.apt.repository.publication import published
from builders.apt.state import read_cache as seen_record
from builders.apt.verify.verify import verify
from builders.errors import BusyError, PublishError
from builders.host.log import Log
from builders.model.deb_file import read_deb
from builders.model.settings import RepositorySettings, Settings
from tests.support.repository import DATE, Publisher, facts_of, tree_of


def names_in(index: str) -> list[str]:
    return [line.split()[1] for line in index.splitlines() if line.startswith(("Package:", "Version:"))]


def test_first_publication(publisher: Publisher) -> None:
    arm64, symbols = publisher.deb(), publisher.deb(
        "reef-demo-dbgsym", fields={"Source": "reef-demo", "Auto-Built-Package": "debug-symbols"}
    )  # fmt: skip
    armhf, data = publisher.deb(architecture="armhf"), publisher.deb("reef-data", "1:2", "all")
    publication = publisher.publish(arm64, symbols, armhf, read_deb(data))
    assert publication.changed
    assert publication.key_fingerprint == publisher.key.fingerprint
    assert [str(deb.path.relative_to(publisher.repository)) for deb in publication.packages] == [
        "pool/main/r/reef-demo/reef-demo_1.0-1_arm64.deb",
        "pool/debug/r/reef-demo/reef-demo-dbgsym_1.0-1_arm64.deb",
        "pool/main/r/reef-demo/reef-demo_1.0-1_armhf.deb",
        "pool/main/r/reef-data/reef-data_2_all.deb",
    ]
    for architecture in ("arm64", "armhf"):
        assert names_in(publisher.index(architecture)) == ["reef-data", "1:2", "reef-demo", "1.0-1"]
    assert names_in(publisher.index(component="debug")) == ["reef-demo-dbgsym", "1.0-1"]
    assert publisher.index("armhf", "debug") == ""
    found = publisher.verify()
    assert (found.indices, found.debs, found.fingerprints) == (28, 4, (publisher.key.fingerprint,))
    assert publisher.keyring.read_bytes() == publisher.key.public
    assert set(published(publisher.repository, "trixie")) == set(publication.packages)
    assert published(publisher.repository, "bookworm") == ()


def test_nothing_new_writes_nothing(publisher: Publisher) -> None:
    debs = [publisher.deb(), publisher.deb("reef-data", "1", "all")]
    first = publisher.publish(*debs)
    before = facts_of(publisher.repository), facts_of(publisher.state)
    staged = publisher.stage({"trixie": debs}, DATE + 500)
    assert not staged.changed
    assert staged.path == publisher.repository
    (again,) = make_live(staged, publisher.repository)
    assert (facts_of(publisher.repository), facts_of(publisher.state)) == before
    assert (again.changed, again.release_sha256) == (False, first.release_sha256)
    # The same without what Reef remembers, and for equal bytes in another place.
    shutil.rmtree(publisher.state)
    elsewhere = publisher.folder / "elsewhere.deb"
    shutil.copy(debs[0], elsewhere)
    assert not publisher.publish(debs[1], elsewhere).changed
    assert facts_of(publisher.repository) == before[0]
    assert not (publisher.folder / f"staging{publisher.runs}").exists() or not any(
        (publisher.folder / f"staging{publisher.runs}").iterdir()
    )


def test_unchanged_debs_are_not_read_again(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    debs = [publisher.deb("reef-demo", f"1.{number}") for number in range(3)]
    publisher.publish(*debs)
    read: list[str] = []
    real = os.open

    def opened(path: Any, *more: Any, **named: Any) -> int:
        read.append(str(path))
        return real(path, *more, **named)

    monkeypatch.setattr(os, "open", opened)
    publisher.publish(*debs, publisher.deb("reef-new"))
    assert [path for path in read if path in map(str, debs)] == []
    # A file that changed in place is read, whatever its size and times say.
    facts = debs[0].stat()
    debs[0].write_bytes(publisher.deb("reef-demo", "1.0", content="other").read_bytes())
    os.utime(debs[0], ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with pytest.raises(PublishError, match="exists already with other bytes"):
        publisher.publish(*debs)


def test_broken_memory_only_costs_time(publisher: Publisher) -> None:
    deb = publisher.deb()
    publisher.publish(deb)
    (publisher.state / "seen.sqlite").write_bytes(b"no database" * 100)
    assert not publisher.publish(deb).changed
    assert str(deb) in seen_record.recall(publisher.state)


def test_same_input_same_bytes(tmp_path: Path, key: SigningKey, log: Log) -> None:
    settings = Settings(repository=RepositorySettings(url="https://apt.example.org"))
    trees = []
    for name in ("one", "two"):
        publisher = Publisher(tmp_path / name, key, log, settings)
        publisher.publish(publisher.deb(), publisher.deb("reef-data", "1", "all"))
        publisher.publish(publisher.deb(version="1.0-2"), date=DATE + 60)
        trees.append(tree_of(publisher.repository))
    assert trees[0] == trees[1]


def test_older_versions_stay(publisher: Publisher) -> None:
    for number, version in enumerate(("1.9-1", "1.10-1", "1.8-1")):
        publisher.publish(publisher.deb(version=version), date=DATE + number)
    assert names_in(publisher.index())[1::2] == ["1.8-1", "1.9-1", "1.10-1"]
    assert publisher.verify().debs == 3
    snapshots = sorted((publisher.repository / "snapshots" / "trixie").iterdir())
    assert [verify(snapshot, "trixie", publisher.keyring).debs for snapshot in snapshots] == [1, 2, 3]


def test_old_indices_stay_reachable_by_hash(publisher: Publisher) -> None:
    folder = publisher.repository / "dists" / "trixie"
    seen: list[set[str]] = []
    for number in range(7):
        publisher.publish(publisher.deb(version=f"1.{number}"), date=DATE + number)
        listed = [line.split() for line in (folder / "Release").read_text().splitlines() if line[:1] == " "]
        seen.append({sha256 for sha256, _, name in listed if not name.endswith("/Contents-arm64")})
        there = {path.name for path in folder.rglob("by-hash/SHA256/*")}
        assert there == set().union(*seen[-5:])


def test_suites_share_the_pool(publisher: Publisher) -> None:
    data, tool = publisher.deb("reef-data", "1", "all"), publisher.deb()
    staged = publisher.stage({"trixie": [data, tool], "bookworm": [data]})
    assert [p.suite for p in make_live(staged, publisher.repository)] == ["trixie", "bookworm"]
    assert (publisher.verify("trixie").debs, publisher.verify("bookworm").debs) == (2, 1)
    publisher.publish(tool, suite="bookworm", date=DATE + 1)
    assert names_in(publisher.index(suite="bookworm")) == ["reef-data", "1", "reef-demo", "1.0-1"]
    assert len(list(publisher.repository.glob("pool/**/*.deb"))) == 2


def test_candidate_is_a_whole_repository(publisher: Publisher) -> None:
    data, old = publisher.deb("reef-data", "1", "all"), publisher.deb()
    make_live(publisher.stage({"trixie": [old], "bookworm": [data]}), publisher.repository)
    before = facts_of(publisher.repository / "dists")
    staged = publisher.stage({"trixie": [publisher.deb(version="2")], "bookworm": [data]}, DATE + 9)
    assert verify(staged.path, "trixie").debs == 2, "by the keyring at its own root"
    assert verify(staged.path, "bookworm").debs == 1
    assert facts_of(publisher.repository / "dists") == before
    assert [p.changed for p in make_live(staged, publisher.repository)] == [True, False]
    publisher.verify("trixie")
    publisher.verify("bookworm")


def test_staging_on_another_filesystem(publisher: Publisher) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == publisher.folder.stat().st_dev:
        pytest.skip("/dev/shm is no other filesystem")
    other = memory / f"reef-test-{os.getpid()}"
    other.mkdir()
    try:
        publisher.publish(publisher.deb())
        apart = Publisher(other, publisher.key, publisher.log)
        (other / "apt").symlink_to(publisher.repository)
        apart.publish(publisher.deb(version="2"), date=DATE + 1)
    finally:
        shutil.rmtree(other)
    assert publisher.verify().debs == 2
    assert [path.name for path in publisher.repository.rglob(".*")] == []


def test_web_servers_can_read_it(publisher: Publisher) -> None:
    deb = publisher.deb()
    before = os.umask(0o077)
    try:
        publisher.publish(deb)
    finally:
        os.umask(before)
    for path in (publisher.repository, *publisher.repository.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_published_bytes_are_the_repository_s_own(publisher: Publisher) -> None:
    deb = publisher.deb()
    publisher.publish(deb)
    with deb.open("r+b") as file:  # as dpkg-deb does when it builds the same name again
        file.write(b"other")
    assert publisher.verify().debs == 1


def test_dates_only_grow(publisher: Publisher, said: io.StringIO) -> None:
    publisher.publish(publisher.deb())
    publisher.publish(publisher.deb(version="2"), date=DATE - 1000)
    assert "Date: Sun, 15 Jun 2025 15:06:41 UTC" in (publisher.repository / "dists/trixie/Release").read_text()
    assert "clients ignore a Release that is dated back" in said.getvalue()
    with pytest.raises(PublishError, match="is in the future"):
        publisher.publish(publisher.deb(version="3"), date=2**33)


def test_settings_change_what_is_said(publisher: Publisher) -> None:
    deb = publisher.deb()
    publisher.publish(deb)
    publisher.settings = Settings(repository=RepositorySettings(label="Lab", url="http://apt.lab"))
    assert publisher.publish(deb).changed
    assert "\nLabel: Lab\n" in (publisher.repository / "dists/trixie/Release").read_text()
    assert "URIs: http://apt.lab\n" in (publisher.repository / "lab-trixie.sources").read_text()
    (publisher.repository / "lab-trixie.sources").unlink()
    assert not publisher.publish(deb).changed
    assert (publisher.repository / "lab-trixie.sources").exists()


def test_unknown_architectures_get_every_index(publisher: Publisher) -> None:
    publisher.publish(publisher.deb("reef-data", "1", "all"), suite="bullseye")
    release = (publisher.repository / "dists/bullseye/Release").read_text()
    assert "\nArchitectures: amd64 arm64 armhf\n" in release


def test_same_version_other_bytes(publisher: Publisher) -> None:
    first = publisher.deb()
    publisher.publish(first)
    before = facts_of(publisher.repository)
    other = publisher.deb(content="other")
    for suite in ("trixie", "bookworm"):
        with pytest.raises(PublishError) as caught:
            publisher.publish(other, suite=suite)
        assert read_deb(first).sha256 in caught.value.detail
        assert read_deb(other).sha256 in caught.value.detail
        assert "revision" in caught.value.fix
    assert facts_of(publisher.repository) == before


def test_builds_disagree_on_a_package_for_all(publisher: Publisher) -> None:
    ours, theirs = (publisher.deb("reef-data", "1", "all", content=text) for text in ("a", "b"))
    with pytest.raises(PublishError, match=r"reef-data 1 \(all\) exists already with other bytes"):
        publisher.publish(ours, theirs)
    assert not publisher.repository.exists()


def test_a_later_build_disagrees_on_a_package_for_all(publisher: Publisher) -> None:
    """arm64 is published first; armhf comes later with the same name and version for all, made of other bytes."""
    ours, theirs = (publisher.deb("reef-data", "1", "all", content=text) for text in ("a", "b"))
    publisher.publish(ours, publisher.deb("reef-tool"))
    before = facts_of(publisher.repository)
    with pytest.raises(PublishError, match=r"reef-data 1 \(all\) exists already with other bytes") as caught:
        publisher.publish(publisher.deb("reef-tool", architecture="armhf"), theirs, date=DATE + 1)
    assert read_deb(ours).sha256 in caught.value.detail
    assert read_deb(theirs).sha256 in caught.value.detail
    assert facts_of(publisher.repository) == before
    assert publisher.publish(publisher.deb("reef-tool", architecture="armhf"), ours, date=DATE + 1).changed


def test_epochs_share_a_pool_path(publisher: Publisher) -> None:
    publisher.publish(publisher.deb(version="1.0"))
    with pytest.raises(PublishError, match="exists already"):
        publisher.publish(publisher.deb(version="1:1.0"))


def test_changed_after_the_build(publisher: Publisher) -> None:
    deb = publisher.deb()
    record = read_deb(deb)
    deb.write_bytes(deb.read_bytes().replace(b"2.0\n", b"2.1\n"))
    with pytest.raises(PublishError, match="not the file that was built") as caught:
        publisher.publish(record)
    assert record.sha256 in caught.value.detail
    assert read_deb(deb).sha256 in caught.value.detail


@pytest.mark.parametrize("kind", ["cut", "text", "missing", "folder", "pipe", "unsafe"])
def test_no_sound_deb(publisher: Publisher, kind: str) -> None:
    deb = publisher.deb()
    if kind == "cut":
        deb.write_bytes(deb.read_bytes()[:-10])
    elif kind == "text":
        deb.write_text("hello")
    elif kind == "unsafe":
        deb = publisher.deb(fields={"Source": "reef/../../x"})
    else:
        deb.unlink()
        if kind == "folder":
            deb.mkdir()
        elif kind == "pipe":
            os.mkfifo(deb)
    with pytest.raises(PublishError) as caught:
        publisher.publish(deb)
    assert str(deb) in caught.value.what
    assert not publisher.repository.exists()


@pytest.mark.parametrize("suite", ["../trixie", "trixie/x", "", ".hidden", "a b"])
def test_unsafe_suite(publisher: Publisher, suite: str) -> None:
    with pytest.raises(PublishError, match="unsafe suite name"):
        publisher.publish(publisher.deb(), suite=suite)


def test_the_component_of_debugging_symbols_is_refused_for_others(publisher: Publisher) -> None:
    publisher.settings = Settings(repository=RepositorySettings(component="debug"))
    with pytest.raises(PublishError, match="component"):
        publisher.publish(publisher.deb())


def test_an_index_changed_by_others_is_not_signed(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    index = publisher.repository / "dists/trixie/main/binary-arm64/Packages"
    index.write_bytes(index.read_bytes().replace(b"demo of", b"evil of"))
    with pytest.raises(PublishError, match="changed after its publication"):
        publisher.publish(publisher.deb(version="2"))


def test_a_foreign_folder_is_left_alone(publisher: Publisher) -> None:
    foreign = publisher.repository / "dists"
    foreign.mkdir(parents=True)
    (foreign / "trixie").symlink_to("/etc")
    with pytest.raises(PublishError, match="was not made by Reef"):
        publisher.publish(publisher.deb())


def test_overtaken_by_another_run(publisher: Publisher) -> None:
    """Callers hold a lock over stage and promote; without one, the second is refused, not mixed in."""
    publisher.publish(publisher.deb())
    slow = publisher.stage({"trixie": [publisher.deb(version="2")]}, DATE + 1)
    publisher.publish(publisher.deb(version="3"), date=DATE + 2)
    before = facts_of(publisher.repository)
    with pytest.raises(BusyError, match="another run published"):
        make_live(slow, publisher.repository)
    assert facts_of(publisher.repository) == before
