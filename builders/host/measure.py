"""Measures wall time, and the memory of this process and its children."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from builders.host.process import SAMPLE_S, tree_memory_bytes


@dataclass
class Measure:
    """``seconds`` of wall time and the peak of resident bytes; complete at the end of the work."""

    seconds: float = 0.0
    peak_memory_bytes: int = 0


@contextmanager
def measured() -> Iterator[Measure]:
    """Measure the work inside; memory is sampled every `SAMPLE_S` seconds, and once more at the end."""
    import psutil  # slow to import, and a run with nothing to do measures nothing

    result, started, ended = Measure(), time.monotonic(), threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_S):
            result.peak_memory_bytes = max(result.peak_memory_bytes, tree_memory_bytes(os.getpid()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield result
    finally:
        ended.set()
        watcher.join()
        result.peak_memory_bytes = max(result.peak_memory_bytes, psutil.Process().memory_info().rss)
        result.seconds = time.monotonic() - started
