"""The lines of a program's log that say why it failed.

Tools print the cause first and much advice after it: the last lines of a log often say only that make failed.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

READ_BYTES = 4_000_000
"""Size of the part of a log that is read, from its end."""
LINES, OF_LAST, CONTINUED = 24, 8, 10
"""Most lines of an excerpt, of its last cause and of any cause."""
CONSIDERED = 100
WIDTH, JUDGED = 300, 2000
"""Most characters of a line that are shown, and that decide whether it names a cause."""
TREE = "reef-installed: "
"""Begins the lines by which a failed build job lists the files that were installed; they are no part of an excerpt."""

CAUSE = re.compile(
    r"""
    ^reef:\ error: | ^portable:\ 
    # Compilers, assemblers, linkers.
    | ^\S+?:\d+(:\d+)?:\ ((fatal|internal\ compiler)\ )?[Ee]rror\b
    | ^(?!dh_auto_|dh_\w+:\ error:\ missing|dpkg-buildpackage)[\w./+-]+:\ ((fatal|internal\ compiler)\ )?[Ee]rror:\ 
    | undefined\ reference\ to | cannot\ find\ -l | multiple\ definition\ of | relocation\ R_\S+\ against
    | ^(\S*-)?ld(\.\w+)?:\ (?!warning)(?!.*:\ in\ function)
    # Build systems. make's own causes: no rule, no separator.
    | ^CMake\ Error | ^ninja:\ error: | ^(\S+:\d+:\d+:\ )?ERROR:\  | ^configure(\.ac)?(:\d+)?:\ error:
    | ^(make(\[\d+\])?|\S+:\d+):\ \*\*\*\ (?!.*\bError\ \d+$)(?!Waiting)
    # Tests: of Automake, pytest, unittest, TAP, CTest, GoogleTest, Go and Meson.
    | ^E\ {2,}\S | ^(FAIL|ERROR|FAILED|XPASS)[:\ ]\ *\S | ^not\ ok\b(?!.*\#\ (TODO|SKIP))
    | \*\*\*(Failed|Timeout|Exception|Not\ Run) | The\ following\ tests\ FAILED
    | ^\[\ \ FAILED\ \ \] | ^---\ FAIL: | ^\ *\d+/\d+\ .*\b(FAIL|TIMEOUT|UNEXPECTEDPASS)\b
    # Packaging tools, interpreters, shells, fetchers.
    | ^(E|Err)(:\d+)?:?\ \S | ^dpkg:\ (error|dependency\ problems)\b
    | ^dh_(install|missing):\ warning:\ (?!.*\ missing\ files) | \bhave\ unmet\ dependencies:$
    | ^(Traceback\ \(most\ recent\ call\ last\):|\w*(Error|Exception):\ )
    | :\ (not\ found|command\ not\ found|No\ such\ file\ or\ directory|Permission\ denied|parameter\ not\ set)$
    | :\ [Ss]yntax\ error\b | ^error(\[E\d+\])?:\  | ^(\S+:\ )?fatal:\  | ^curl:\ \(\d+\)
    # Ends of programs.
    | (Segmentation\ fault|Bus\ error|Illegal\ instruction|Aborted|Killed)(\ \(core\ dumped\))?$
    | Assertion\ .*failed | ^terminate\ called | ^qemu:\ (uncaught|fatal) | No\ space\ left\ on\ device
    """,
    re.VERBOSE,
)
"""A line that names a cause."""
WEAK = re.compile(
    r"^fatal: not a git repository|^(FAIL|ERROR|XPASS|FAILED):? +0$|^# (FAIL|ERROR|XPASS)|-- (not found|Failed)$"
)
"""A line that logs of good builds contain too."""
MAKE = re.compile(r"^make(?:\[(\d+)\])?: \*\*\* ")
STEP = re.compile(r"^   (dh_\w+|debian/rules)\b")
"""dh's line before each of its steps."""
DUMP = re.compile(r"^==> \S*(config\.log|CMake\w+\.(txt|log|yaml)|meson-log\.txt) <==$")
"""The head of a log that debhelper prints behind the failed program's own output."""
RULE = re.compile(r"^[=\-_―]{3,}( *✀ *―+)?$")
ABOVE = re.compile(r": [Ii]n (member )?(function|constructor|instantiation|file)\b|^In file included from|^\d+: ")


def excerpt(lines: Sequence[str]) -> list[str]:
    """Return the causes in a failed program's output, each with its continuation; empty if none is recognised."""
    lines = [line for line in lines if not line.startswith(TREE)]
    begin, end = _failed_step(lines)
    causes = [number for number in range(begin, end) if _is_cause(lines[number][:JUDGED])]
    own = [number for number in causes if lines[number].startswith("reef: error:")]
    blocks: list[list[str]] = []
    shown = begin
    for number in _ends(own or causes):
        if number < shown:
            continue
        before = shown
        first, shown = _block(lines, number, end)
        first = max(first, before)
        while not lines[shown - 1].strip():
            shown -= 1
        blocks.append([_short(line) for line in lines[first:shown]])
    return _within([block for number, block in enumerate(blocks) if not _repeated(blocks, number)])


def _ends(causes: list[int]) -> list[int]:
    """Return the first causes and the last, more than are shown."""
    return causes if len(causes) <= CONSIDERED else [*causes[: CONSIDERED - 1], causes[-1]]


def _is_cause(line: str) -> bool:
    return CAUSE.search(line) is not None and WEAK.search(line) is None


def excerpt_of(tail: str, log: Path | None = None) -> str:
    """Return the causes in a failed program's output, all of which is in ``log``; ``tail`` if none is recognised."""
    lines = tail.splitlines()
    if log is not None:
        with suppress(OSError), log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - READ_BYTES))
            lines = file.read().decode("utf-8", "replace").replace("\r", "\n").split("\n")
    return "\n".join(excerpt(lines) or [line for line in tail.splitlines() if not line.startswith(TREE)])


