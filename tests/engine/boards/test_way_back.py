"""Gates that fail and packages that break a board: it goes back by itself, or says that it cannot."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.board_project import BoardProject, files, installed, version
from tests.support.light_board import LightBoard

SH = "#!/bin/sh\n"
FAILS = f"{SH}exit 3\n"


def gate(project: BoardProject, script: str, seconds: int = 20) -> None:
    """Let a script decide whether boards keep what was installed; the version 1.0 always passes."""
    (project.folder / "gate.sh").write_text(f"dpkg -s demo | grep -q '^Version: 1.0' && exit 0\n{script}\n")
    project.keys |= {"reef_gate": "./gate.sh", "reef_gate_timeout_s": seconds}


@pytest.fixture
def old(project: BoardProject) -> BoardProject:
    """The project with version 1.0 on the board one, and no other boards."""
    project.boards = {"one": project.boards["one"]}
    project.canary = None
    project.inv("install-boards")
    return project


def versions(project: BoardProject) -> tuple[str, str]:
    found = installed(project.boards["one"])
    return found["demo"], found["libdemo"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("sleep 600", "gate gate: no end within 2 s"),
        pytest.param(
            "trap '' TERM; sleep 600 & wait; wait",
            "gate gate: killed: no end within 2 s, or no memory left",
            marks=pytest.mark.nightly,
        ),
        ("yes; exit 1", "gate gate: no end within 2 s"),
        pytest.param("(sleep 600 &) ; exit 5", "gate gate: status 5", marks=pytest.mark.nightly),
        ("echo demo 9.9 is installed; dpkg --remove demo", "demo is missing, not 1.1-1"),
    ],
    ids=["hangs", "refuses to end", "writes without end", "leaves a process", "lies"],
)
def test_a_gate(old: BoardProject, script: str, reason: str) -> None:
    gate(old, script, seconds=2)
    old.publish(*version(old.publisher, "1.1-1", Depends="libdemo (>= 1.1-1)"))
    output = old.inv("install-boards", status=15)
    assert f"one    rolled-back  {reason}" in output
    assert versions(old) == ("1.0-1", "1.0-1")
    assert int(old.boards["one"].shell("cat /var/lib/reef/receipts/*/log | wc -c")) < 200_000


def test_files_that_differ_from_the_package_count_whatever_the_gate_says(old: BoardProject) -> None:
    changes = {"DEBIAN/postinst": f"{SH}echo other >/usr/share/demo/content\n"}
    demo = old.publisher.deb("demo", "1.1-1", "amd64", fields={"Depends": "libdemo (>= 1.0-1)"}, texts=changes)
    old.publish(demo, old.publisher.deb("libdemo", "1.1-1", "amd64"))
    output = old.inv("install-boards", status=15)
    assert re.search(r"one +rolled-back +demo: files differ from the package: .*/usr/share/demo/content", output)
    assert versions(old) == ("1.0-1", "1.0-1")


def test_a_package_that_cannot_be_configured(old: BoardProject) -> None:
    fresh = old.publisher.deb("fresh", "1.1-1", "amd64", texts={"DEBIAN/postinst": FAILS})
    old.publish(*version(old.publisher, "1.1-1", Depends="libdemo (>= 1.1-1), fresh"), fresh)
    output = old.inv("install-boards", status=15)
    assert re.search(r"one +rolled-back +apt failed: dpkg: error processing package fresh \(--configure\)", output)
    assert "returned error exit status 3" in output
    assert versions(old) == ("1.0-1", "1.0-1")
    assert "fresh" not in old.boards["one"].shell("dpkg-query -W")


def test_the_words_of_what_failed_are_shown_and_kept(old: BoardProject) -> None:
    gate(old, "echo my own words; exit 5")
    old.publish(*version(old.publisher, "1.1-1", Depends="libdemo (>= 1.1-1)"))
    output = old.inv("install-boards", status=15)
    assert "    my own words\n" in output
    (log,) = old.folder.glob("boards/rollouts/*/one.log")
    assert "my own words" in log.read_text()
    explained = old.inv("explain-board", "one")
    failed, back = explained.index("the words of what failed"), explained.index("the tests after the way back")
    assert failed < explained.index("my own words") < back
    assert re.search(r"demo 1.1-1: a rollout of Reef \(.*\) went back from it", old.inv("install-boards", "--plan"))

    (old.folder / "gate.sh").write_text("echo of the old version; exit 6")
    output = old.inv("install-boards", "--package", "demo=1.0-1", status=15)  # nothing changes
    assert re.search(r"one: failed: gate gate: status 6\n +.*of the old version", output, re.DOTALL)


def test_what_an_owner_kept_of_a_removed_package_stays(old: BoardProject) -> None:
    one = old.boards["one"]
    text = {"etc/fresh.conf": "as packaged\n", "DEBIAN/conffiles": "/etc/fresh.conf\n"}
    fresh = old.publisher.deb("fresh", "1.1-1", "amd64", texts=text)
    old.publish(*version(old.publisher, "1.0-2"), fresh)
    old.inv("install-boards", "--package", "fresh=1.1-1")
    one.shell("echo by its owner >/etc/fresh.conf; dpkg --remove fresh")
    gate(old, "exit 1")
    new = old.publisher.deb("newer", "1.1-1", "amd64")
    old.publish(*version(old.publisher, "1.1-1", Depends="libdemo (>= 1.1-1), fresh, newer"), new)
    assert re.search(r"one +rolled-back +gate gate: status 1", old.inv("install-boards", status=15))
    assert one.shell("cat /etc/fresh.conf") == "by its owner\n"
    assert one.shell("dpkg-query -W -f '${db:Status-Status}' fresh") == "config-files"
    assert "newer" not in one.shell("dpkg-query -W")


def test_a_new_package_that_cannot_be_removed_breaks_the_board_and_halts(project: BoardProject) -> None:
    project.inv("install-boards")
    gate(project, "exit 1")
    fresh = project.publisher.deb("fresh", "1.1-1", "amd64", texts={"DEBIAN/prerm": FAILS})
    project.publish(*version(project.publisher, "1.1-1", Depends="libdemo (>= 1.1-1), fresh"), fresh)
    output = project.inv("install-boards", "--most-failures", "5", status=15)
    assert re.search(r"one +broken +gate gate: status 1; after going back: these cannot be removed: fresh", output)
    assert re.search(r"two +skipped +the rollout halted before it", output)
    assert versions(project) == ("1.0-1", "1.0-1")


def test_a_package_that_cannot_be_downgraded_breaks_the_board(old: BoardProject) -> None:
    gate(old, "exit 1")
    # dpkg asks the old version's prerm where the new version's fails (Policy 6.6).
    stuck = {"1.0-2": "[ $1 != failed-upgrade ]", "1.1-1": "exit 3"}
    demo_old, demo = (
        old.publisher.deb(
            "demo", number, "amd64", fields={"Depends": "libdemo"}, texts={"DEBIAN/prerm": f"{SH}{text}\n"}
        )
        for number, text in stuck.items()
    )
    old.publish(demo_old, old.publisher.deb("libdemo", "1.0-2", "amd64"))
    old.inv("install-boards")
    old.publish(demo, old.publisher.deb("libdemo", "1.1-1", "amd64"))
    output = old.inv("install-boards", status=15)
    assert re.search(r"one +broken +.*the old versions cannot be installed: dpkg: error processing archive", output)


def test_a_disk_that_is_full_while_dpkg_unpacks(old: BoardProject) -> None:
    one = old.boards["one"]
    one.shell("mkdir -p /usr/share/big; mount -t tmpfs -o size=1m none /usr/share/big")
    big = old.publisher.deb("big", "1.1-1", "amd64", content="x" * 3_000_000)
    old.publish(*version(old.publisher, "1.1-1", Depends="libdemo (>= 1.1-1), big"), big)
    output = old.inv("install-boards", status=15)
    assert re.search(r"one +rolled-back +apt failed: dpkg: error processing archive .*No space left on device", output)
    assert versions(old) == ("1.0-1", "1.0-1")
    assert not one.shell("dpkg --audit")
    one.shell("umount /usr/share/big")
    old.inv("install-boards")
    assert versions(old) == ("1.1-1", "1.1-1")


def test_the_states_are_written_on_a_full_disk(old: BoardProject) -> None:
    one = old.boards["one"]
    one.shell("mount -t tmpfs -o size=4m none /var/lib/reef")
    gate(old, "cat /dev/zero >/var/lib/reef/full; exit 1")
    old.publish(*version(old.publisher, "1.1-1", Depends="libdemo (>= 1.1-1)"))
    output = old.inv("install-boards", status=15)
    assert re.search(r"one +rolled-back +gate gate: status 1", output)
    assert versions(old) == ("1.0-1", "1.0-1")


def test_the_way_back_needs_no_network(old: BoardProject) -> None:
    old.publish(*version(old.publisher, "1.1-1", Depends="libdemo (>= 1.1-1)"))
    old.inv("install-boards")
    assert versions(old) == ("1.1-1", "1.1-1")
    shutil.rmtree(old.publisher.repository / "pool")
    old.boards["one"].shell("rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*")
    output = old.inv("rollback-boards")
    assert re.search(r"one +good", output)
    assert versions(old) == ("1.0-1", "1.0-1")


def test_edited_conffiles_stay_and_are_reported(old: BoardProject, boards: dict[str, LightBoard]) -> None:
    path = boards["one"].path("/etc/demo.conf")

    def with_conffile(number: str) -> list[Path]:
        texts = {"etc/demo.conf": f"of {number}\n", "DEBIAN/conffiles": "/etc/demo.conf\n"}
        return [old.publisher.deb("demo", number, "amd64", texts=texts), old.publisher.deb("libdemo", number, "amd64")]

    old.publish(*with_conffile("1.0-2"))
    old.inv("install-boards")
    path.write_text("edited\n")
    old.publish(*with_conffile("1.1-1"))
    output = old.inv("install-boards")
    assert "edited files stay, with the new text beside them: /etc/demo.conf.dpkg-dist" in output
    assert (path.read_text(), path.with_name("demo.conf.dpkg-dist").read_text()) == ("edited\n", "of 1.1-1\n")
    old.inv("rollback-boards")
    assert path.read_text() == "edited\n"
    assert not path.with_name("demo.conf.dpkg-dist").exists()


def test_nothing_else_on_the_board_is_touched(old: BoardProject) -> None:
    one = old.boards["one"]
    old.inv("rollback-boards")
    one.shell("rm -rf /etc/apt/preferences.d/reef-bad-*.pref; apt-get clean")
    before = files(one)
    old.inv("install-boards")
    assert files(one) != before
    old.inv("rollback-boards")
    pins = one.shell("cd /etc/apt/preferences.d; ls reef-bad-*; rm reef-bad-*").split()
    assert pins == ["reef-bad-demo.pref"]
    assert files(one) == before
