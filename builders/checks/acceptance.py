"""Accepted faults: a fault that the recipe accepts with a reason fails no verdict."""

import re
from collections.abc import Sequence
from dataclasses import replace

from builders.checks.verdict import SHOWN, judged
from builders.model.packages import DEBUG_SUFFIX, Verdict
from builders.model.recipe import RUN, Acceptance, Recipe

LINTIAN = re.compile(r"^[A-Z]: (\S+): ")
"""The start of a line of lintian on a binary package; others are on the source package or the .changes file."""

Given = tuple[str, Acceptance]
"""An acceptance with its package's name."""


def accept(recipe: Recipe, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Return ``verdicts`` without the faults that packages of ``recipe`` accept.

    An acceptance counts for its package, its debugging symbols, and verdicts on the whole build, of which lintian's
    lines name a package. One that matches nothing is stale: it fails nothing, as faults may differ between CPUs.
    """
    given = [(package.name, each) for package in recipe.packages for each in package.accept]
    used: set[int] = set()
    judged_again = [_without(verdict, given, used) for verdict in verdicts]
    for number, (package, acceptance) in enumerate(given):
        # The same acceptance of several given packages, as by --accept, is for all of them together.
        equal = [n for n, (_, each) in enumerate(given) if each == acceptance] if recipe.build.prebuilt else [number]
        if number == equal[0] and not used.intersection(equal):
            _name_stale(judged_again, package, acceptance)
    return tuple(judged_again)


def acceptances(recipe: Recipe, checks: Sequence[str]) -> list[list[str]]:
    """Return what decides which faults of ``checks`` are accepted, as plain values: a part of a report's identity."""
    return [
        [package.name, each.check, each.match, each.reason]
        for package in recipe.packages
        for each in package.accept
        if each.check in checks
    ]


def _without(verdict: Verdict, given: Sequence[Given], used: set[int]) -> Verdict:
    taken: dict[Acceptance, list[str]] = {}
    left = []
    for fault in verdict.faults:
        numbers = [number for number, each in enumerate(given) if _accepts(each, verdict, fault)]
        used.update(numbers)
        if numbers:
            taken.setdefault(given[numbers[0]][1], []).append(fault)
        else:
            left.append(fault)
    if not taken:
        return verdict
    summaries = tuple(
        f"{len(faults)} accepted ({acceptance.match!r}: {acceptance.reason})" for acceptance, faults in taken.items()
    )
    shown = [
        line
        for summary, faults in zip(summaries, taken.values(), strict=True)
        for line in (summary, *(f"  {fault.splitlines()[0]}" for fault in faults[:SHOWN]))
    ]
    again = judged(verdict.check, verdict.subject, left, verdict.fix)
    detail = "\n".join([*filter(None, [again.detail]), *shown])
    return replace(again, detail=detail, accepted=summaries, stale=verdict.stale)


def _accepts(given: Given, verdict: Verdict, fault: str) -> bool:
    package, acceptance = given
    return acceptance.check == verdict.check and acceptance.match in fault and _concerns(package, verdict, fault)


def _concerns(package: str, verdict: Verdict, fault: str) -> bool:
    if verdict.check == "lintian":
        named = LINTIAN.match(fault)
        return named is None or _is_of(named[1], package)
    return _whole(verdict) or _is_of(verdict.subject, package)


def _is_of(subject: str, package: str) -> bool:
    return subject.removesuffix(DEBUG_SUFFIX) == package


def _whole(verdict: Verdict) -> bool:
    """Return whether the verdict is on the whole build, whose subject is the recipe."""
    return verdict.check in ("lintian", "purge") or verdict.check.startswith(RUN)


def _name_stale(verdicts: list[Verdict], package: str, acceptance: Acceptance) -> None:
    """Name an acceptance without a fault in the first verdict that it is for."""
    for place, verdict in enumerate(verdicts):
        if verdict.check == acceptance.check and (_whole(verdict) or _is_of(verdict.subject, package)):
            text = f"accept of {package} matches no fault: {acceptance.match!r} ({acceptance.reason})"
            verdicts[place] = replace(verdict, stale=(*verdict.stale, text))
            return
