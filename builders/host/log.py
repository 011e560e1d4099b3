"""The display of a run: steps with durations, progress bars, folds in CI, and tables.

On a terminal the running steps are live lines. Elsewhere each step prints a line at its start and its end, and signs
of life in between, inside GitHub's or GitLab's folds. With `Log.keep` every step's time and memory also goes to a file.
"""

import os
import re
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING

from builders.errors import OutputError
from builders.host.command import as_typed
from builders.host.measure import Measure, measured

if TYPE_CHECKING:  # slow to import, and a run with nothing to do shows no progress
    from rich.console import Console
    from rich.progress import Progress, TaskID

SIGN_OF_LIFE_S = 30.0
SHOWN = 60
"""Characters of a live line's text."""
LARGEST_FILE = 5_000_000
"""Size in bytes beyond which a new file of steps begins; the previous file is kept beside it."""
GAP = "  "
"""Between the columns of a table."""
NARROWEST = 12
"""Characters of a column below which no table goes to fit a terminal."""
YELLOW, PLAIN = "\x1b[33m", "\x1b[0m"
COUNTED = re.compile(r"^\[\s*(\d+)/(\d+)\]")
"""A line with the progress of ninja or of the Bazel driver."""
TIME_LEFT = re.compile(r"^\[[^]]*\] ([\w ]+ left):")
MESSAGE = re.compile(r"^reef: (warning: )?(.*)")
"""A message to the user from a script inside a job, on any engine."""


class Step:
    """A running step; its progress comes from output lines or amounts."""

    def __init__(self, log: "Log", title: str) -> None:
        self._log = log
        self.title = title
        self.started = time.monotonic()
        self.task: TaskID | None = None
        self.share = ""
        self._hint = ""

    @property
    def seconds(self) -> float:
        """Wall time since the step began, in seconds."""
        return time.monotonic() - self.started

    def line(self, text: str) -> None:
        """Read one line of a program's output: ``[12/345]`` moves the bar, ``reef: `` marks a message to the user."""
        counted = COUNTED.match(text)
        message = MESSAGE.match(text)
        if message:
            (self._log.warn if message[1] else self._log.note)(f"{'' if message[1] else '  '}{message[2]}")
        elif counted:
            self.amount(int(counted[1]), int(counted[2]), text)
        else:
            self._show(text, None, None)

    def amount(self, done: int, total: int | None, text: str = "") -> None:
        """Show the amount done, in any unit, and the ``total`` if it is known."""
        self._show(text, done, total)

    def size(self, done: int, total: int | None) -> None:
        """Show the number of bytes done, and the ``total`` if it is known."""
        self.amount(done, total, f"{done / 1e6:.1f}" + (f"/{total / 1e6:.1f} MB" if total else " MB"))

    def sign(self) -> None:
        """Print that the step still runs, and its progress."""
        share = f" {self.share}" if self.share else ""
        self._log.note(f"  … {self.title}{share}, after {self.seconds:.0f} s{self._hint}")

    def _show(self, text: str, done: int | None, total: int | None) -> None:
        self._log._update(self, text, done, total)
        if done is not None and total:
            self.share = f"({done} of {total})"
        if ahead := TIME_LEFT.search(text):
            self._hint = f", {ahead[1]}"


class Tracks:
    """Lines of things that go on side by side, one for each ``name``; safe to use from several threads.

    On a terminal a line shows the present state. Elsewhere each state is a line of its own, with the seconds since the
    beginning.
    """

    def __init__(self, log: "Log", names: Sequence[str]) -> None:
        self._log = log
        self._started = time.monotonic()
        self._width = max(map(len, names), default=0)
        with log._lock:
            progress = log._progress
            self._tasks = (
                {name: progress.add_task(f"  {name}", total=None, shown="") for name in names} if progress else {}
            )

    def show(self, name: str, text: str, *, stays: bool = False) -> None:
        """Show the state of ``name``; on a terminal a text that ``stays`` is printed above the live lines too."""
        with self._log._lock:
            if self._log._progress is not None and name in self._tasks:
                self._log._progress.update(self._tasks[name], shown=text[:SHOWN])
                if not stays:
                    return
        self._log.note(f"  {time.monotonic() - self._started:6.1f} s  {name:<{self._width}}  {text}")

    def end(self) -> None:
        """Remove the live lines."""
        with self._log._lock:
            if self._log._progress is not None:
                for task in self._tasks.values():
                    self._log._progress.remove_task(task)
            self._tasks = {}


