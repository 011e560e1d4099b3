"""Publishing the miniature: installed from the staged repository in a clean root, checked, made live or refused.

The target is this machine's own CPU, so that a test takes seconds; the emulated path is the acceptance test's.
"""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from builders.apt.repository.publication import published
from builders.apt.verify.verify import verify
from builders.errors import PublishError
from tests.support.place import Place, give_build, gone, kill

NATIVE = ("--target", "trixie/amd64")
BUILT = "builds/reef-hello/trixie-amd64"


@pytest.fixture
def built(place: Place) -> Place:
    give_build(place, "trixie/amd64")
    return place


def verdicts(place: Place) -> dict[str, bool]:
    [report] = (place.artifacts / BUILT).glob("install-report-*.json")
    found: dict[str, bool] = {}
    for verdict in json.loads(report.read_text())["verdicts"]:
        found[verdict["check"]] = found.get(verdict["check"], True) and verdict["passed"]
    return found


def test_what_passes_is_published_once_and_then_unchanged(built: Place) -> None:
    output = built.run("publish-apt", *NATIVE)
    assert "trixie: published" in output
    row = next(line for line in output.splitlines() if line.startswith("reef-hello "))
    assert re.search(r" \d+ s +\d+ passed$", row.rstrip()), row
    assert re.search(r"reef-hello for trixie/amd64: \d+ verdicts, all passed; tried on amd64: .*run \d+ s", output)
    assert "set repository.url in reef.yml" in output
    assert verdicts(built) == {"install": True, "upgrade": True, "run:greeting": True, "purge": True}
    assert verify(built.artifacts / "apt", "trixie").debs == 6
    before = sorted((path, path.lstat().st_mtime_ns) for path in (built.artifacts / "apt").rglob("*"))
    again = built.run("publish-apt", *NATIVE)
    assert "trixie: unchanged" in again
    assert "known from an earlier run" in again
    assert sorted((path, path.lstat().st_mtime_ns) for path in (built.artifacts / "apt").rglob("*")) == before
    row = next(line for line in built.run("list").splitlines() if "trixie/amd64" in line)
    assert row.split()[4:6] == ["yes", "yes"]


def revised(place: Place, revision: int) -> None:
    entry = f"  - revision: {revision}\n    date: 2026-02-0{revision}T12:00:00Z\n    changes: [Again.]\n"
    place.edit("changelog:\n", "changelog:\n" + entry)
    place.run("build-arm", *NATIVE)


def upgraded_from(place: Place) -> str:
    newest = max((place.artifacts / BUILT).glob("install-report-*.json"), key=lambda path: path.stat().st_mtime_ns)
    found = {one["detail"] for one in json.loads(newest.read_text())["verdicts"] if one["check"] == "upgrade"}
    [detail] = found
    return str(detail)


NEEDED, MADE, REMOVED = '(= ${binary:Version})"', "mkdir -p /var/lib/reef-hello", "rm -rf /var/lib/reef-hello"


def test_a_new_revision_stands_beside_the_old_one_that_it_upgrades(place: Place) -> None:
    """The new one no longer makes a folder, and forgets the one that boards have: only the published revision, not a
    copy of what comes, shows that. The old one also needs a package that the new one does not."""
    place.edit(NEEDED, f"{NEEDED}, hello")
    place.run("build-arm", *NATIVE, "publish-apt")
    assert upgraded_from(place) == "1.2-2~deb13, from 1.2-2~deb13~~older (made up: none that fits is published)"
    place.edit(f"{NEEDED}, hello", NEEDED)
    place.edit(MADE, ": nothing to make")
    place.edit(REMOVED, ": nothing to remove")
    revised(place, 3)
    output = place.run("publish-apt", *NATIVE, status=9)
    assert "left behind: /var/lib/reef-hello" in output
    assert "upgraded from 1.2-2~deb13" in output
    assert versions(place) == {"1.2-2~deb13"}
    place.edit(": nothing to remove", REMOVED)
    place.run("build-arm", *NATIVE)
    assert "publishing" not in place.run("publish-apt", *NATIVE)
    assert upgraded_from(place) == "1.2-3~deb13, from 1.2-2~deb13"
    assert versions(place) == {"1.2-2~deb13", "1.2-3~deb13"}
    again = place.run("publish-apt", *NATIVE)
    assert "known from an earlier run" in again
    assert "trixie: unchanged" in again
    place.edit("  - revision: 3\n    date: 2026-02-03T12:00:00Z\n    changes: [Again.]\n", "")
    place.run("build-arm", *NATIVE)
    output = place.run("publish-apt", *NATIVE, status=PublishError.exit_code)
    assert "1.2-3~deb13, which is newer than 1.2-2~deb13" in output
    assert "./inv rollback trixie" in output


