"""The state of boards: rows of the table, drift, the document, from answers as boards print them."""

from dataclasses import replace
from pathlib import Path

import pytest

from builders.boards.connection import BoardError
from builders.boards.facts import changed_files, pins, require_distinct
from builders.boards.rollout.journal import Records
from builders.boards.status.board_status import Background, status_of
from builders.boards.status.document import fleet_document
from builders.boards.status.drift import drift
from builders.boards.status.tables import fleet_table, versions_table
from tests.support.fleet import DAY, LATEST, LONG, NOW, STAMP, Fleet, board, facts, offers


def test_the_table_of_a_fleet(tmp_path: Path) -> None:
    columns, rows = fleet_table(Fleet(tmp_path).statuses(), NOW)
    assert columns == ["board", "seen", "system", "service", "clock", "hold", "drift", "last rollout"]
    assert [row[:7] for row in rows] == [
        ["good", "now", "trixie/arm64", "active", "ok", "-", "none"],
        ["old", "now", "trixie/arm64", "failed", "ok", "-", "4"],
        ["asleep", "3 days", "trixie/arm64", "active", "ok", "-", "none"],
        ["back", "now", "trixie/arm64", "active", "400 days behind", "-", "none"],
        ["held", "now", "trixie/arm64", "active", "ok", "2026-12-24", "none"],
        ["new", "never", "?", "-", "?", "-", "?"],
    ]
    assert [row[7] for row in rows] == [
        f"good {STAMP}",
        *[f"good {STAMP}"] * 2,
        f"rolled-back {STAMP}",
        f"good {STAMP}",
        "-",
    ]


def test_columns_without_anything_to_say_are_left_out(tmp_path: Path) -> None:
    columns, rows = fleet_table(Fleet(tmp_path).statuses()[:1], NOW)
    assert columns == ["board", "seen", "system", "service", "drift", "last rollout"]
    assert rows == [["good", "now", "trixie/arm64", "active", "none", f"good {STAMP}"]]


def test_each_board_has_a_verdict_and_its_reasons(tmp_path: Path) -> None:
    found = {status.board.name: status for status in Fleet(tmp_path).statuses()}
    assert {name: status.verdict for name, status in found.items()} == {
        "good": "good", "old": "service failed", "asleep": "does not answer", "back": "rolled-back", "held": "held",
        "new": "does not answer",
    }  # fmt: skip
    assert found["good"].lines() == []
    assert found["old"].lines() == [
        "edge-model-server.service is failed",
        "drift: edge-model-server 1.1-1 -> 1.2-1",
        f"drift: {LONG} - -> {LATEST}",
        "drift: /usr/bin/tflite-run of tflite-tools differs from the package",
        f"drift: /{'x' * 200} of tflite-tools is missing",
    ]
    assert found["asleep"].lines() == [
        "it does not answer; switch it on, or correct ansible_host:; other boards go on without it"
    ]
    assert f"rollout {STAMP}: rolled-back: gate answers: status 1" in found["back"].lines()
    assert "its clock is 400 days behind" in found["back"].lines()


def test_a_board_that_need_not_answer_is_not_silent(tmp_path: Path) -> None:
    asleep = Fleet(tmp_path).statuses()[2]
    assert asleep.silent
    assert not replace(asleep, board=board("asleep", reef_offline=True)).silent
    assert not replace(asleep, hold=Fleet(tmp_path).statuses()[4].hold).silent


def test_versions_with_their_boards(tmp_path: Path) -> None:
    _, rows = versions_table(Fleet(tmp_path).statuses())
    assert rows == [
        (LONG, "not installed", "old"),
        ("edge-model-server", "1.1-1", "old"),
        ("edge-model-server", "1.2-1", "good, asleep, back, held"),
        ("tflite-tools", "2.19-1", "good, old, asleep, back, held"),
    ]


@pytest.mark.parametrize(("replaced", "expected"), [
    ({"held\t": "held\ttflite-tools"}, ()),
    ({"held\t": "held\tedge-model-server", "edge-model-server 1.2-1": "edge-model-server 1.1-1"},
     ("edge-model-server 1.1-1 is held on the board; published: 1.2-1",)),
    ({"end\t": "file\t00  /etc/apt/sources.list.d/reef-trixie.sources\nend\t"},
     ("/etc/apt/sources.list.d/reef-trixie.sources is another than the published",)),
    ({"end\t": "changed\ttflite-tools ??5?????? c /etc/tflite.conf\nend\t"}, ()),
    ({"end\t": "changed\ttflite-tools missing   c /etc/tflite.conf (Permission denied)\nend\t"}, ()),
    ({"end\t": "changed\ttflite-tools missing     /usr/a b (Permission denied)\nend\t"},
     ("/usr/a b of tflite-tools is missing",)),
    ({"end\t": "pinned\t/etc/apt/preferences.d/reef-bad-demo.pref demo 1.3-1 a rollout went back\nend\t"},
     ("demo 1.3-1 is kept away: a rollout went back",)),
    ({"architecture\tarm64": "architecture\tamd64"}, ("trixie has no packages for amd64",)),
])  # fmt: skip
def test_drift(replaced: dict[str, str], expected: tuple[str, ...]) -> None:
    assert drift(board("one"), facts("one", replaced=replaced), offers()) == expected


