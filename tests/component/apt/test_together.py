"""Packages that a board may have for several CPUs: published at once, one after the other, and promoted."""

import io
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.indices.entry import IndexEntry
from builders.apt.packages.published_files import published_files
from builders.apt.repository.layout import RepositoryLayout
from builders.apt.repository.publication import read_live
from builders.apt.state import read_cache
from builders.cli import repository as cli
from builders.errors import PublishError
from builders.model.deb_file import read_deb
from builders.model.packages import DebFile, Report
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import Record
from builders.pipeline.prebuilt import given
from builders.pipeline.together import built_together, published_together, require_newest
from tests.support.repository import Publisher, tree_of

SHARED = "/usr/share/reef-demo/content: different content"
SAME = {"Multi-Arch": "same"}


@pytest.fixture
def publisher(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """A repository whose operations ask no clients; these have files of their own (test_client_report.py)."""
    monkeypatch.setenv("REEF_GNUPGHOME", str(publisher.key.home))
    monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])
    return publisher


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def deb(publisher: Publisher, cpu: str, content: str, version: str = "1.0-1", **fields: str) -> DebFile:
    return read_deb(publisher.deb("reef-demo", version, cpu, content=content, fields=SAME | fields))


def builds(publisher: Publisher, stack: ExitStack, *debs: DebFile) -> list[tuple[BuildTarget, Record]]:
    """Return a build of each .deb."""
    targets = [f"trixie/{each.architecture}" for each in debs]
    found = stack.enter_context(
        given(publisher.project(), [str(each.path) for each in debs], targets, engine=None, suffix="")
    )
    by_cpu = {each.architecture: each for each in debs}
    return [
        (target, Record({}, (by_cpu[target.target.architecture.debian],), (), (), (0, 0), "chroot", ()))
        for target in found
    ]


def failed(reports: list[Report]) -> list[str]:
    return [verdict.faults[0] for report in reports for verdict in report.verdicts if not verdict.passed]


def test_an_older_version_than_the_published_is_refused(publisher: Publisher, stack: ExitStack) -> None:
    publisher.publish(deb(publisher, "arm64", "", "1.0-10"), deb(publisher, "armhf", "", "1.0-2"))
    old, same, new = (deb(publisher, "arm64", "", version) for version in ("1.0-9", "1.0-10", "1.0-11"))
    for build in (*builds(publisher, stack, same), *builds(publisher, stack, new),
                  *builds(publisher, stack, deb(publisher, "armhf", "", "1.0-9"))):  # fmt: skip
        require_newest(publisher.project(), *build, suffix="")
    (build,) = builds(publisher, stack, old)
    require_newest(publisher.project(), *build, suffix="testing")
    with pytest.raises(PublishError, match=r"trixie has reef-demo 1\.0-10, which is newer than 1\.0-9") as caught:
        require_newest(publisher.project(), *build, suffix="")
    assert "./inv rollback trixie" in caught.value.fix


def test_built_and_published_at_once(publisher: Publisher, stack: ExitStack) -> None:
    one, other = deb(publisher, "arm64", "64 bits"), deb(publisher, "armhf", "32 bits")
    ready = builds(publisher, stack, one, other)
    assert failed(published_together(publisher.project(), ready, suffix="")) == [f"{SHARED} (armhf and arm64)"]
    assert failed(built_together((*each, True) for each in ready)) == [f"{SHARED} (armhf and arm64)"]
    assert failed(built_together((*each, False) for each in ready)) == [], "judged when they were built"


def test_one_today_and_the_other_tomorrow(publisher: Publisher, stack: ExitStack) -> None:
    one = deb(publisher, "arm64", "64 bits")
    publisher.publish(one)
    good, bad = deb(publisher, "armhf", "64 bits"), deb(publisher, "armhf", "32 bits")
    project = publisher.project()
    assert failed(published_together(project, builds(publisher, stack, bad), suffix="")) == [
        f"{SHARED} (armhf and arm64)"
    ]
    assert failed(published_together(project, builds(publisher, stack, good), suffix="")) == []
    assert failed(published_together(project, builds(publisher, stack, bad), suffix="testing")) == []
    (again,) = published_together(project, builds(publisher, stack, one), suffix="")
    assert again.verdicts == (), "what is published is not judged again"


def test_packages_for_one_cpu_alone_may_differ(publisher: Publisher, stack: ExitStack) -> None:
    publisher.publish(deb(publisher, "arm64", "64 bits", **{"Multi-Arch": "foreign"}))
    other = deb(publisher, "armhf", "32 bits", **{"Multi-Arch": "foreign"})
    assert failed(published_together(publisher.project(), builds(publisher, stack, other), suffix="")) == []


def test_versions_that_differ_are_a_warning(publisher: Publisher, stack: ExitStack, said: io.StringIO) -> None:
    publisher.publish(deb(publisher, "arm64", "x"), deb(publisher, "armhf", "x"))
    newer = deb(publisher, "arm64", "x", "1.0-2")
    published_together(publisher.project(), builds(publisher, stack, newer), suffix="")
    assert "trixie: reef-demo is 1.0-2 for arm64, 1.0-1 for armhf; a board cannot have both" in said.getvalue()


