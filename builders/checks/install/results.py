"""Verdicts from the evidence that the installation job left."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builders.checks.acceptance import accept
from builders.checks.install.upgrade_from import older_versions
from builders.checks.verdict import SHOWN, judged
from builders.host.excerpt import excerpt
from builders.model.packages import Verdict
from builders.model.recipe import Check, Recipe
from builders.model.target import Target

TABLE = "verdicts.tsv"
FIXES = {
    "install": "correct the relations or maintainer scripts in the recipe, or the staged repository",
    "upgrade": "correct the relations (Breaks, Replaces) or maintainer scripts in the recipe",
    "alone": "bundle the missing library: see build.runtime.libraries of the runtime's recipe",
    "purge": "remove in postrm what the package makes at run time (Debian Policy 6.8), or ship it in the package",
    "run": "correct what the script runs, or the script; the job's log has its whole output",
}


@dataclass(frozen=True)
class Row:
    """One line of the job's table; ``evidence`` is a file beside it."""

    check: str
    subject: str
    outcome: str
    evidence: str
    text: str


def read_install(recipe: Recipe, target: Target, output: Path, upgrade_from: Path | None = None) -> tuple[Verdict, ...]:
    """Return the verdicts ``install`` and ``upgrade`` for each package, ``run:<name>`` for each check, and ``purge``;
    for each portable package also ``alone``.

    ``output`` is the folder that the job of `install_job` handed back, ``upgrade_from`` the folder that it got. A
    missing verdict counts as failed; only a package without an older revision has no ``upgrade``, and packages that
    the system needs have no ``purge``. The other upgrades name the older version. Faults that the recipe accepts fail
    no verdict.
    """
    before = older_versions(upgrade_from) if upgrade_from else {}
    rows = list(_rows(output / TABLE))
    verdicts = []
    for package in recipe.packages:
        for check in ("install", "upgrade", *(["alone"] if recipe.build.repack else [])):
            own = [row for row in rows if (row.check, row.subject) == (check, package.name)]
            if not (own and all(row.outcome == "skipped" for row in own)):
                own = [_upgraded(row, before) if check == "upgrade" else row for row in own]
                verdicts.append(_judged(check, package.name, own, target, output))
    verdicts += [_run(recipe, check, rows, target, output) for check in recipe.checks]
    verdicts += _purge(recipe, [_after_upgrade(row, before) for row in rows], target, output)
    return accept(recipe, verdicts)


def _rows(path: Path) -> Iterator[Row]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            cells = line.split("\t")
            if len(cells) == 5:
                yield Row(*cells)


def _judged(check: str, subject: str, rows: list[Row], target: Target, output: Path) -> Verdict:
    family = check.partition(":")[0]
    if not rows:
        return judged(check, subject, [f"the check did not run on {target}"], "see the end of the job's log")
    faults = [fault for row in rows if row.outcome != "ok" for fault in _faults(output, row)]
    return judged(check, subject, faults, FIXES[family], passed=rows[-1].text)


def _upgraded(row: Row, before: Mapping[str, str]) -> Row:
    """Return the row with the version that was upgraded."""
    return replace(row, text=f"{row.text}, from {before[row.subject]}") if row.subject in before else row


def _run(recipe: Recipe, check: Check, rows: list[Row], target: Target, output: Path) -> Verdict:
    name = f"run:{check.name}"
    own = [row for row in rows if row.check == name]
    verdict = _judged(name, recipe.name, own, target, output)
    if not verdict.passed:
        return verdict
    printed = _lines(output / own[-1].evidence)
    absent = [f"expected this line: {line}" for line in check.expect if line not in printed]
    shown = ["but it printed:", *(f"  {line}" for line in printed[-SHOWN // 2 :])]
    fix = "\n".join([*shown, f"see {check.script} in the recipe"])
    return judged(name, recipe.name, absent, fix, passed=", ".join(check.expect))


def _purge(recipe: Recipe, rows: list[Row], target: Target, output: Path) -> list[Verdict]:
    """Return the verdict ``purge``; none where the system needs all packages, so that none was purged."""
    found = [row for row in rows if row.check == "purge"]
    kept = ", ".join(dict.fromkeys(row.text for row in found if row.outcome == "skipped"))
    own = [replace(row, text=row.text or kept) for row in found if row.outcome != "skipped"]
    whole = any(row.check == "end" for row in rows)
    if found and not own and whole:
        return []
    if all(row.outcome == "ok" for row in own) and not whole:
        own = []
    return [_judged("purge", recipe.name, own, target, output)]


def _after_upgrade(row: Row, before: Mapping[str, str]) -> Row:
    """Add the older versions to a purge that failed after an upgrade: these may have left the files."""
    if row.check != "purge" or row.outcome == "ok" or not row.subject.startswith("upgraded-") or not before:
        return row
    return replace(row, text=f"{row.text}, upgraded from {', '.join(sorted(set(before.values())))}")


def _faults(output: Path, row: Row) -> list[str]:
    """Return the faults of a failed row: a fault for each path that differs, else the text with the log's cause."""
    lines = _lines(output / row.evidence) if row.evidence else []
    if row.evidence.startswith("difference-") and lines:
        # comm(1) puts a tab before lines of its second file.
        paths = [f"left behind: {line[1:]}" if line.startswith("\t") else f"missing: {line}" for line in lines]
        return [f"{path} ({row.text})" for path in paths]
    cause = excerpt(lines)[: SHOWN // 2] or lines[-SHOWN // 2 :]
    return ["\n".join([row.text, *(f"  {line}" for line in cause)])]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