def test_what_dpkg_prints_is_read_or_left_out() -> None:
    lines = "changed\tdemo ..5....T.  c /etc/a\nchanged\tdemo garbage\nchanged\tdemo missing   c /etc/b\nend\t"
    found = changed_files(facts("one", replaced={"end\t": lines}))
    assert [(file.path, file.conffile, file.missing) for file in found] == [
        ("/etc/a", True, False),
        ("/etc/b", True, True),
    ]
    (pin,) = pins(facts("one", replaced={"end\t": "pinned\t/etc/p.pref demo\nend\t"}))
    assert (pin.path, pin.package, pin.version, pin.reason) == ("/etc/p.pref", "demo", "", "")


def test_the_document_is_plain_and_whole(tmp_path: Path) -> None:
    document = fleet_document(Fleet(tmp_path).statuses(), NOW)
    assert document["time"] == "2026-09-21T14:13:20Z"
    good, old, asleep, back, held, new = document["boards"]
    keys = {"name", "groups", "answers", "seen", "error", "system", "suite", "architecture", "packages", "models",
            "services", "clock_offset_s", "hold", "findings", "drift", "verdict", "rollout"}  # fmt: skip
    assert all(set(entry) == keys for entry in document["boards"])
    assert good["rollout"] == {"stamp": STAMP, "wave": "batch 1", "state": "good", "reason": ""}
    assert old["packages"][1] == {"name": "edge-model-server", "installed": "1.1-1", "expected": "1.2-1"}
    assert (asleep["answers"], asleep["seen"], asleep["error"]["text"]) == (
        False, "2026-09-18T14:13:20Z", "asleep: it does not answer",
    )  # fmt: skip
    assert back["clock_offset_s"] == 1 - 400 * DAY
    assert held["hold"]["by"] == "ann@lab"
    assert (new["answers"], new["seen"], new["architecture"], new["packages"]) == (False, None, None, [])


def test_facts_are_recorded_whole_and_a_damaged_record_is_none(tmp_path: Path) -> None:
    records, found = Records(tmp_path), facts("one")
    assert records.seen("one") is None
    records.see("one", found)
    assert records.seen("one") == found
    for damage in ("", "[]", "{}", '{"asked": 1}', '{"asked": "x", "answered": 1, "facts": {}}'):
        (tmp_path / "seen" / "one.json").write_text(damage)
        assert records.seen("one") is None


@pytest.mark.parametrize(("replaced", "later_s", "same"), [
    ({}, 0, True),
    ({}, 5, False),
    ({"hostname\tone": "hostname\ttwo"}, 0, False),
    ({"boot_id\tboot-one": "boot_id\tother"}, 0, False),
    ({"boot_id\tboot-one": "boot_id\t"}, 0, False),
])  # fmt: skip
def test_one_board_under_two_names(replaced: dict[str, str], later_s: int, same: bool) -> None:
    answers = {"a": facts("one"), "b": facts("one", at=NOW + later_s, replaced=replaced)}
    if same:
        with pytest.raises(BoardError, match="a and b are the same board"):
            require_distinct(answers)
    else:
        require_distinct(answers)


def test_the_newest_rollout_counts_and_of_one_the_boards_own_state(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    assert fleet.statuses()[3].rollout is not None
    later = fleet.records.rollout("20260921T000000Z")
    later.begin({"by": "bob@lab", "waves": {"batch 1": ["good"]}})
    later.add("good", "skipped", "busy")
    good, _, _, back, *_ = fleet.statuses()
    assert good.rollout
    assert (str(good.rollout), good.rollout.reason) == ("skipped, batch 1 of 20260921T000000Z", "busy")
    assert back.rollout
    assert str(back.rollout) == f"rolled-back, canary of {STAMP}"
    assert [step.state for step in back.rollout.steps] == ["installing", "gating", "rolling-back", "rolled-back"]


def test_a_board_without_anything_published(tmp_path: Path) -> None:
    status = status_of(board("one"), facts("one"), Background({}, {}, Records(tmp_path), {}))
    assert status.drift == ("nothing is published for Debian GNU/Linux 13 (trixie)",)
    assert [str(package) for package in status.packages] == ["edge-model-server 1.2-1", "tflite-tools 2.19-1"]
