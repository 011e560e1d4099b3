"""``symbol-floor``: no file needs a newer glibc, libstdc++ or libgcc than the suite has."""

import re
from collections.abc import Iterator

from builders.checks.static.contents import Contents
from builders.checks.verdict import judged
from builders.model.packages import Verdict
from builders.model.target import Suite, Target

NUMBERED = re.compile(r"^(GLIBC|GLIBCXX|CXXABI|GCC)_(\d+(?:\.\d+)*)$")
FAMILY = re.compile(r"^(GLIBC|GLIBCXX|CXXABI|GCC)_")
UNNUMBERED = {"GLIBC_ABI_DT_RELR": ("GLIBC", (2, 36))}
"""Named features and the version that brought them (glibc's NEWS for 2.36)."""
IN_EVERY_SUITE = re.compile(r"^CXXABI_(FLOAT128|TM_1|LDBL_1\.3|ARM_1\.3\.3)$")
"""Versions of libstdc++ that are older than every known suite (libstdc++'s manual, "ABI Policy")."""
GCC_OF_SUITE = {"buster": (8,), "bullseye": (10,), "bookworm": (12,), "trixie": (14,)}
"""The GCC whose libgcc_s each suite ships (packages.debian.org: libgcc-s1)."""
FIX = "build it in a root of the target suite or an older one, with that suite's own libraries"


def check_floor(contents: Contents, target: Target) -> Verdict:
    """Judge the symbol versions that the dynamic linker needs (.gnu.version_r) by the suite's newest."""
    return judged("symbol-floor", contents.deb.package, _faults(contents, target.suite), FIX, passed=_newest(contents))


def floors(suite: Suite) -> dict[str, tuple[int, ...]]:
    """Return the newest version of each family of symbols that ``suite`` defines."""
    return {"GLIBC": suite.glibc, "GLIBCXX": suite.glibcxx, "CXXABI": suite.cxxabi, "GCC": GCC_OF_SUITE[suite.name]}


def _faults(contents: Contents, suite: Suite) -> Iterator[str]:
    limits = floors(suite)
    for elf in contents.elves:
        if elf.fault:
            yield f"{elf.path}: {elf.fault}"
        for library, symbol in elf.versions:
            if not FAMILY.match(symbol) or IN_EVERY_SUITE.match(symbol):
                continue
            found = _numbered(symbol)
            if found is None:
                yield f"{elf.path}: needs {symbol} of {library}, which no other package may rely on"
            elif _exceeds(found[1], limits[found[0]]):
                newest = f"{found[0]}_{'.'.join(map(str, limits[found[0]]))}"
                yield f"{elf.path}: needs {symbol} of {library}, {suite.name} has no newer than {newest}"


def _numbered(symbol: str) -> tuple[str, tuple[int, ...]] | None:
    match = NUMBERED.match(symbol)
    return (match[1], tuple(int(part) for part in match[2].split("."))) if match else UNNUMBERED.get(symbol)


def _exceeds(version: tuple[int, ...], limit: tuple[int, ...]) -> bool:
    """Compare only the parts that the limit has: GCC_14.0.0 does not exceed a limit of (14,)."""
    return version[: len(limit)] > limit


def _newest(contents: Contents) -> str:
    """Return the newest needed version of each family, for the detail of a verdict that passed."""
    newest: dict[str, tuple[int, ...]] = {}
    for elf in contents.elves:
        for _, symbol in elf.versions:
            if found := _numbered(symbol):
                newest[found[0]] = max(newest.get(found[0], ()), found[1])
    return ", ".join(f"{family}_{'.'.join(map(str, version))}" for family, version in sorted(newest.items()))