class Log:
    """The run's display. ``live`` is chosen from the terminal unless given; ``quiet`` shows warnings only."""

    def __init__(self, *, live: bool | None = None, quiet: bool = False, console: "Console | None" = None) -> None:
        self._console = console
        in_ci = bool(os.environ.get("CI"))
        self.live = (self._on_terminal() and not in_ci if live is None else live) and not quiet
        self.quiet = quiet
        self._folds = _fold_style()
        self._progress: Progress | None = None
        self._lock = threading.RLock()
        self._running = 0
        self._file: Path | None = None
        self._steps: list[Step] = []

    @property
    def file(self) -> IO[str]:
        """The file that the display goes to."""
        return self._console.file if self._console else sys.stdout

    def keep(self, path: Path) -> None:
        """Append every step, with its time and memory, and every warning to the file ``path`` from now on."""
        self._file = path
        with suppress(OSError):  # no file yet
            if path.stat().st_size > LARGEST_FILE:
                path.replace(path.with_suffix(".old.log"))

    def note(self, text: str) -> None:
        """Print one line."""
        if not self.quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """Print one line as a warning."""
        colours = self._on_terminal() and not os.environ.get("NO_COLOR")
        self._print(f"{YELLOW}warning:{PLAIN} {text}" if colours else f"warning: {text}")
        self._append(f"warning: {text}")

    def current(self) -> str:
        """Return the running steps and the progress of the innermost, empty without a running step."""
        names = " / ".join(step.title for step in self._steps)
        return f"{names} {self._steps[-1].share}".rstrip() if self._steps else ""

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step while it runs, and its duration (or its failure) at its end."""
        step = Step(self, title)
        self._begin(step)
        took = Measure()
        self._steps.append(step)
        try:
            with measured() as took, self._signs(step):
                yield step
        except BaseException as error:
            self._finish(step, took, "interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        finally:
            self._steps.remove(step)
        self._finish(step, took, None)

    @contextmanager
    def tracks(self, names: Sequence[str]) -> Iterator[Tracks]:
        """Show a line for each of ``names`` while the block runs, inside a running step."""
        tracks = Tracks(self, names)
        try:
            yield tracks
        finally:
            tracks.end()

    @contextmanager
    def _signs(self, step: Step) -> Iterator[None]:
        """Print a sign of life of the innermost step every `SIGN_OF_LIFE_S` seconds, unless live lines show it."""
        if self.live or self.quiet:
            yield
            return
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(SIGN_OF_LIFE_S):
                if self._steps[-1:] == [step]:
                    with suppress(OutputError):  # the step itself reports an output that cannot be written
                        step.sign()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print an aligned table with whole cells; on a terminal the widest columns are wrapped to its width."""
        lines = [columns, *rows]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        if self._on_terminal():
            widths = _fitted(widths, shutil.get_terminal_size().columns - len(GAP) * (len(widths) - 1))
        self._print(title)
        for line in lines:
            wrapped = [_wrapped(cell, width) for cell, width in zip(line, widths, strict=True)]
            for cells in zip_longest(*wrapped, fillvalue=""):
                self._print(GAP.join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())

    def _begin(self, step: Step) -> None:
        with self._lock:
            self._append(f"begin: {step.title}")
            self._running += 1
            if self.live:
                if self._progress is None:
                    self._progress = _bars(self._console)
                    self._progress.start()
                step.task = self._progress.add_task(step.title, total=None, shown="")
            elif not self.quiet and self._running == 1:
                self._fold(self._folds.opening(step.title))
                self.note(f"▸ {step.title}")
            else:
                self.note(f"  ▸ {step.title}")

    def _finish(self, step: Step, took: Measure, trouble: str | None) -> None:
        with self._lock:
            self._append(
                f"{trouble or 'done'}: {step.title}, {took.seconds:.1f} s, peak memory {size(took.peak_memory_bytes)}"
            )
            self._running -= 1
            if self._progress is not None and step.task is not None:
                self._progress.remove_task(step.task)
                if not self._running:
                    self._progress.stop()
                    self._progress = None
            mark, tail = ("✗", f" {trouble}") if trouble else ("✓", "")
            indent = "  " if self._running else ""
            self.note(f"{indent}{mark} {step.title}{tail} ({step.seconds:.1f} s)")
            if not self.live and not self.quiet and not self._running:
                self._fold(self._folds.closing(step.title))

    def _update(self, step: Step, text: str, done: int | None, total: int | None) -> None:
        with self._lock:
            if self._progress is None or step.task is None:
                return
            shown = text.strip()[:SHOWN]
            if done is None:
                self._progress.update(step.task, shown=shown)
            else:
                self._progress.update(step.task, completed=done, total=total, shown=shown)

    def _append(self, text: str) -> None:
        if self._file is None:
            return
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} [{os.getpid()}] {text}\n"
        # The work itself reports a full or unwritable disk; the file of steps must not end it.
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as file:
                file.write(line)

    def _on_terminal(self) -> bool:
        return self.file.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")

    def _fold(self, mark: str) -> None:
        if mark:
            self._print(mark)

    def _print(self, text: str) -> None:
        text = as_typed(text)
        if self._progress is None:
            print(text, file=self.file, flush=True)
        else:
            from rich.text import Text

            self._progress.console.print(Text.from_ansi(text), soft_wrap=True)  # above the live lines


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """Return widths of columns that fit in a row of ``room`` characters: the widest shrink, down to `NARROWEST`."""
    found = list(widths)
    while sum(found) > room and max(found) > NARROWEST:
        found[found.index(max(found))] -= 1
    return found


