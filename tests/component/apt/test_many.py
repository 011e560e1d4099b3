"""Many .debs are read by several processes: the same comes out, and what one of them refuses ends the others."""

import shutil
import sys
from pathlib import Path

import psutil
import pytest

from builders.apt.packages import intake
from builders.errors import DiskError, PublishError
from builders.host.process import ProgramFailed
from tests.support.repository import DATE, Publisher


@pytest.fixture(autouse=True)
def by_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MANY", 5)
    monkeypatch.setattr(intake, "PART", 2)


def readers() -> list[psutil.Process]:
    """Return the readers that this process has; what ended already has no command line."""
    mine = {child.pid for child in psutil.Process().children(recursive=True)}
    everybody = psutil.process_iter(["cmdline"])
    return [
        one for one in everybody if one.pid in mine and "builders.apt.packages.reader" in (one.info["cmdline"] or ())
    ]


def test_processes_say_what_threads_say(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    debs = [publisher.deb(f"reef-{letter}", files=[f"usr/bin/{letter}"]) for letter in "gfedcba"]
    publisher.publish(*debs)
    first = indices(publisher)
    assert {"Packages", "Contents-arm64.gz"} <= set(first)
    shutil.rmtree(publisher.repository)
    shutil.rmtree(publisher.state)
    monkeypatch.setattr(intake, "MANY", 100)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    publisher.publish(*debs)
    assert indices(publisher) == first


def indices(publisher: Publisher) -> dict[str, bytes]:
    folder = publisher.repository / "dists/trixie/main"
    return {
        path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "by-hash" not in path.parts
    }


@pytest.mark.parametrize("broken", [0, 3, 6])
def test_the_first_that_is_refused_is_told_and_ends_all(publisher: Publisher, broken: int) -> None:
    publisher.publish(publisher.deb("reef-before"))
    debs = [publisher.deb(f"reef-{letter}") for letter in "abcdefg"]
    for deb in {debs[broken], debs[6]}:
        deb.write_bytes(deb.read_bytes()[:-40])
    with pytest.raises(PublishError, match=r"invalid \.deb") as told:
        publisher.publish(*debs, date=DATE + 1)
    assert debs[broken].name in told.value.what
    assert readers() == []
    publisher.verify()
    assert publisher.index().count("Package:") == 1


def test_nobody_reads_on_after_a_refusal(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "PART", 1)
    broken, good = publisher.deb("reef-broken"), publisher.deb("reef-good")
    broken.write_bytes(broken.read_bytes()[:-40])
    others = [good.with_name(f"{number}.deb") for number in range(3000)]
    for other in others:
        other.hardlink_to(good)
    with pytest.raises(PublishError, match=r"invalid \.deb"):
        publisher.publish(broken, *others)
    copies = list((publisher.folder / f"staging{publisher.runs}" / ".incoming").glob("[0-9]*"))
    assert 0 < len(copies) < 1000


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("kill -KILL $$", ProgramFailed),
        ("exit 0", AssertionError),
        ("echo OSError: [Errno 28] No space left on device; exit 1", DiskError),
    ],
)
def test_a_reader_that_dies_is_no_silent_end(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, error: type[Exception]
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho a warning\n{end}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(error):
        publisher.publish(*(publisher.deb(f"reef-{letter}") for letter in "abcdef"))
    assert not (publisher.repository / "dists").exists()
