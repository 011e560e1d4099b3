"""Bazel's driver, as far as it needs no Bazel: jobs, time left, what lines of output mean; and its rendered files."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.deb import debian_files, write_debian
from builders.deb.build_systems import bazel_driver as driver
from builders.deb.build_systems.bazel import STATUS
from builders.model.settings import Settings
from builders.model.target import parse_target
from tests.support.checkout import CHECKOUT
from tests.unit.deb.build_systems.test_bazel import serving

SERVING = CHECKOUT / "recipes" / "tensorflow-serving"
TARGET = parse_target("trixie/arm64")
GB = 10**9


@dataclass
class Scripted:
    """A program in Bazel's place, and the command lines of its builds as they came."""

    bazel: driver.Bazel
    folder: Path

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    """Makes such a program: each build answers with the next of the given "status text"."""

    def make(*answers: str, server: str = "", version: str = "6.5.0", mirrors: Mapping[str, str] = {}) -> Scripted:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        (folder / "answers").write_text("".join(f"{answer}\n" for answer in answers))
        program = folder / "bazel"
        program.write_text(
            f'#!/bin/sh\ncase "$*" in *" shutdown") exit 0 ;; esac\ncd {folder}\necho "$*" >>calls\n'
            'read -r status text <<.\n$(sed -n "$(wc -l <calls)p" answers)\n.\necho "$text"\nexit "$status"\n'
        )
        program.chmod(0o755)
        for name in ("EVENTS", "DOWNLOADER"):
            monkeypatch.setattr(driver, name, folder / name)
        driver.EVENTS.write_text('{"buildMetrics": {"actionSummary": {"actionsExecuted": "7"}}}\n')
        monkeypatch.setattr(driver, "memory_bytes", lambda: 64 * GB)
        recipe = {"version": version, "programs": {}, "targets": ["//x"], "memory_per_job_mb": 2500}
        run = {
            "machine": "amd64",
            "strategy": "cross",
            "jobs": 4,
            "mirrors": mirrors,
            "executes": False,
            "upload": True,
        }
        bazel = driver.Bazel(recipe, run)
        bazel.program, bazel.server = str(program), server
        return Scripted(bazel, folder)

    return make


@pytest.mark.parametrize(
    ("version", "mirrors", "message"),
    [
        ("6.5.0", {"https://a.example/": "http://b.example/"}, ""),
        ("4.2.3", {"https://a.example/": "http://b.example/"}, ""),
        (
            "4.1.0",
            {"https://a.example/": "http://b.example/"},
            "Bazel 4.1.0 does not support mirrors for https://a.ex",
        ),
        (
            "6.5.0",
            {"https://a.example/": "file:///srv/a/"},
            "Bazel 6.5.0 does not support mirrors for https://a.example/;",
        ),
    ],
)
def test_mirrors_that_bazel_cannot_use_are_named(
    scripted: Callable[..., Scripted], version: str, mirrors: dict[str, str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    one = scripted("0", version=version, mirrors=mirrors)
    assert driver.fetch(one.bazel) == 0
    assert ("--experimental_downloader_config" in one.calls[0]) is not bool(message)
    assert driver.DOWNLOADER.exists() is not bool(message)
    assert message in (output := capsys.readouterr().out)
    assert ("warning" in output) is bool(message)


@pytest.mark.parametrize("status", [32, 34, 39])
def test_a_server_that_fails_in_the_middle_is_done_without(
    scripted: Callable[..., Scripted], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    one = scripted(
        f"{status} ERROR: Failed to query remote execution capabilities", "0", server="http://127.0.0.1:7070"
    )
    assert driver.build(one.bazel) == 0
    assert ["--remote_cache=http://127.0.0.1:7070" in call for call in one.calls] == [True, False]
    assert "warning: the Bazel server failed during the build, which continues without it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "server"),
    [(["34 x"], ""), (["34 x", "34 x"], "grpc://127.0.0.1:7070"), (["38 x"], "grpc://127.0.0.1:7070")],
)
def test_other_failures_and_a_second_one_end_it(
    scripted: Callable[..., Scripted], answers: list[str], server: str
) -> None:
    one = scripted(*answers, server=server)
    assert driver.build(one.bazel) == int(answers[-1].split()[0])
    assert len(one.calls) == len(answers)


KILLED = "1 gcc: fatal error: Killed signal terminated program cc1plus"


@pytest.mark.parametrize(
    ("answers", "jobs", "status"), [(["33 x", KILLED, "0"], [4, 2, 1], 0), ([KILLED, "137 x", "33 x"], [4, 2, 1], 33)]
)
def test_jobs_are_halved_until_the_memory_reaches(
    scripted: Callable[..., Scripted], answers: list[str], jobs: list[int], status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    one = scripted(*answers)
    assert driver.build(one.bazel) == status
    assert [int(number) for call in one.calls for number in re.findall(r"--jobs=(\d+)", call)] == jobs
    output = capsys.readouterr().out
    assert "warning: out of memory; the build continues with 1 job\n" in output
    assert ("out of memory with one job: add swap" in output) is (status != 0)


def test_want_of_memory_while_it_analyses_is_reported(
    scripted: Callable[..., Scripted], capsys: pytest.CaptureFixture[str]
) -> None:
    assert driver.fetch(scripted("33 FATAL: bazel ran out of memory").bazel) == 33
    assert "out of memory while Bazel read and analysed the build: add swap" in capsys.readouterr().out


def test_what_would_bring_a_file_that_was_not_fetched_is_reported(
    scripted: Callable[..., Scripted], capsys: pytest.CaptureFixture[str]
) -> None:
    line = (
        "WARNING: Download from https://me:x@a.example/b.zip failed: class java.io.IOException Unknown host: a.example"
    )
    assert driver.fetch(scripted(f"1 {line}").bazel) == 1
    output = capsys.readouterr().out
    assert "cannot fetch https://a.example/b.zip: Unknown host: a.example" in output
    for word in (
        "gave Bazel nothing: a.example",
        "mirrors: in reef.yml",
        "--source NAME=FOLDER",
        "./inv cache --export",
    ):
        assert word in output
    assert driver.fetch(scripted(f"0 {line}").bazel) == 0  # from another place
    assert "cannot fetch" not in capsys.readouterr().out


def test_the_pinned_version_is_required(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "bazel"
    program.write_text("#!/bin/sh\necho bazel 7.0.0\n")
    program.chmod(0o755)
    bazel = driver.Bazel({"version": "6.5.0", "programs": {}}, {"machine": "amd64"})
    bazel.program = str(program)
    with pytest.raises(SystemExit) as caught:
        bazel.check_version()
    assert caught.value.code == 3
    assert "the recipe needs 6.5.0" in capsys.readouterr().out
    program.write_text("#!/bin/sh\necho 'bazel 6.5.0- (@non-git)'\n")
    bazel.check_version()


def test_a_stamped_program_shows_the_commit_of_its_tree(tmp_path: Path) -> None:
    for recipe, revision in ((serving(), "0e62613"), (serving().with_source("serving", tmp_path), "no_git")):
        write_debian(debian_files(recipe, TARGET, Settings()), tmp_path)
        done = subprocess.run([tmp_path / "debian" / STATUS], capture_output=True, text=True, check=True)
        assert done.stdout == f"BUILD_SCM_REVISION {revision}\n"
