"""The state of boards over light boards: the table, the records, one board's history, host keys."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from builders.host.files import sha256_of
from builders.model.packages import DebFile
from builders.model.source_tree import FetchedSource
from builders.pipeline.planning.records import Record, write_record
from tests.support.board_project import BoardProject, version
from tests.support.light_board import LightBoard


def test_boards_show_versions_drift_and_the_last_rollout(project: BoardProject, boards: dict[str, LightBoard]) -> None:
    project.inv("install-boards")
    assert re.search(r"^one +now +trixie/amd64 +none +good \d{8}T\d{6}Z$", project.inv("boards"), re.MULTILINE)
    project.publish(*version(project.publisher, "1.1-1"))
    project.boards["one"].shell("apt-mark hold libdemo; echo other >/usr/share/demo/content")
    boards["two"].stop()
    output = project.inv("boards", status=15)
    assert re.search(r"^one +now +trixie/amd64 +3 +good", output, re.MULTILINE)
    assert re.search(r"^two +(\d+ s|\d minutes) +trixie/amd64 +2 +good", output, re.MULTILINE), "as it answered last"
    assert "drift: demo 1.0-1 -> 1.1-1" in output
    assert "drift: libdemo 1.0-1 is held on the board; published: 1.1-1" in output
    assert "drift: /usr/share/demo/content of demo differs from the package" in output
    assert "1 of 2 boards do not answer" in output
    place = project.folder / "fleet.html"
    project.inv("boards", "--cached", "--html", str(place))
    assert re.findall(r'<details id="board-(\w+)" open', place.read_text()) == ["one", "two"]
    cached, _ = json.JSONDecoder().raw_decode(project.inv("boards", "--cached", "--json"))
    assert [(board["name"], board["answers"], board["error"]) for board in cached["boards"]] == [
        ("one", False, None), ("two", False, None),
    ]  # fmt: skip
    assert cached["boards"][0]["packages"] == [
        {"name": "demo", "installed": "1.0-1", "expected": "1.1-1"},
        {"name": "libdemo", "installed": "1.0-1", "expected": "1.0-1"},
    ]


def build_record(project: BoardProject, deb: Path) -> str:
    """Leave the record of a build that gave ``deb``, and return the digest of its source."""
    folder = project.folder / "builds" / "demo" / "trixie-amd64"
    folder.mkdir(parents=True)
    shutil.copy(deb, folder)
    file = DebFile("demo", "1.1-1", "amd64", deb.stat().st_size, sha256_of(deb), folder / deb.name)
    source = FetchedSource("demo", "archive", "https://example.org/demo.tar.gz", "sha256:" + 64 * "5")
    write_record(folder, Record({"strategy": "native"}, (file,), (source,), (), (0, 0), "chroot", ()))
    return source.digest


def test_explain_shows_the_whole_way_from_the_source_to_the_board(
    project: BoardProject, boards: dict[str, LightBoard]
) -> None:
    debs = version(project.publisher, "1.1-1")
    digest = build_record(project, debs[0])
    project.publish(*debs)
    project.inv("install-boards")
    output = project.inv("explain-board", "one")
    assert re.search(r"in its wave 'canary'\n  canary: one\n  batch 1: two\n  demo: not installed -> 1.1-1\n", output)
    assert re.search(r"states:\n(  20\S+ \S+ UTC  \S+.*\n)+  20\S+ \S+ UTC  good\n", output)
    assert re.search(r"publication:\n  \S+ of trixie, the live one\n", output)
    assert (
        f"demo 1.1-1: sha256 {sha256_of(debs[0])}\n    built by the recipe demo for trixie/amd64 (native in" in output
    )
    assert f"    from archive https://example.org/demo.tar.gz {digest}\n" in output
    assert "libdemo 1.1-1: sha256" in output
    assert "Installed: 1.1-1" in output

    (project.folder / "gate.sh").write_text("echo no answer; dpkg -s demo | grep -q '^Version: 1.1'")
    project.keys["reef_gate"] = "./gate.sh"
    project.publish(*version(project.publisher, "1.2-1"))
    project.inv("install-boards", status=15)
    boards["one"].shell("rm /usr/share/demo/content; apt-mark hold demo")
    online = project.inv("explain-board", "one")
    boards["one"].stop()
    offline = project.inv("explain-board", "one", status=15)
    for output in (online, offline):
        assert "rolled-back: gate gate: status 1" in output
        assert re.search(r"demo 1.2-1 is kept away: .*sudo rm /etc/apt/preferences.d/reef-bad-demo.pref", output)
        assert "/usr/share/demo/content of demo is missing" in output
        assert "demo is held: sudo apt-mark unhold demo" in output
        assert f"from archive https://example.org/demo.tar.gz {digest}" in output
    assert "the words of what failed:\n  reef: gate gate\n  no answer\nthe tests after the way back:\n" in online
    assert "the tests after the way back:\n  reef: gate gate\n  no answer\npublication" in online
    assert "apt's policy:" in online
    assert "apt's policy:" not in offline
    assert re.search(r"all about the board is \d+ (s|minutes) old", offline)
    assert "no rollout 2000" in project.inv("explain-board", "one", "--rollout", "2000", status=15)


def test_a_host_key_that_changed_is_shown_beside_the_old_one_by_every_command(
    project: BoardProject, boards: dict[str, LightBoard]
) -> None:
    board = boards["one"]
    before = board.fingerprint
    board.stop()
    for path in (board.folder / "host_key", board.folder / "host_key.pub"):
        path.unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(board.folder / "host_key")], check=True)
    (board.folder / "board" / "host_key").write_bytes((board.folder / "host_key").read_bytes())
    board.start()
    for words in (["boards"], ["check-boards"], ["explain-board", "one"], ["trust-boards"]):
        output = project.inv(*words, status=15)
        assert f"its host key has changed: it was {before}, it is {board.fingerprint}" in output, output
    assert re.search(rf"one +failed +its host key has changed: .*{re.escape(board.fingerprint)}",
                     project.inv("install-boards", status=15))  # fmt: skip
    project.inv("trust-boards", "--accept", board.fingerprint)
    project.inv("check-boards")
    assert before not in (project.folder / "boards.known_hosts").read_text()


def test_one_board_under_two_names_is_an_error_that_names_both(project: BoardProject) -> None:
    project.more["copy"] = project.connection(project.boards["two"]) | {"ansible_host": "localhost"}
    keys = project.folder / "boards.known_hosts"
    keys.write_text(keys.read_text() + keys.read_text().splitlines()[-1].replace("two ", "copy ", 1) + "\n")
    for words in (["boards"], ["check-boards"], ["install-boards"]):
        output = project.inv(*words, status=15)
        assert "copy and two are the same board" in output
