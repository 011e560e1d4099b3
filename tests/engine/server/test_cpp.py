"""The model server's own tests, compiled in a real root: with sanitizers, and with Debian's linters."""

import re
from pathlib import Path

import pytest

from tests.support.native_server import BUILD, CLANG, run_job

TEST = """
ctest --test-dir /build/native --output-on-failure --parallel "$JOBS" --timeout 300 >/build/out/ctest.txt 2>&1 || {
    tail -n 200 /build/out/ctest.txt
    exit 1
}
"""
LEAST_TESTS = 30
"""Fewer test programs mean that some were not built."""


THREADED = (
    "catalogue_reload_test", "catalogue_test", "config_file_poller_test", "cpu_servable_test", "http_server_test",
    "metrics_test", "scheduler_test", "task_pool_test",
)  # fmt: skip
"""Test programs of what threads share. The others need Debian's gRPC, which the thread sanitizer cannot see into."""


def programs_passed(output: Path) -> int:
    """Return how many test programs ran; all must have passed."""
    passed = re.search(r"100% tests passed, 0 tests failed out of (\d+)", (output / "ctest.txt").read_text())
    assert passed
    return int(passed[1])


def test_the_tests_pass_under_the_address_sanitizer(tmp_path: Path) -> None:
    assert programs_passed(run_job("asan", BUILD + TEST, tmp_path / "out", PRESET="asan")) >= LEAST_TESTS


def test_what_threads_share_passes_under_the_thread_sanitizer(tmp_path: Path) -> None:
    names = " ".join(THREADED)
    script = BUILD + TEST.replace("--test-dir", f"-R '^({'|'.join(THREADED)})$' --test-dir")
    output = run_job("tsan", script, tmp_path / "out", PRESET="tsan", TARGETS=names)
    assert programs_passed(output) == len(THREADED)


STYLE = "find src tests fuzz -name '*.cc' -o -name '*.h' | xargs clang-format --dry-run --Werror\n"
TIDY = """
cmake --preset dev -B /build/native -DCMAKE_CXX_COMPILER=clang++ >/dev/null
cmake --build /build/native --parallel "$JOBS" --target ems_protos ems_services
run-clang-tidy -quiet -p /build/native -j "$JOBS" '/server/(src|tests)/' >/build/out/tidy.txt 2>&1 || {
    grep -A 5 -E 'error:|warning:' /build/out/tidy.txt | head -n 100
    exit 1
}
"""


def test_the_style_is_clang_formats(tmp_path: Path) -> None:
    run_job("style", STYLE, tmp_path / "out", extra=CLANG)


@pytest.mark.nightly
def test_clang_tidy_finds_nothing(tmp_path: Path) -> None:
    output = run_job("tidy", TIDY, tmp_path / "out", extra=CLANG)
    assert "clang-tidy" in (output / "tidy.txt").read_text()
