"""Faults as users meet them, through the command: keys, passphrases, clocks, full disks, two publishers at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.apt.keys.signing import SigningKey, signing_key
from builders.apt.publish.switch import make_live
from builders.errors import DiskError
from builders.host.log import Log
from builders.model.settings import Settings
from tests.support.checkout import CHECKOUT
from tests.support.repository import DATE, Publisher, tree_of

INVOKE = Path(sys.executable).with_name("invoke")
PHASE = ("phase", "trixie", "reef-demo", "--percentage", "20")


@pytest.fixture
def project(tmp_path: Path, home: Path, log: Log) -> Publisher:
    """A project with a publication and a key of its own."""
    made = Publisher(tmp_path, signing_key(Settings(), log), log)
    made.publish(made.deb(), date=made.key.created)
    (tmp_path / "reef.yml").write_text(f"artifacts: .\nrecipes: {CHECKOUT}/tests/fixtures/recipes\n")
    return made


def start(project: Publisher, *words: str, before: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*before, str(INVOKE), "--search-root", str(CHECKOUT), *words],
        env={**os.environ, "REEF_FOLDER": str(project.folder)}, cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def refused(project: Publisher, told: str, *, status: int = 10, before: tuple[str, ...] = ()) -> None:
    """The command fails with its reason, and what is published stays as it is."""
    was = tree_of(project.repository)
    child = start(project, *PHASE, before=before)
    output, _ = child.communicate(timeout=120)
    assert child.returncode == status, output
    assert told in output
    assert "what to do:" in output
    assert "Traceback" not in output
    assert tree_of(project.repository) == was


def gpg(home: Path, *words: str, text: str = "") -> None:
    argv = ["gpg", "--homedir", str(home), "--batch", "--yes", *words]
    subprocess.run(argv, input=text.encode(), check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)


def test_a_revoked_key(project: Publisher, home: Path) -> None:
    paper = (home / "openpgp-revocs.d" / f"{project.key.fingerprint}.rev").read_text()
    gpg(home, "--import", text=paper.replace(":-----BEGIN", "-----BEGIN"))
    refused(project, "is revoked")


def test_a_wrong_passphrase(project: Publisher, home: Path) -> None:
    """The agent is given another passphrase than the key has, as by a user who mistypes it."""
    (home / "gpg-agent.conf").write_text("s2k-count 65536\n")
    wish = "Key-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: sign\nName-Real: x\nExpire-Date: 0\nPassphrase: right\n"
    gpg(home, "--pinentry-mode", "loopback", "--generate-key", text=f"{wish}%commit\n")
    name = next(path.stem for path in (home / "openpgp-revocs.d").iterdir() if path.stem != project.key.fingerprint)
    with (project.folder / "reef.yml").open("a") as file:
        file.write(f"signing: {{key: {name}}}\n")
    pinentry = home.parent / "pinentry"
    pinentry.write_text(
        "#!/bin/sh\necho OK\nwhile read -r word rest; do case $word in GETPIN) echo D wrong; echo OK;; "
        "BYE) echo OK; exit;; *) echo OK;; esac; done\n"
    )
    pinentry.chmod(0o755)
    (home / "gpg-agent.conf").write_text(f"s2k-count 65536\npinentry-program {pinentry}\n")
    refused(project, "passphrase")


@pytest.mark.parametrize("day", ["2001-01-01", "2020-02-02"])
def test_a_clock_in_the_past(project: Publisher, day: str) -> None:
    refused(project, "clock", before=("faketime", day))


def test_two_publishers_at_once(project: Publisher) -> None:
    """Different changes of one suite at the same time: one after the other, neither is lost."""
    project.publish(project.deb("reef-more"), date=project.key.created + 1)
    children = [start(project, "phase", "trixie", name, "--percentage", "20") for name in ("reef-demo", "reef-more")]
    outputs = [child.communicate(timeout=180)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert project.index().count("Phased-Update-Percentage: 20") == 2
    assert len(project.stamps()) == 4
    project.verify()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "reef-test", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path, room: int) -> Path:
    """Leave ``room`` bytes free on a disk, by a file that is returned."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    ballast.write_bytes(bytes(max(shutil.disk_usage(disk).free - room, 0)))
    return ballast


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_disk_that_gets_full_at_any_point_of_staging(
    small_disk: Path, tmp_path: Path, key: SigningKey, log: Log
) -> None:
    """With a little more room each time, from none to enough: told as a full disk, and readers see what was there."""
    maker, publisher = Publisher(tmp_path, key, log), Publisher(small_disk, key, log)
    publisher.publish(maker.deb())
    news = [maker.deb(version="2", content="x" * 40_000, compression="none"), maker.deb("reef-more")]
    refusals, told = 0, set[str]()
    for room in range(0, 2_000_000, 16_384):
        for folder in small_disk.glob("staging*"):
            shutil.rmtree(folder)
        ballast = fill(small_disk, room)
        try:
            publisher.stage({"trixie": news}, DATE + 60)
        except DiskError as error:
            refusals += 1
            told.add(error.what.partition(" on ")[0])
            ballast.unlink()
            assert publisher.verify().debs == 1
        else:
            break
    assert refusals > 5
    assert told == {"no space left"}
    ballast.unlink()
    publisher.publish(*news, date=DATE + 60)
    assert publisher.verify().debs == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_disk_that_gets_full_at_any_point_of_publishing(
    small_disk: Path, tmp_path: Path, key: SigningKey, log: Log
) -> None:
    """Before the switch it is refused; after it a warning, because only the next run's time is lost."""
    maker, publisher = Publisher(tmp_path, key, log), Publisher(small_disk, key, log)
    publisher.publish(maker.deb())
    news = {"trixie": [maker.deb(version="2"), maker.deb("reef-more")]}
    for name in ("apt", "state"):
        shutil.copytree(small_disk / name, tmp_path / "template" / name, symlinks=True)
    outcomes: list[str] = []
    for room in range(0, 400_000, 4096):
        for path in small_disk.iterdir():
            path.unlink() if path.is_file() else shutil.rmtree(path)
        for name in ("apt", "state"):
            shutil.copytree(tmp_path / "template" / name, small_disk / name, symlinks=True)
        staged, warnings = publisher.stage(news, DATE + 60), list[str]()
        ballast = fill(small_disk, room)
        try:
            make_live(staged, publisher.repository, warnings.append)
        except DiskError as error:
            outcomes.append(f"refused: {error.what.partition(' on ')[0]}")
        else:
            outcomes.append(f"told: {warnings[0].partition(', because')[0]}" if warnings else "kept")
            assert all("no space left" in text for text in warnings)
        ballast.unlink()
        assert publisher.verify().debs == (1 if outcomes[-1].startswith("refused") else 3)
        if outcomes[-1] == "kept":
            break
    assert list(dict.fromkeys(outcomes)) == [
        "refused: no space left", "told: published, but the next run will take longer", "kept"
    ]  # fmt: skip
    assert publisher.publish(maker.deb(version="3"), date=DATE + 90).changed
    assert publisher.verify().debs == 4
