"""The model server's own tests, compiled in a real root: with sanitizers, and with Debian's linters."""

import re
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT
from tests.support.native_server import BUILD, run_job

TEST = """
ctest --test-dir /build/native --output-on-failure --parallel "$JOBS" --timeout 300 >/build/out/ctest.txt 2>&1 || {
    tail -n 200 /build/out/ctest.txt
    exit 1
}
"""
LEAST_TESTS = 30
"""Fewer test programs mean that some were not built."""


THREADED = (
    "batching_test", "catalogue_reload_test", "catalogue_test", "config_file_poller_test", "cpu_servable_test",
    "http_server_test", "metrics_test", "pipeline_test", "scheduler_test", "task_pool_test", "thread_pool_test",
    "turns_test",
)  # fmt: skip
"""Test programs of what threads share. The others need Debian's gRPC, which the thread sanitizer cannot see into."""


def programs_passed(output: Path) -> int:
    """Return how many test programs ran; all must have passed."""
    passed = re.search(r"100% tests passed, 0 tests failed out of (\d+)", (output / "ctest.txt").read_text())
    assert passed
    return int(passed[1])


def test_the_tests_pass_under_the_address_sanitizer(tmp_path: Path) -> None:
    # With the compiler and the flags of the fuzzers, which then find most of their code in ccache.
    output = run_job("asan", BUILD + TEST, tmp_path / "out", PRESET="asan", TARGETS="ems_tests")
    assert programs_passed(output) >= LEAST_TESTS


@pytest.mark.nightly  # in CI the address sanitizer runs the same programs
def test_what_threads_share_passes_under_the_thread_sanitizer(tmp_path: Path) -> None:
    names = " ".join(THREADED)
    script = BUILD + TEST.replace("--test-dir", f"-R '^({'|'.join(THREADED)})$' --test-dir")
    output = run_job("tsan", script, tmp_path / "out", PRESET="tsan", TARGETS=names)
    assert programs_passed(output) == len(THREADED)


FUZZ = """
cmake --preset fuzz -B /build/native >/dev/null
cmake --build /build/native --parallel "$JOBS" --target fuzzers
cd /build/native/fuzz
for fuzzer in *_fuzz; do
    "./$fuzzer" "$LIMIT" -seed=1 -max_len=4096 -timeout=20 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \\
        "corpus/${fuzzer%_fuzz}" >"/build/out/$fuzzer" 2>&1 || {
        tail -n 50 "/build/out/$fuzzer"
        exit 1
    }
done
"""


def fuzz(limit: str, output: Path) -> None:
    """Run every fuzzer up to a limit of libFuzzer's; each must have run."""
    run_job("fuzz", FUZZ, output, LIMIT=limit)
    fuzzers = {path.name.removesuffix(".cc") for path in (CHECKOUT / "server" / "fuzz").glob("*_fuzz.cc")}
    assert {path.name for path in output.iterdir()} == fuzzers
    for path in output.iterdir():
        assert re.search(r"number_of_executed_units: \d{4,}", path.read_text()), path.name


def test_fuzzers_find_nothing_in_a_bounded_run(tmp_path: Path) -> None:
    fuzz("-runs=20000", tmp_path / "out")


@pytest.mark.nightly
def test_fuzzers_find_nothing_in_ten_minutes_each(tmp_path: Path) -> None:
    fuzz("-max_total_time=600", tmp_path / "out")


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
    run_job("style", STYLE, tmp_path / "out")


@pytest.mark.nightly
def test_clang_tidy_finds_nothing(tmp_path: Path) -> None:
    output = run_job("tidy", TIDY, tmp_path / "out")
    assert "clang-tidy" in (output / "tidy.txt").read_text()
