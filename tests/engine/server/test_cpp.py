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
LEAST_TESTS = 10
"""Fewer test programs mean that some were not built."""


@pytest.mark.parametrize("preset", ["asan", "tsan"])
def test_the_tests_pass_under_sanitizers(preset: str, tmp_path: Path) -> None:
    output = run_job(preset, BUILD + TEST, tmp_path / "out", PRESET=preset)
    passed = re.search(r"100% tests passed, 0 tests failed out of (\d+)", (output / "ctest.txt").read_text())
    assert passed
    assert int(passed[1]) >= LEAST_TESTS


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
