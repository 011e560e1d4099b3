"""``lintian``: the findings of Debian's own checker, which ran in the build root."""

import re
from collections.abc import Collection

from builders.checks.verdict import PREBUILT_FIX, SHOWN, judged
from builders.model.packages import Verdict
from builders.model.recipe import Recipe

FILE_POLICY = re.compile(
    r"^E: \S+: (dir-or-file-in-(?!build-tree)|(dir|file)-in-usr-local|non-standard-toplevel-dir|non-standard-dir-in-"
    r"|FSSTND-dir-in-|triplet-dir-and-architecture-mismatch|(missing|relative|non-etc-file-marked-as)-conffile"
    r"|file-in-etc-not-marked-as-conffile|unknown-conffile-instruction)"
)
"""Tags about places and conffiles, which `file_policy` judges: there, recipes accept faults, and names of conffiles may
have spaces."""
ARCHIVE = re.compile(r"^E: \S+: malformed-deb-archive ")
"""The tag about members and compressions, which `archive` judges by the dpkg of the suite: lintian knows no zstd."""
PROGRAMS = re.compile(
    r"^E: \S+: [a-z-]*(binary|elf|library|linked|stripped|arch-|sharedobject|shared-object|code-sections|object|debug)"
)
"""Tags about programs and libraries."""
SHARED_DEBUG = re.compile(
    r"^E: \S+-dbgsym: (stripped-library|binary-from-other-architecture) \[?usr/lib/debug/\.dwz/[^ ]+\.debug\]?$"
)
"""Tags about the file into which dh_dwz moves what a package's debugging symbols share. Of small programs, that is
only .debug_str, and lintian takes a file there without .debug_info for a stripped library. Symbols of another CPU may
be below .build-id, but lintian does not know the file that they share."""
MARKER = re.compile(r"^lintian-exit=(\d+)$")
FIX = "correct the packaging, or accept the tag with lintian_overrides: and a reason in the recipe"
ABSENT_FIX = "the build job must run lintian and append lintian-exit=$? to its output"


def check_lintian(recipe: Recipe, output: str, data: Collection[str] = ()) -> Verdict:
    """Judge lintian's text: a line ``E:`` fails, except for places, for members of the archive, for shared debugging
    symbols, and for programs that are ``data`` (their paths).

    ``W:`` and overridden tags (``O:``) are counted.
    The last line must be ``lintian-exit=0``: without it lintian did not run to its end, and the check fails.
    """
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    marker = MARKER.match(lines[-1]) if lines else None
    if marker is None:
        return judged(
            "lintian", recipe.name, ["lintian did not run: its output has no last line lintian-exit=0"], ABSENT_FIX
        )
    if marker[1] != "0":
        faults = [f"lintian itself failed with status {marker[1]}", *lines[-SHOWN:-1]]
        return judged("lintian", recipe.name, faults, "see the build's log")
    errors = [line for line in lines if line.startswith("E: ")]
    errors = [line for line in errors if not FILE_POLICY.match(line) and not ARCHIVE.match(line)]
    errors = [line for line in errors if not SHARED_DEBUG.match(line) and not _on_data(line, data)]
    fix = PREBUILT_FIX if recipe.build.prebuilt else FIX
    return judged("lintian", recipe.name, errors, fix, passed=_counted(lines))


def _on_data(line: str, data: Collection[str]) -> bool:
    # Older lintians print the path without brackets.
    return bool(PROGRAMS.match(line)) and any(line.endswith((f"[{path}]", f" {path}")) for path in data)


def _counted(lines: list[str]) -> str:
    warnings = sum(line.startswith("W: ") for line in lines)
    overridden = sum(line.startswith("O: ") for line in lines)
    return f"{warnings} warnings, {overridden} overridden"
