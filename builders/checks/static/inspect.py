"""Verdicts from the bytes of .debs alone.

A check that judges differently than before needs another number RULES in builders/checks/report.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from builders.checks.acceptance import accept
from builders.checks.static.alignment import check_alignment
from builders.checks.static.archive import check_archive
from builders.checks.static.contents import read_contents
from builders.checks.static.cpu import check_cpu
from builders.checks.static.file_policy import check_files
from builders.checks.static.isa import check_isa
from builders.checks.static.lintian import check_lintian
from builders.checks.static.pointers import check_pointers
from builders.checks.static.portable import check_portable
from builders.checks.static.relations import check_depends
from builders.checks.static.symbols import check_floor
from builders.checks.static.units import check_units
from builders.checks.static.version import check_versions
from builders.checks.verdict import PREBUILT_FIX, judged
from builders.model.arch import ARMHF
from builders.model.packages import DebFile, Verdict
from builders.model.recipe import Recipe, data_regex, without_files
from builders.model.target import Target


def inspect(recipe: Recipe, target: Target, debs: Sequence[DebFile], lintian_output: str) -> tuple[Verdict, ...]:
    """Judge a build's .debs without running them: ``archive``, ``elf-cpu``, ``alignment``, ``isa`` (armhf),
    ``symbol-floor`` (or ``portable``), ``depends``, ``file-policy``, ``systemd``, ``pointers`` and ``version`` for each
    package, ``lintian`` for the whole build.

    Faults that the recipe accepts fail no verdict. ``lintian_output`` is what lintian printed in the build root, with
    the line ``lintian-exit=<status>`` at its end.
    Raises PackageError for a .deb that cannot be read, or is not the one recorded.
    """
    verdicts: list[Verdict] = []
    data: set[str] = set()
    patterns = {package.name: package.data for package in recipe.packages}
    for deb in debs:
        contents = read_contents(deb, data_regex(patterns.get(deb.package, ())))
        data.update(contents.data)
        libraries = partial(check_portable, recipe=recipe) if recipe.build.portable else check_floor
        # The libraries of a portable runtime are Debian's own, which test the CPU.
        instructions = (check_isa,) if target.architecture == ARMHF and not recipe.build.runtime else ()
        checks = (
            check_archive,
            check_cpu,
            check_alignment,
            *instructions,
            libraries,
            check_depends,
            check_files,
            check_units,
        )
        found = [check(contents, target) for check in checks]
        files = [entry.path for entry in contents.entries if entry.kind in ("file", "hardlink")]
        unused = without_files(patterns.get(deb.package, ()), files)
        stale = tuple(f"data of {deb.package} matches no file: {pattern!r}" for pattern in unused)
        verdicts += [replace(each, stale=stale) if each.check == "elf-cpu" else each for each in found]
        verdicts.append(check_pointers(contents))
    if recipe.build.prebuilt:
        verdicts = [each if each.passed else _of_others(each) for each in verdicts]
    verdicts += check_versions(recipe, target, debs)
    verdicts.append(check_lintian(recipe, lintian_output, data))
    return accept(recipe, verdicts)


def _of_others(verdict: Verdict) -> Verdict:
    """Return a failed verdict on a package that no recipe here builds: no recipe can correct it."""
    return replace(judged(verdict.check, verdict.subject, verdict.faults, PREBUILT_FIX), stale=verdict.stale)