def test_a_file_of_another_package(publisher: Publisher, stack: ExitStack) -> None:
    """dpkg refuses to overwrite it, whichever comes first, unless relations say which package replaces the other."""
    path = "usr/bin/reef-tool"
    owner = read_deb(publisher.deb("reef-old", "2.0-1", files=[path], fields={"Provides": "reef-any-tool"}))
    publisher.publish(owner, read_deb(publisher.deb("reef-old", "1.0-1", files=["usr/bin/reef-gone"])))
    for fields, faults in (
        ({}, [f"/{path} is also in reef-old 2.0-1"]),
        ({"Replaces": "reef-old (<< 2)"}, [f"/{path} is also in reef-old 2.0-1"]),
        ({"Replaces": "reef-any-tool"}, [f"/{path} is also in reef-old 2.0-1"]),
        ({"Replaces": "reef-old"}, []),
        ({"Conflicts": "reef-any-tool"}, []),
        ({"Breaks": "reef-old (<= 2.0-1)"}, [f"/{path} is also in reef-old 2.0-1"]),
    ):
        more = read_deb(publisher.deb("reef-new", files=[path, "usr/bin/reef-gone"], fields=fields))
        ready = builds(publisher, stack, more)
        assert failed(published_together(publisher.project(), ready, suffix="")) == faults, fields
        assert dpkg_takes(publisher.folder / f"root{len(list(publisher.folder.glob('root*')))}", owner, more) == (
            not faults
        )
        assert failed(published_together(publisher.project(), ready, suffix="testing")) == []


def test_a_file_of_another_recipe_in_the_same_run(publisher: Publisher, stack: ExitStack) -> None:
    debs = [read_deb(publisher.deb(name, files=["usr/bin/reef-tool"])) for name in ("reef-a", "reef-b")]
    ready = [build for each in debs for build in builds(publisher, stack, each)]
    assert failed(published_together(publisher.project(), ready, suffix="")) == [
        "/usr/bin/reef-tool is also in reef-a 1.0-1"
    ]


def dpkg_takes(root: Path, *debs: DebFile) -> bool:
    """Return whether dpkg unpacks packages, or refuses for their relations before it comes to their files."""
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/status").touch()
    words = ["dpkg", f"--root={root}", "--force-script-chrootless", "--force-not-root", "--log=/dev/null"]
    subprocess.run([*words, "--add-architecture", "arm64"], check=True)
    said = ""
    for each in debs:
        done = subprocess.run([*words, "--unpack", str(each.path)], capture_output=True, text=True, check=False)
        said += done.stderr
    return "trying to overwrite" not in said


def test_promotion(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(deb(publisher, "arm64", "64 bits"))
    publisher.publish(deb(publisher, "armhf", "32 bits"), suite="trixie-testing")
    with pytest.raises(PublishError, match=r"a board cannot have reef-demo 1\.0-1 for armhf and arm64") as caught:
        apt.promote(publisher.project(), "trixie-testing", "trixie")
    assert caught.value.detail == SHARED
    publisher.publish(deb(publisher, "armhf", "x", "1.0-2"), deb(publisher, "arm64", "y", "1.0-2"), suite="bookworm-a")
    apt.promote(publisher.project(), "bookworm-a", "bookworm")  # accepted there when they were published


def test_promotion_beside_a_file_of_another_package(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the suite that it comes from has too was judged there."""
    path = "usr/bin/reef-tool"
    owner, tool, other = (publisher.deb(name, files=[path]) for name in ("reef-old", "reef-tool", "reef-all"))
    publisher.publish(owner)
    publisher.publish(tool, suite="trixie-testing")
    publisher.publish(publisher.deb("reef-any", architecture="all", files=[path]), suite="trixie-all")
    monkeypatch.setattr(cli, "open_project", publisher.project)
    before = tree_of(publisher.repository)
    with pytest.raises(PublishError, match="cannot be promoted to trixie") as caught:
        cli.promote("trixie-testing", "trixie", [])
    assert caught.value.detail == f"reef-tool: /{path} is also in reef-old 1.0-1"
    assert "dpkg refuses to overwrite" in caught.value.fix
    with pytest.raises(PublishError, match="cannot be promoted to trixie") as caught:
        cli.promote("trixie-all", "trixie", [])
    assert caught.value.detail == f"reef-any: /{path} is also in reef-old 1.0-1"
    assert tree_of(publisher.repository) == before
    publisher.publish(owner, other, suite="trixie-testing")
    cli.promote("trixie-testing", "trixie", ["reef-all"])
    assert "Package: reef-all\n" in publisher.index()


def test_only_packages_that_share_a_path_are_decoded(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a .deb without files is not read again from the pool."""
    publisher.publish(*(publisher.deb(name, files=[f"usr/bin/{name}"]) for name in ("reef-a", "reef-b", "reef-c")))
    (digest,) = (e.sha256 for e in published_entries(publisher) if e.package == "reef-c")
    read_cache.remember_lists(publisher.state, {digest: read_cache.packed(b"")})
    monkeypatch.setattr("builders.apt.packages.published_files._read", no_reading)
    sought = {"arm64": {"/usr/bin/reef-b", "/usr/bin/reef-c"}, "armhf": {"/usr/bin/reef-a"}}
    found = published_files(publisher.repository, "trixie", sought, state=publisher.state)
    assert {cpu: [each.control["Package"] for each in packages] for cpu, packages in found.items()} == {
        "arm64": ["reef-b"], "armhf": [],
    }  # fmt: skip


def published_entries(publisher: Publisher) -> Sequence[IndexEntry]:
    live = read_live(RepositoryLayout(publisher.repository), "trixie")
    assert live
    return live.entries


def no_reading(path: Path) -> bytes:
    raise AssertionError(path)