def _wrapped(cell: str, width: int) -> list[str]:
    return [cell] if len(cell) <= width else textwrap.wrap(cell, width)


def _bars(console: "Console | None") -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
        TextColumn("{task.fields[shown]}", markup=False), TimeElapsedColumn(),
        console=console or Console(highlight=False), transient=True,
    )  # fmt: skip


class _Folds:
    """No folds: a plain log."""

    def opening(self, title: str) -> str:  # noqa: ARG002 - CI kinds use it
        return ""

    def closing(self, title: str) -> str:  # noqa: ARG002 - CI kinds use it
        return ""


class _GitHubFolds(_Folds):
    def opening(self, title: str) -> str:
        return f"::group::{title}"

    def closing(self, title: str) -> str:  # noqa: ARG002 - GitHub's folds are not named at their end
        return "::endgroup::"


class _GitLabFolds(_Folds):
    def opening(self, title: str) -> str:
        return f"\x1b[0Ksection_start:{int(time.time())}:{_slug(title)}\r\x1b[0K{title}"

    def closing(self, title: str) -> str:
        return f"\x1b[0Ksection_end:{int(time.time())}:{_slug(title)}\r\x1b[0K"


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")


def _fold_style() -> _Folds:
    if os.environ.get("GITHUB_ACTIONS"):
        return _GitHubFolds()
    if os.environ.get("GITLAB_CI"):
        return _GitLabFolds()
    return _Folds()


def size(amount: int) -> str:
    """Return a number of bytes in a readable form: ``1.2 MB``."""
    value = float(amount)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
