"""Comparison with committed files; with REEF_GOLDEN_RECORD=1 in the environment they are recorded instead."""

import os
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"
RECORD = bool(os.environ.get("REEF_GOLDEN_RECORD"))


def compare_with_golden(name: str, text: str) -> None:
    """Compare ``text`` with the file ``name`` below tests/golden."""
    path = GOLDEN / name
    if RECORD:
        path.write_text(text)
    assert text == path.read_text()
