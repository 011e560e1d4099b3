"""An error shows the cause: the first failing lines of the tool. The logs are of real builds that failed."""

from pathlib import Path

import pytest

from builders.host.excerpt import LINES, TREE, excerpt, excerpt_of
from tests.support.checkout import CHECKOUT

LOGS = CHECKOUT / "tests" / "fixtures" / "failed-logs"
NAMES = sorted(path.stem for path in LOGS.glob("*.log"))


@pytest.mark.parametrize("name", NAMES)
def test_the_cause_is_shown(name: str) -> None:
    log = (LOGS / f"{name}.log").read_text().splitlines()
    assert excerpt(log) == (LOGS / f"{name}.cause").read_text().splitlines()


def test_a_traceback_is_whole() -> None:
    found = excerpt((LOGS / "python.log").read_text().splitlines())
    assert found[0] == "Traceback (most recent call last):"
    assert found[-1].startswith("json.decoder.JSONDecodeError: Expecting property name")


@pytest.mark.parametrize(
    "line",
    [
        "E: Unable to locate package libfoo-dev",
        "The following packages have unmet dependencies:\n x : Depends: libfoo1 but it is not installable",
        "dpkg: error processing archive x.deb (--unpack):",
        "dpkg-shlibdeps: error: cannot find library libx.so needed by y",
        "/tmp/x.s: Assembler messages:\n/tmp/x.s:1: Error: no such instruction: `foo'",
        "collect2: fatal error: ld terminated with signal 9 [Killed]",
        "cc1plus: error: unrecognized command-line option",
        "g++-14: fatal error: Killed signal terminated program cc1plus",
        "aarch64-linux-gnu-gcc: error: unrecognized command-line option '-m64'",
        "/usr/lib/gcc-cross/aarch64-linux-gnu/14/../../../../aarch64-linux-gnu/bin/ld: cannot find -lfoo: No such file",
        "Makefile:3: *** missing separator.  Stop.",
        "E       assert 1 == 2",
        "not ok 3 - reads",
        "curl: (6) Could not resolve host: example.org",
        "sh: 1: foo: Permission denied",
        "ModuleNotFoundError: No module named 'flit_core'",
        "error[E0425]: cannot find value `x` in this scope",
        "Segmentation fault (core dumped)",
        "portable: no library libx.so.1",
    ],
)
def test_more_tools_are_known(line: str) -> None:
    *before, last = line.split("\n")
    assert last in excerpt(["checking for cc... cc", *before, last, "advice", "more advice"])


@pytest.mark.parametrize(
    "line",
    [
        "fatal: not a git repository (or any of the parent directories): .git",
        "checking for error.h... no",
        "# ERROR: 0",
        "cc -Werror -c error.c",
        "x.c:1:2: warning: unused variable 'error'",
        "make[1]: *** Waiting for unfinished jobs....",
        "not ok 3 - flaky # TODO later",
        "/usr/bin/ld: warning: x.o: missing .note.GNU-stack section",
    ],
)
def test_lines_of_good_builds_are_no_cause(line: str) -> None:
    assert excerpt([line]) == []


def test_an_earlier_step_is_not_blamed() -> None:
    log = ["   dh_auto_configure", "conftest.c:1:2: error: no such thing", "   dh_auto_build", "x.c:3:4: error: real"]
    assert excerpt([*log, "make: *** [debian/rules:12: binary] Error 2"]) == ["x.c:3:4: error: real"]


def test_no_line_is_shown_twice() -> None:
    log = ["1: one", "x: error: a", "2: two", "y: error: b"]
    assert excerpt(log) == log


def test_own_errors_stand_alone() -> None:
    assert excerpt(["E: odd", "reef: error: the build system installed no file"]) == [
        "reef: error: the build system installed no file"
    ]


def test_many_causes_are_cut_in_the_middle() -> None:
    lines = [f"x.c:{number}:1: error: wrong" for number in range(10_000)]
    found = excerpt(lines)
    assert len(found) == LINES
    assert (found[0], found[-2], found[-1]) == (lines[0], "[...]", lines[-1])
    assert len(excerpt(["x.c:1:1: error: " + "x" * 10_000])[0]) < 400


def test_without_a_cause_the_tail_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")
    assert excerpt_of(f"one\ntwo\n{TREE}usr/bin/x", log) == "one\ntwo"
    assert excerpt_of("one\ntwo", tmp_path / "no log") == "one\ntwo"
    log.write_bytes(b"caf\xe9.c:1:1: error: odd bytes\n")
    assert excerpt_of("", log) == "caf�.c:1:1: error: odd bytes"
