"""The command itself, killed after readers see the new repository and before it could say so."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builders import checks
from builders.apt.keys.signing import signing_key
from builders.host.log import Log
from builders.model.deb_file import read_deb
from builders.model.packages import Report, Verdict
from builders.model.settings import Settings
from builders.pipeline import gate
from builders.pipeline.planning.records import Record, write_record
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT
from tests.support.repository import Publisher, make_deb

INVOKE = Path(sys.executable).with_name("invoke")
PUBLISH = ("publish-apt", "--recipe", "reef-hello", "--target", "trixie/amd64", "--engine", "chroot")
GPGV = """#!/bin/sh
# Verification asks gpgv of what is published now; once that is the new publication, the command is killed.
now=$(readlink "$LIVE" || :)
[ -z "$now" ] || [ "$now" = "$BEFORE" ] || kill -9 "$PPID"
exec /usr/bin/gpgv "$@"
"""


@pytest.fixture
def project(tmp_path: Path, home: Path, log: Log) -> Publisher:
    """A project with a publication, and a build that was checked and is not published yet."""
    (tmp_path / "reef.yml").write_text(f"artifacts: .\nrecipes: {CHECKOUT}/tests/fixtures/recipes\n")
    made = Publisher(tmp_path, signing_key(Settings(), log), log)
    made.publish(made.deb(), date=made.key.created)
    opened = Project.open(tmp_path, log)
    (wanted,) = select(opened, ["reef-hello"], ["trixie/amd64"])
    folder = opened.workspace.build(*wanted.key)
    folder.mkdir(parents=True)
    debs = (read_deb(make_deb(folder, "reef-hello", "1.2-2~deb13", "amd64")),)
    write_record(folder, Record(wanted.fingerprint, debs, (), (), (0, 0), "chroot", ()))
    report = Report("reef-hello", wanted.target, (Verdict("install", "reef-hello", True),))
    for name in ("static-report.json", f"install-report-{gate._checks_digest(wanted)}.json"):
        checks.write_report(report, wanted.recipe, debs, folder / name)
    return made


def run(project: Publisher, **extra: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(INVOKE), "--search-root", str(CHECKOUT), *PUBLISH],
        env={**os.environ, "REEF_FOLDER": str(project.folder), **extra}, cwd="/", check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900,
    )  # fmt: skip


def shim(project: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a gpgv on the path that kills whoever asks it of a new publication."""
    folder = project.folder / "bin"
    folder.mkdir()
    live = project.repository / "dists/trixie"
    text = GPGV.replace('"$LIVE"', f"'{live}'").replace('"$BEFORE"', f"'{live.readlink()}'")
    (folder / "gpgv").write_text(text)
    (folder / "gpgv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_publish_apt_killed_between_the_switch_and_its_end(project: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers have the whole new repository; the next run has nothing to do but to sweep, and says so."""
    before = project.stamps()
    with monkeypatch.context() as patch:
        shim(project, patch)
        killed = run(project)
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    assert "▸ publish and verify" in killed.stdout
    assert "trixie: published" not in killed.stdout
    assert len(project.stamps()) == len(before) + 1
    assert project.verify().debs == 3, "the new one, the old one, the keyring"
    assert list((project.folder / "scratch").iterdir()) != []
    again = run(project)
    assert again.returncode == 0, again.stdout
    assert "trixie: unchanged" in again.stdout
    assert len(project.stamps()) == len(before) + 1
    assert list((project.folder / "scratch").iterdir()) == []
    assert not (project.state / "publishing.json").exists()
    assert project.verify().debs == 3
