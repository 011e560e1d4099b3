"""What a run shows, on a terminal and in CI."""

import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from builders.host.log import Log


def shown(log: Log, output: io.StringIO) -> list[str]:
    with log.step("outer"):
        log.note("said")
        with log.step("inner"):
            pass
    return [re.sub(r"\d+\.\d s", "N s", line) for line in output.getvalue().splitlines()]


def plain(**options: bool) -> tuple[Log, io.StringIO]:
    output = io.StringIO()
    return Log(console=Console(file=output, width=80, highlight=False, soft_wrap=True), **options), output


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)


def test_plain_steps_are_timed_lines() -> None:
    assert shown(*plain()) == ["▸ outer", "said", "  ▸ inner", "  ✓ inner (N s)", "✓ outer (N s)"]


def test_a_failed_step_is_marked() -> None:
    log, output = plain()
    with pytest.raises(ValueError, match="x"), log.step("outer"):
        raise ValueError("x")
    with pytest.raises(KeyboardInterrupt), log.step("outer"):
        raise KeyboardInterrupt
    assert "✗ outer failed" in output.getvalue()
    assert "✗ outer interrupted" in output.getvalue()


def test_github_folds_the_outer_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    lines = shown(*plain())
    assert lines[0] == "::group::outer"
    assert lines[-1] == "::endgroup::"
    assert sum("::group::" in line for line in lines) == 1


def test_gitlab_folds_the_outer_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    log, output = plain()
    shown(log, output)
    assert re.search(r"section_start:\d+:outer\r\x1b\[0Kouter", output.getvalue())
    assert re.search(r"section_end:\d+:outer\r", output.getvalue())


def test_long_silence_is_broken_by_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the program says anything or not; only the innermost step tells."""
    monkeypatch.setattr("builders.host.log.SIGN_OF_LIFE_S", 0.01)
    log, output = plain()
    with log.step("build"), log.step("compile") as step:
        until(lambda: "… compile, after 0 s\n" in output.getvalue())
        step.line("[3/9] Building CXX object")
        step.line("no count here")
        until(lambda: "… compile (3 of 9), after 0 s\n" in output.getvalue())
        step.line("[4/9 jobs] about 3 min left: more")
        until(lambda: "… compile (3 of 9), after 0 s, about 3 min left\n" in output.getvalue())
    assert "… build" not in output.getvalue()
    ended = output.getvalue()
    time.sleep(0.05)
    assert output.getvalue() == ended


def until(there: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not there():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_live_display_leaves_one_line_a_step() -> None:
    output = io.StringIO()
    log = Log(console=Console(file=output, width=80, force_terminal=True, highlight=False), live=True)
    with log.step("outer") as step:
        step.amount(1, 2, "half")
    final = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue()).splitlines()
    assert sum("✓ outer" in line for line in final) == 1


def test_tracks_are_plain_timed_lines_without_a_terminal() -> None:
    log, output = plain()
    with log.step("canary"), log.tracks(["a", "longer"]) as tracks:
        tracks.show("a", "staged")
        tracks.show("longer", "good")
    assert [re.sub(r" +\d+\.\d s", " T", line) for line in output.getvalue().splitlines()[1:-1]] == [
        " T  a       staged", " T  longer  good",
    ]  # fmt: skip


def test_live_tracks_leave_only_the_lines_that_stay() -> None:
    output = io.StringIO()
    log = Log(console=Console(file=output, width=80, force_terminal=True, highlight=False), live=True)
    with log.step("canary"), log.tracks(["a", "b"]) as tracks:
        tracks.show("a", "staged")
        tracks.show("b", "ready: the clock was set", stays=True)
    final = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue())
    assert len(re.findall(r"s  b  ready: the clock was set\n", final)) == 1
    assert "s  a  staged" not in final
    assert log._progress is None


def test_tables_are_never_cut() -> None:
    log, output = plain()
    log.table("t", ("one", "two"), [("x" * 90, "y" * 90)])
    assert "x" * 90 in output.getvalue()
    assert "y" * 90 in output.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_tables_fit_a_terminal_and_lose_no_word(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    output = Terminal()
    log = Log(console=Console(file=output), live=False)
    rows = [("one", "no  answer", " ".join(f"word{number}" for number in range(20)), ""), ("", "", "", "")]
    log.table("t", ("board", "state", "a long reason", "more"), rows)
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert [word for line in lines for word in line.split() if word.startswith("word")] == rows[0][2].split()
    assert "one    no  answer  word0" in output.getvalue(), "the short columns stay whole"
    assert (len(lines) == 4) == (columns == 200)


def test_quiet_shows_warnings_only() -> None:
    log, output = plain(quiet=True)
    with log.step("outer"):
        log.note("said")
    log.warn("look [here]")
    assert output.getvalue() == "warning: look [here]\n"


def test_steps_and_warnings_are_kept_with_time_and_memory(tmp_path: Path) -> None:
    log, _ = plain(quiet=True)
    diary = tmp_path / "logs" / "steps.log"
    log.keep(diary)
    with pytest.raises(ValueError, match="no"), log.step("outer"), log.step("sources of x"):
        raise ValueError("no")
    with log.step("well"):
        log.warn("look")
    output = [line.partition("] ")[2] for line in diary.read_text().splitlines()]
    took = r"\d+\.\d s, peak memory \d+\.\d MB"
    expected = [
        "begin: outer", "begin: sources of x", f"failed: sources of x, {took}", f"failed: outer, {took}",
        "begin: well", "warning: look", f"done: well, {took}",
    ]  # fmt: skip
    assert all(re.fullmatch(one, line) for one, line in zip(expected, output, strict=True)), output


def test_a_long_diary_is_begun_anew(tmp_path: Path) -> None:
    diary = tmp_path / "steps.log"
    diary.write_bytes(b"x" * 5_000_001)
    log, _ = plain(quiet=True)
    log.keep(diary)
    with log.step("outer"):
        pass
    assert (tmp_path / "steps.old.log").stat().st_size == 5_000_001
    assert diary.read_text().count("\n") == 2
