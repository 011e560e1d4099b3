"""Source packages in the repository: apt and dpkg-source fetch and unpack them, dpkg-scansources judges the index."""

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from debian.deb822 import Deb822

from builders.apt import api as apt
from builders.apt.indices.entry import parse_sources
from builders.apt.packages import reader
from builders.apt.publish.switch import make_live
from builders.apt.repository.retention import remove, unreferenced
from builders.apt.upload import Uploaded, upload
from builders.apt.verify import clients
from builders.apt.verify.server import serving
from builders.errors import PublishError
from builders.host.files import sha256_of
from builders.model.deb_file import members
from builders.model.packages import SOURCE, DebFile
from builders.model.settings import Folder, Keep, RepositorySettings, Settings
from tests.support.killing import kill_points, killed_at
from tests.support.repository import DATE, AptClient, Publisher, facts_of, tree_of

from .test_faults import signed_once  # noqa: F401 - a fixture
from .test_fuzz import NASTY

POOL = "pool/main/r/reef-demo"
ORIG = "reef-demo_1.0.orig.tar.gz"


@pytest.fixture(autouse=True)
def _own_key(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEF_GNUPGHOME", str(publisher.key.home))
    monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])


def stanzas(publisher: Publisher, suite: str = "trixie") -> list[Deb822]:
    path = publisher.repository / "dists" / suite / "main/source/Sources"
    return list(Deb822.iter_paragraphs(path.read_bytes()))


def pool(publisher: Publisher) -> list[str]:
    return sorted(path.name for path in (publisher.repository / POOL).glob("*") if path.suffix != ".deb")


def files_of(version: str) -> list[str]:
    return [f"reef-demo_{version}.debian.tar.gz", f"reef-demo_{version}.dsc"]


def client(publisher: Publisher, folder: Path, url: str) -> AptClient:
    text = (publisher.repository / "reef-trixie.sources").read_text()
    made = AptClient(folder, text.replace(publisher.repository.as_uri(), url), publisher.keyring)
    made.update()
    return made


