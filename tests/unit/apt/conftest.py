"""Nothing of tests/unit/apt waits for the disk."""

import os

import pytest


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fsync adds cannot be seen without a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
