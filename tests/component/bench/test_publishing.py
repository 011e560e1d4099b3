"""The benchmark's verdicts: each wish is judged by its own figure, and by nothing else."""

from pathlib import Path

import pytest

from builders.host.log import Log
from tests.bench import publishing
from tests.bench.publishing import Bench


def test_a_peer_that_takes_too_long_is_stopped_and_what_it_took_is_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, 1, Log(quiet=True))
    monkeypatch.setattr(publishing, "LONGEST_REST_S", 0.3)
    bench.timed("one new", "aptly", lambda: (bench.quiet(["sleep", "0.2"]), bench.quiet(["sleep", "20"])))
    bench.timed("one new", "reprepro", lambda: bench.quiet(["true"]))
    bench.timed("nothing new", "aptly", lambda: bench.quiet(["false"]))
    assert "nothing new" not in bench.rows, "what a stop left is half a repository"
    row = bench.rows["one new"]
    assert 0.3 <= row["aptly"] < 10
    assert row["reprepro"] < 10
    told = bench._peer("one new", row | {"reef": 0.1}, "aptly")
    assert told.startswith(f">{row['aptly']:.2f} (>")
    assert not bench._peer("one new", row | {"reef": 0.1}, "reprepro").startswith(">")
    assert bench._peer("one new", {"reef": 0.1}, "aptly") == ""