def test_apt_fetches_and_dpkg_source_unpacks(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(publisher.deb(), publisher.source(upstream="hello\n"))
    publisher.publish(publisher.source(version="1.0-2", upstream="hello\n", packaging="new"), date=DATE + 1)
    with serving(publisher.repository) as url:
        board = client(publisher, tmp_path / "board", url)
        board.run("source", "--download-only", "reef-demo")
        fetched = sorted(path.name for path in board.folder.glob("reef-demo_*"))
        assert fetched == sorted([ORIG, *files_of("1.0-2")])
        for name in fetched:
            assert sha256_of(board.folder / name) == sha256_of(publisher.repository / POOL / name)
        subprocess.run(["dpkg-source", "-x", "reef-demo_1.0-2.dsc", "out"], cwd=board.folder, check=True)
        assert (board.folder / "out/hello.txt").read_text() == "hello\n"
        assert "# new" in (board.folder / "out/debian/rules").read_text()
        board.run("source", "--download-only", "reef-demo=1.0-1")
        assert (board.folder / "reef-demo_1.0-1.dsc").exists()
        # A snapshot serves them, too.
        old = sorted((publisher.repository / "snapshots/trixie").iterdir())[0]
        earlier = client(publisher, tmp_path / "earlier", f"{url}/snapshots/trixie/{old.name}")
        earlier.run("source", "--download-only", "reef-demo")
        assert (earlier.folder / "reef-demo_1.0-1.dsc").exists()


def test_debug_symbols_beside_sources(publisher: Publisher, tmp_path: Path) -> None:
    """Whoever adds a component is not warned of sources that it has not."""
    symbols = publisher.deb("reef-demo-dbgsym", fields={"Auto-Built-Package": "debug-symbols"})
    publisher.publish(publisher.deb(), symbols, publisher.source())
    path = publisher.repository / "reef-trixie.sources"
    board = AptClient(tmp_path / "board", path.read_text().replace(": main", ": main debug"), publisher.keyring)
    board.update()
    board.download("reef-demo-dbgsym")
    assert (publisher.repository / "dists/trixie/debug/source/Sources").read_bytes() == b""


def test_a_deb_that_calls_itself_a_source_is_refused(publisher: Publisher) -> None:
    with pytest.raises(PublishError) as caught:
        publisher.publish(publisher.deb(architecture="source"))
    assert "the architecture source is for source packages" in caught.value.detail


def test_apt_refuses_a_changed_part(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(publisher.source())
    with serving(publisher.repository) as url:
        board = client(publisher, tmp_path / "board", url)
        path = publisher.repository / POOL / ORIG
        path.write_bytes(bytes(reversed(path.read_bytes())))
        assert "Hash Sum mismatch" in board.run("source", "--download-only", "reef-demo", check=False)


def test_what_is_published_is_tried_with_apt(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(publisher.deb(), publisher.source())
    (publisher.repository / POOL / ORIG).unlink()
    trials = clients.try_here(publisher.repository, "trixie", "main", tmp_path)
    assert [trial.accepted for trial in trials if trial.keyring == "download"] == [True, False]
    assert ORIG in next(trial.said for trial in trials if not trial.accepted)


def test_the_index_says_what_dpkg_scansources_says(publisher: Publisher) -> None:
    publisher.publish(
        publisher.source(), publisher.source(version="1:2.0~rc1-1", upstream="2"), publisher.source("libreef", "0.1-1")
    )
    judge = subprocess.run(["dpkg-scansources", "pool"], cwd=publisher.repository, check=True, capture_output=True)
    wanted = {(one["Package"], one["Version"]): dict(one) for one in Deb822.iter_paragraphs(judge.stdout)}
    for one in wanted.values():  # what Debian 13's judge makes up where no list of overrides says it
        one.pop("Priority", None)
        one.pop("Section", None)
    assert len(wanted) == 3
    assert {(one["Package"], one["Version"]): dict(one) for one in stanzas(publisher)} == wanted
    assert wanted["libreef", "0.1-1"]["Directory"] == "pool/main/libr/libreef"
    verified = publisher.verify()
    assert (verified.debs, verified.sources) == (0, 3)


def test_a_suite_without_sources_says_nothing_of_them(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    publisher.publish(publisher.source(), suite="bookworm")
    assert not list(publisher.repository.glob("snapshots/trixie/*/dists/*/*/source"))
    types = {name: (publisher.repository / f"reef-{name}.sources").read_text() for name in ("trixie", "bookworm")}
    assert "\nTypes: deb\n" in types["trixie"]
    assert "\nTypes: deb deb-src\n" in types["bookworm"]
    release = (publisher.repository / "dists/bookworm/Release").read_text()
    assert " main/source/Sources.xz\n" in release
    assert "source" not in next(line for line in release.splitlines() if line.startswith("Architectures:"))


def test_the_keyring_package_brings_deb_src(publisher: Publisher) -> None:
    publisher.settings = Settings(repository=RepositorySettings(url="http://example.org/"))

    def types() -> list[str]:
        debs = publisher.repository.glob("pool/**/reef-archive-keyring_*.deb")
        newest = max(debs, key=lambda path: path.name)
        text = next(content for entry, content in members(newest) if entry.name.endswith(".sources"))
        return [line for line in (text or b"").decode().splitlines() if line.startswith("Types:")]

    apt.change(publisher.project(), {"trixie": [given(publisher.deb())]})
    assert types() == ["Types: deb"]
    apt.change(publisher.project(), {"trixie": [given(publisher.source())]})
    assert types() == ["Types: deb deb-src"]
    assert "deb deb-src" in (publisher.repository / "reef-trixie.sources").read_text()


def given(path: Path) -> DebFile:
    """Return a file's record as a build has it."""
    name, version, rest = path.stem.split("_") if path.suffix == ".deb" else (*path.stem.split("_"), SOURCE)
    return DebFile(name, version, rest, path.stat().st_size, sha256_of(path), path)


def test_nothing_new_writes_nothing(publisher: Publisher) -> None:
    source = publisher.source()
    assert publisher.publish(publisher.deb(), source).changed
    before = facts_of(publisher.repository)
    assert not publisher.publish(source, date=DATE + 1).changed
    assert not publisher.publish(publisher.source(), date=DATE + 2).changed
    assert facts_of(publisher.repository) == before
    shutil.rmtree(publisher.state)
    assert not publisher.publish(source, date=DATE + 3).changed
    publisher.publish(publisher.source("reef-other"), date=DATE + 4)
    assert [one["Package"] for one in stanzas(publisher)] == ["reef-demo", "reef-other"]


def test_the_page_lists_packages_for_boards_only(publisher: Publisher) -> None:
    publisher.publish(publisher.deb(), publisher.source(), publisher.source("reef-only-source"))
    text = (publisher.repository / "index.html").read_text()
    assert "1 package for" in text
    assert "reef-only-source" not in text
    assert "Types: deb deb-src" in text


def test_revisions_share_the_upstream_tarball(publisher: Publisher) -> None:
    """It arrives once, at whichever time; after every publication that held it is gone it may come anew."""
    publisher.publish(publisher.source(), publisher.source(version="1.0-2"))
    inode = (publisher.repository / POOL / ORIG).stat().st_ino
    publisher.publish(publisher.source(version="1.0-3"), suite="trixie-testing", date=DATE + 1)
    assert (publisher.repository / POOL / ORIG).stat().st_ino == inode
    assert pool(publisher) == sorted([ORIG, *files_of("1.0-1"), *files_of("1.0-2"), *files_of("1.0-3")])
    assert (publisher.verify().sources, publisher.verify("trixie-testing").sources) == (2, 1)


@pytest.mark.parametrize("together", [True, False])
def test_one_name_with_other_bytes_is_refused_with_both_digests(publisher: Publisher, together: bool) -> None:
    one, other = publisher.source(), publisher.source(version="1.0-2", upstream="other\n")
    digests = [sha256_of(path.with_name(ORIG)) for path in (one, other)]
    if not together:
        publisher.publish(one)
    before = tree_of(publisher.repository)
    with pytest.raises(PublishError, match=ORIG) as caught:
        publisher.publish(*([one, other] if together else [other]), date=DATE + 1)
    assert [text for text in digests if text in caught.value.detail] == digests
    assert "raise the recipe's version" in caught.value.fix
    assert tree_of(publisher.repository) == before
    same = publisher.source(packaging="other")
    publisher.publish(one, date=DATE + 2)
    with pytest.raises(PublishError, match=r"reef-demo 1.0-1 \(source\) exists already with other bytes") as caught:
        publisher.publish(same, date=DATE + 3)
    assert sha256_of(same) in caught.value.detail


def test_bytes_that_only_an_earlier_publication_names_are_kept_too(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    publisher.publish(publisher.source(), date=DATE + 1)
    apt.rollback(publisher.project(), "trixie")
    assert stanzas(publisher) == [], "the index stays, for machines that ask for it"
    assert "deb deb-src" in (publisher.repository / "reef-trixie.sources").read_text()
    before = tree_of(publisher.repository)
    with pytest.raises(PublishError, match=f"{ORIG} was published before with other bytes") as caught:
        publisher.publish(publisher.source(version="1.0-2", upstream="other"))
    assert "trixie/" in caught.value.detail
    with pytest.raises(PublishError, match=r"reef-demo 1.0-1 \(source\) was published before with other bytes"):
        publisher.publish(publisher.source(packaging="other"))
    assert tree_of(publisher.repository) == before
    assert publisher.publish(publisher.source(version="1.0-2")).changed
    assert publisher.verify().sources == 1


def listed(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def with_name(name: str) -> Callable[[Path], None]:
    return lambda dsc: listed(dsc, lambda text: text.replace(ORIG, name))


def many_files(text: str) -> str:
    for field, digits in (("Checksums-Sha1", 40), ("Checksums-Sha256", 64), ("Files", 32)):
        more = "".join(f" {'0' * digits} 1 reef-demo_{number}.tar.gz\n" for number in range(100))
        text = text.replace(f"\n{field}:\n", f"\n{field}:\n{more}")
    return text


def a_folder(dsc: Path) -> None:
    dsc.with_name(ORIG).unlink()
    dsc.with_name(ORIG).mkdir()


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a part is missing": (lambda dsc: dsc.with_name(ORIG).unlink(), "cannot read"),
    "a part is a folder": (a_folder, "cannot read"),
    "a part is truncated": (lambda dsc: os.truncate(dsc.with_name(ORIG), 50), "found: 50 bytes"),
    "a part is another": (
        lambda dsc: dsc.with_name(ORIG).write_bytes(bytes(dsc.with_name(ORIG).stat().st_size)),
        "is not the file that reef-demo_1.0-1.dsc names",
    ),
    "md5 is another": (
        lambda dsc: listed(dsc, lambda text: text.replace("Files:\n ", "Files:\n " + "0" * 32 + " 5 x\n ", 1)),
        "do not name the same files",
    ),
    "the .dsc is empty": (lambda dsc: dsc.write_text(""), "truncated"),
    "the .dsc is cut in a line": (lambda dsc: os.truncate(dsc, dsc.stat().st_size - 5), "truncated"),
    "the .dsc is cut after a line": (
        lambda dsc: listed(dsc, lambda text: text[: text.rindex("\n", 0, -1) + 1]),
        "do not name the same files",
    ),
    "no list": (lambda dsc: listed(dsc, lambda text: text[: text.index("Files:")]), "the field Files is missing"),
    "two stanzas": (lambda dsc: listed(dsc, lambda text: text + "\nSource: other\n"), "neither a field"),
    "upwards": (with_name("../" * 6 + "tmp/escaped.tar.gz"), "unsafe file name"),
    "absolute": (with_name("/etc/passwd"), "unsafe file name"),
    "a folder below": (with_name("reef-demo_1.0/x.tar.gz"), "unsafe file name"),
    "another source's": (with_name("reef-other_1.0.orig.tar.gz"), "unsafe file name"),
    "a .deb": (with_name("reef-demo_1.0_arm64.deb"), "unsafe file name"),
    "itself": (with_name("reef-demo_1.0-1.dsc"), "unsafe file name"),
    "a nameless one": (with_name(" "), "invalid or duplicate line of"),
    "a version upwards": (
        lambda dsc: listed(dsc, lambda text: text.replace("Version: 1.0-1", "Version: ../1")), "unsafe version",
    ),
    "a source upwards": (
        lambda dsc: listed(dsc, lambda text: text.replace("Source: reef-demo", "Source: ../../x")),
        "unsafe source name",
    ),
    "a directory of its own": (
        lambda dsc: listed(dsc, lambda text: f"Directory: ..\n{text}"), "only the archive may set",
    ),
    "a hundred files": (lambda dsc: listed(dsc, many_files), "it names 102 files"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_not_sound_is_refused(publisher: Publisher, kind: str) -> None:
    publisher.publish(publisher.deb())
    before, source = facts_of(publisher.repository), publisher.source()
    (break_it, told) = HOSTILE[kind]
    break_it(source)
    with pytest.raises(PublishError) as caught:
        publisher.publish(source, publisher.deb("reef-new"), date=DATE + 1)
    assert told in f"{caught.value.what}\n{caught.value.detail}"
    assert facts_of(publisher.repository) == before


def test_hostile_dscs_never_lead_elsewhere(publisher: Publisher, tmp_path: Path) -> None:
    """Whatever stands in a .dsc, it is refused, or all its files lie in one folder of the pool, as they were."""
    source, chance = publisher.source(), random.Random(5)
    sound, taken = source.read_text(), 0
    for number in range(400):
        words = sound.split(" ")
        for _ in range(chance.randrange(1, 3)):
            words[chance.randrange(len(words))] = chance.choice((*NASTY, *words))
        text = " ".join(words)[: chance.choice((None, None, chance.randrange(len(sound))))]
        source.write_bytes(text.encode(errors="surrogatepass"))
        try:
            found = reader.read(str(source), "", str(tmp_path / f"copy{number}"), "main")
        except PublishError:
            continue
        taken += 1
        folder = Path(found.filename).parent
        assert folder.parts[:2] == ("pool", "main")
        assert ".." not in folder.parts
        assert {Path(path).parent for path, _, _ in found.parts} == {folder}
        assert {Path(path).name for path, _, _ in found.parts} == {ORIG, files_of("1.0-1")[0]}
        (entry,) = parse_sources(found.stanza, "Sources")
        assert (entry.filename, entry.parts, entry.sha256) == (found.filename, found.parts, found.sha256)
    assert taken > 20, "what is harmless is taken"


def test_a_recorded_dsc_is_what_it_was(publisher: Publisher) -> None:
    record = given(publisher.source())
    listed(record.path, lambda text: text.replace("Maintainer: Reef", "Maintainer: Leaf"))
    with pytest.raises(PublishError, match="is not the file that was built and checked"):
        publisher.publish(record)


@pytest.mark.parametrize("name", [ORIG, "reef-demo_1.0-1.dsc"])
@pytest.mark.parametrize("fault", ["other bytes", "missing"])
def test_verification_reads_every_file(publisher: Publisher, name: str, fault: str) -> None:
    publisher.publish(publisher.source())
    path = publisher.repository / POOL / name
    path.unlink() if fault == "missing" else path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(PublishError, match=name):
        publisher.verify()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f" {ORIG}", " ../../../../x.tar.gz"),
        (f"Directory: {POOL}", "Directory: pool/../.."),
        (".dsc", ".tsc"),
        ("Checksums-Sha256:", "Checksums-Sha257:"),
        ("Version: ", "Wersion: "),
    ],
)
def test_an_index_that_is_not_whole_is_refused(before: str, after: str, publisher: Publisher) -> None:
    publisher.publish(publisher.source())
    text = (publisher.repository / "dists/trixie/main/source/Sources").read_text()
    assert before in text
    with pytest.raises(PublishError, match=r"Sources: (broken entry|unsafe path)"):
        list(parse_sources(text.replace(before, after).encode(), "Sources"))


def test_prune_keeps_a_shared_tarball(publisher: Publisher) -> None:
    """Versions of sources are counted by themselves; a tarball goes with the last version that names it."""
    publisher.settings = Settings(repository=RepositorySettings(keep=Keep(versions=1, snapshots=1), generations=1))
    publisher.publish(publisher.deb(), publisher.source())
    publisher.publish(publisher.deb(version="1.0-2"), publisher.source(version="1.0-2"), date=DATE + 1)
    assert [one["Version"] for one in stanzas(publisher)] == ["1.0-2"]
    remove(publisher.repository, unreferenced(publisher.repository, publisher.settings))
    assert pool(publisher) == sorted([ORIG, *files_of("1.0-2")])
    publisher.verify()
    publisher.publish(publisher.deb(version="1.1-1"), publisher.source(version="1.1-1"), date=DATE + 2)
    remove(publisher.repository, unreferenced(publisher.repository, publisher.settings))
    assert pool(publisher) == sorted(["reef-demo_1.1.orig.tar.gz", *files_of("1.1-1")])
    assert (publisher.verify().debs, publisher.verify().sources) == (1, 1)


def test_a_source_stays_while_one_cpu_has_its_version(publisher: Publisher) -> None:
    """A build that failed for one CPU leaves that one's older .deb, whose source nobody must miss."""
    publisher.settings = Settings(repository=RepositorySettings(keep=Keep(versions=1)))
    old = (publisher.deb(architecture="armhf"), publisher.source())
    publisher.publish(publisher.deb(), *old)
    publisher.publish(publisher.deb(version="1.0-2"), publisher.source(version="1.0-2"), *old, date=DATE + 1)
    assert [one["Version"] for one in stanzas(publisher)] == ["1.0-1", "1.0-2"]
    publisher.publish(publisher.deb(version="1.0-2", architecture="armhf"), date=DATE + 2)
    publisher.publish(publisher.source(version="1.0-2"), publisher.source(version="1.0-3"), date=DATE + 3)
    assert [one["Version"] for one in stanzas(publisher)] == ["1.0-2", "1.0-3"]
    publisher.verify()


def test_promotion_takes_the_source_along(publisher: Publisher) -> None:
    tool = publisher.deb("reef-tool", fields={"Source": "reef-demo"})
    newer = publisher.deb("reef-tool", "1.0-1+b1", fields={"Source": "reef-demo (1.0-1)"})
    others = [publisher.source(version="1.0-2"), publisher.deb("reef-other"), publisher.source("reef-other")]
    publisher.publish(publisher.deb("reef-base"))
    publisher.publish(tool, newer, publisher.source(), *others, suite="trixie-testing", date=DATE + 1)
    _, new = apt.promote(publisher.project(), "trixie-testing", "trixie", ["reef-tool"])
    assert sorted(map(str, new)) == [
        "reef-demo 1.0-1 (source)", "reef-tool 1.0-1 (arm64)", "reef-tool 1.0-1+b1 (arm64)",
    ]  # fmt: skip
    assert [(one["Package"], one["Version"]) for one in stanzas(publisher)] == [("reef-demo", "1.0-1")]
    assert publisher.verify().sources == 1
    _, new = apt.promote(publisher.project(), "trixie-testing", "trixie")
    assert sorted(map(str, new)) == ["reef-other 1.0-1 (arm64)", "reef-other 1.0-1 (source)"]


def test_phases_and_rollbacks_leave_sources_alone(publisher: Publisher) -> None:
    publisher.publish(publisher.deb(), publisher.source())
    publisher.publish(publisher.source("reef-demo", "0.9-1"), publisher.source(version="1.0-9"), date=DATE + 1)
    before = stanzas(publisher)
    _, versions = apt.phase(publisher.project(), "trixie", ["reef-demo"], 10)
    assert versions == {"reef-demo": "1.0-1"}
    assert "Phased-Update-Percentage: 10" in publisher.index()
    assert stanzas(publisher) == before
    publisher.publish(publisher.source(version="1.0-2"), date=DATE + 10**7)
    apt.rollback(publisher.project(), "trixie")
    assert stanzas(publisher) == before
    (publisher.repository / POOL / ORIG).unlink()
    with pytest.raises(PublishError, match="the pool lacks") as caught:
        apt.rollback(publisher.project(), "trixie")
    assert ORIG in caught.value.detail


def test_killed_while_switching(publisher: Publisher, signed_once: None, complete: bool) -> None:  # noqa: F811
    """With a new source package whose tarball another suite's shares, and one that is wholly new."""
    publisher.publish(publisher.deb(), publisher.source())
    new = [publisher.source(version="1.0-2"), publisher.source("reef-more"), publisher.deb("reef-more")]
    template = publisher.folder / "template"
    shutil.copytree(publisher.repository, template / "apt", symlinks=True)
    shutil.copytree(publisher.folder / "state", template / "state")
    staged = publisher.stage({"trixie": new}, DATE + 60)
    points = kill_points(lambda: make_live(staged, publisher.repository), complete=complete)
    expected = tree_of(publisher.repository)
    outcomes = []
    for number in points:
        for name in ("apt", "state"):
            shutil.rmtree(publisher.folder / name)
            shutil.copytree(template / name, publisher.folder / name, symlinks=True)
        staged = publisher.stage({"trixie": new}, DATE + 60)
        was_killed = killed_at(lambda staged=staged: make_live(staged, publisher.repository), number)  # type: ignore[misc]
        assert was_killed == (number < points[-1])
        outcomes.append(publisher.verify().sources)
        if not was_killed:
            break
        if number % 2:
            # Another run that wants nothing of it: what came goes, and nothing of what is published.
            publisher.publish(publisher.deb("reef-later"), date=DATE + 90)
            assert sorted(pool(publisher)) == sorted(
                [ORIG, *files_of("1.0-1"), *(files_of("1.0-2") if publisher.verify().sources == 3 else [])]
            ), number
            continue
        make_live(publisher.stage({"trixie": new}, DATE + 60), publisher.repository)
        assert tree_of(publisher.repository) == expected, number
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {1, 3}
    assert points[-1] > 20


def send(publisher: Publisher, to: Folder) -> Uploaded:
    return upload(
        publisher.repository, to, publisher.settings, publisher.log, base=publisher.folder, state=publisher.state
    )


@pytest.mark.parametrize("links", [True, False])
def test_uploads_carry_all_files(publisher: Publisher, tmp_path: Path, links: bool) -> None:
    """Also those that only readers of what was shown before may still ask for."""
    publisher.settings = Settings(repository=RepositorySettings(keep=Keep(versions=1, snapshots=1), generations=1))
    to = Folder(name="disk", kind="folder", path=str(tmp_path / "srv"), links=links)
    there = tmp_path / "srv" / POOL
    publisher.publish(publisher.deb(), publisher.source())
    send(publisher, to)
    for number, version in enumerate(("1.0-2", "1.1-1", "1.2-1"), 1):
        publisher.publish(publisher.deb(version=version), publisher.source(version=version), date=DATE + number)
        remove(publisher.repository, unreferenced(publisher.repository, publisher.settings))
        shown = {path.name for path in there.iterdir()}
        send(publisher, to)
        after = {path.name for path in there.iterdir()}
        assert after >= {*pool(publisher), *files_of(stanzas(publisher)[-1]["Version"])}
        if number == 2:
            assert {ORIG, *files_of("1.0-2")} <= shown & after, "the readers of 1.0-2 are still served"
    assert ORIG not in {path.name for path in there.iterdir()}
    with serving(tmp_path / "srv") as url:
        board = client(publisher, tmp_path / "board", url)
        board.run("source", "--download-only", "reef-demo")
    name = "reef-demo_1.2.orig.tar.gz"
    digest = hashlib.sha256((board.folder / name).read_bytes()).hexdigest()
    assert digest == sha256_of(publisher.repository / POOL / name)