def _failed_step(lines: Sequence[str]) -> tuple[int, int]:
    """Return the part of a log that holds the cause: from the begin of the failed step to the innermost make's end."""
    end, depth = len(lines), -1
    for number in range(len(lines) - 1, -1, -1):
        if found := MAKE.match(lines[number]):
            here = int(found[1] or 0)
            if here < depth:
                break
            end, depth = number + 1, here
    begin = next((number + 1 for number in range(end - 1, -1, -1) if STEP.match(lines[number])), 0)
    dump = next((number for number in range(begin, end) if DUMP.match(lines[number])), end)
    return begin, dump


def _block(lines: Sequence[str], number: int, end: int) -> tuple[int, int]:
    """Return the first line of a cause and the line after its continuation."""
    first = number
    while first > 0 and number - first < OF_LAST and ABOVE.search(lines[first - 1]):
        first -= 1
    last = number + 1
    trace = lines[number].startswith("Traceback")
    if last < end and _underlined(lines[number], lines[last]):  # the output of a failed test follows
        last += 1
        while last < end and last - number <= CONTINUED and not RULE.match(lines[last]):
            last += 1
        return first, last
    while last < end and last - number < (3 if trace else 1) * CONTINUED:
        if not lines[last].strip():
            if last + 1 >= end or not lines[last + 1].startswith((" ", "\t")):
                break
        elif not lines[last].startswith((" ", "\t", "|")) or lines[last].startswith("\ttail "):
            return first, last + trace  # the line after a traceback is the exception
        last += 1
    return first, last


def _underlined(line: str, rule: str) -> bool:
    """Return whether ``rule`` is the line below a heading of a log of Automake, unittest or Meson."""
    return rule == "=" * len(line) or (rule.startswith(("---", "―――")) and RULE.match(rule) is not None)


def _repeated(blocks: Sequence[list[str]], number: int) -> bool:
    """Return whether a block is the start of an earlier block, or of a longer block."""
    block = blocks[number]
    return any(
        other[: len(block)] == block and (place < number or len(other) > len(block))
        for place, other in enumerate(blocks)
        if place != number
    )


def _within(blocks: list[list[str]]) -> list[str]:
    """Return the first causes and the last, as far as they fit into an excerpt."""
    every = [line for block in blocks for line in block]
    if len(every) <= LINES:
        return every
    last = blocks[-1][:OF_LAST]
    return [*every[: LINES - len(last) - 1], "[...]", *last]


def _short(line: str) -> str:
    return line if len(line) <= WIDTH else line[:WIDTH] + "[...]"
