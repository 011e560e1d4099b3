"""The benchmark's verdicts: each wish is judged by its own figure, and by nothing else."""

import os
import time
from pathlib import Path

import pytest

from tests.bench.publishing import Peak, changed_since, verdicts

GOOD = {
    "first": {"reef": 9.0, "apt-ftparchive": 9.0, "reprepro": 1.0, "aptly": 90.0},
    "one new": {"reef": 1.9, "apt-ftparchive": 2.0, "reprepro": 2.0, "aptly": 2.0},
    "nothing new": {"reef": 0.4, "apt-ftparchive": 0.1},
    "nothing new, all given": {"reef": 0.4},
    "verified and tried: one new": {"reef": 20.0},
    "verified: nothing new": {"reef": 0.4},
}
PEAKS = {"first": Peak(299, 150), "one new": Peak(100, 100), "verified and tried: one new": Peak(299, 200)}
WRITTEN = {"nothing new": 0, "verified: nothing new": 0}


def missed(rows: object = None, peaks: object = None, written: object = None) -> list[str]:
    """Return the wishes that are not met where something differs from what is good."""
    found = verdicts(GOOD | (rows or {}), PEAKS | (peaks or {}), WRITTEN | (written or {}))  # type: ignore[operator]
    return [one.wish for one in found if one.met is False]


def test_all_is_well() -> None:
    assert missed() == []
    wishes = [one.wish for one in verdicts(GOOD, PEAKS, WRITTEN)]
    assert len(wishes) == len(set(wishes)) == 13


@pytest.mark.parametrize(
    ("what", "who", "seconds", "wishes"),
    [
        ("first", "apt-ftparchive", 8.9, ["first: not slower than apt-ftparchive"]),
        ("first", "aptly", 89.0, ["first: ten times faster than aptly"]),
        ("first", "reprepro", 0.1, []),
        ("one new", "apt-ftparchive", 1.9, ["one new: faster than apt-ftparchive"]),
        ("one new", "reprepro", 1.8, ["one new: faster than reprepro"]),
        ("one new", "aptly", 1.0, ["one new: faster than aptly"]),
        ("nothing new", "reef", 0.5, ["nothing new: under 0.5 s"]),
        ("nothing new", "apt-ftparchive", 0.0, []),
        ("nothing new, all given", "reef", 0.6, ["nothing new, all given: under 0.5 s"]),
        ("verified: nothing new", "reef", 0.6, ["verified: nothing new: under 0.5 s"]),
        ("verified and tried: one new", "reef", 99.0, []),
    ],
)
def test_seconds(what: str, who: str, seconds: float, wishes: list[str]) -> None:
    assert missed({what: GOOD[what] | {who: seconds}}) == wishes


def test_one_new_has_a_bound_of_its_own() -> None:
    assert missed({"one new": {"reef": 2.0, "apt-ftparchive": 9.0, "reprepro": 9.0, "aptly": 9.0}}) == [
        "one new: under 2 s"
    ]


def test_memory_is_that_of_all_processes_together() -> None:
    assert missed(peaks={"one new": Peak(300, 10)}) == ["memory, publishing: under 300 MB"]
    assert missed(peaks={"verified: nothing new": Peak(400, 10)}) == ["memory, with verification and apt: under 300 MB"]
    told = [one.found for one in verdicts(GOOD, PEAKS, WRITTEN) if one.wish.startswith("memory, publishing")]
    assert told == ["299 MB in 'first', largest process 150 MB"]


def test_any_write_counts(tmp_path: Path) -> None:
    assert missed(written={"nothing new": 1}) == ["nothing new: writes nothing"]
    (tmp_path / "pool").mkdir()
    file = tmp_path / "pool" / "a.deb"
    file.touch()
    moment = max(path.lstat().st_ctime_ns for path in (tmp_path, tmp_path / "pool", file))
    assert changed_since(tmp_path, moment) == 0
    time.sleep(0.05)  # the kernel's clock for files ticks slowly
    os.link(file, tmp_path / "b")
    os.utime(tmp_path, ns=(1, 1))
    assert changed_since(tmp_path, moment) == 3, "the file by both names, and its folder"


def test_what_was_not_measured_is_no_verdict() -> None:
    rows = GOOD | {"one new": {"reef": 1.9, "reprepro": 2.0, "aptly": 2.0}}
    unknown = [one for one in verdicts(rows, PEAKS, WRITTEN) if one.met is None]
    assert [one.wish for one in unknown] == ["one new: faster than apt-ftparchive"]
    assert unknown[0].found == "1.90 s, it was stopped before"