def versions(place: Place) -> set[str]:
    debs = published(place.artifacts / "apt", "trixie")
    return {deb.version for deb in debs if deb.package != "reef-archive-keyring"}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('expect: ["hello, board"]', 'expect: ["good morning, board"]', "run:greeting"),
        pytest.param("rm -rf /var/lib/reef-hello", ": forgotten", "purge", marks=pytest.mark.nightly),
        ("mkdir -p /var/lib/reef-hello", "exit 3", "install"),
    ],
)
def test_what_fails_on_the_board_is_not_published(built: Place, before: str, after: str, message: str) -> None:
    built.edit(before, after)
    built.run("build-arm", *NATIVE)
    output = built.run("publish-apt", *NATIVE, status=9)
    assert "checks failed; nothing is published" in output
    assert message in output
    assert not (built.artifacts / "apt" / "dists").exists()
    assert gone(built) == []


def test_what_fails_a_static_check_is_not_published(place: Place) -> None:
    place.edit(
        '    install -D -m 755 reef-hello "$DESTDIR/usr/bin/reef-hello"\n',
        '    install -D -m 755 reef-hello "$DESTDIR/usr/bin/reef-hello"\n'
        '    install -D -m 644 greet.h "$DESTDIR/opt/greet.h"\n',
    )
    place.edit("files: [usr/bin/reef-hello]", "files: [usr/bin/reef-hello, opt]")
    assert "file-policy" in place.run("build-arm", *NATIVE, status=9)
    output = place.run("publish-apt", *NATIVE, status=9)
    assert "file-policy" in output
    assert "opt/greet.h" in output
    assert not (place.artifacts / "apt").exists()


def test_a_deb_that_changed_after_its_build_is_refused_with_both_digests(built: Place) -> None:
    [deb] = (built.artifacts / BUILT).glob("reef-hello_*.deb")
    stat = deb.stat()
    data = bytearray(deb.read_bytes())
    data[-1] ^= 1
    deb.write_bytes(data)
    os.utime(deb, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    output = built.run("publish-apt", *NATIVE, status=9)
    assert "has changed since it was built" in output
    assert "recorded sha256" in output


def test_a_missing_key_is_reported_before_the_long_check(built: Place) -> None:
    with (built.folder / "reef.yml").open("a") as file:
        file.write(f"signing: {{key: {'0123456789ABCDEF' * 2}01234567}}\n")
    built.run("build-arm", *NATIVE)
    output = built.run("publish-apt", *NATIVE, status=10)
    assert "0123456789ABCDEF" in output
    assert "fetch check" not in output


@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("▸ fetch check/reef-hello", signal.SIGINT),
        ("▸ run check/reef-hello", signal.SIGKILL),
        ("▸ try it with apt", signal.SIGKILL),
        pytest.param("▸ fetch check/reef-hello", signal.SIGKILL, marks=pytest.mark.nightly),
        pytest.param("▸ run check/reef-hello", signal.SIGINT, marks=pytest.mark.nightly),
        pytest.param("▸ try it with apt", signal.SIGINT, marks=pytest.mark.nightly),
    ],
)
def test_ended_while_it_publishes(built: Place, step: str, number: int) -> None:
    child = built.start("publish-apt", *NATIVE)
    built.when(child, lambda: step in (built.folder / "output").read_text())
    status = kill(child, number)
    assert status == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert gone(built) == []
    assert not (built.artifacts / "apt" / "dists").exists()
    assert "trixie: published" in built.run("publish-apt", *NATIVE)
    assert list((built.artifacts / "scratch").iterdir()) == []


def test_two_publishers_take_turns(built: Place) -> None:
    first = built.start("publish-apt", *NATIVE)
    built.when(first, lambda: "▸" in (built.folder / "output").read_text())
    (built.folder / "output").rename(built.folder / "first")
    second = built.run("publish-apt", *NATIVE)
    assert "waiting for another run of Reef, which holds the repository" in second
    assert "trixie: unchanged" in second
    assert first.wait(timeout=600) == 0
    assert "trixie: published" in (built.folder / "first").read_text()


def test_nothing_of_the_key_is_under_artifacts(built: Place) -> None:
    built.run("publish-apt", *NATIVE)
    names = [
        path.name for path in built.artifacts.rglob("*") if path.is_file() and not path.is_relative_to(cache(built))
    ]
    assert not [name for name in names if name.endswith(".key") or "private" in name or "secring" in name]
    assert b"PRIVATE KEY" not in b"".join(path.read_bytes() for path in (built.artifacts / "apt").rglob("*.asc"))


def cache(place: Place) -> Path:
    return place.artifacts / "cache"
