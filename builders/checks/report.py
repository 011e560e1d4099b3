"""The report as a document beside the packages that it judges, valid for exactly their bytes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from builders.checks.acceptance import acceptances
from builders.host.files import disk_errors, document_digest, write_whole
from builders.model.jobs import StepRecord
from builders.model.packages import DebFile, PackageFile, Report, Verdict
from builders.model.recipe import Recipe
from builders.model.target import Target

RULES = 3
"""Raise this number when a check, or a script that runs on the board, judges differently than before.

Reports of other numbers count as absent, so that every package is judged again.
"""


def write_report(report: Report, recipe: Recipe, debs: Sequence[DebFile], path: Path) -> None:
    """Write the ``report`` on ``debs`` of ``recipe`` as JSON to ``path``, whole or not at all; raises DiskError."""
    content = {
        "rules": RULES,
        "recipe": report.recipe,
        "target": str(report.target),
        "debs": _identities(debs),
        "accept": acceptances(recipe, [verdict.check for verdict in report.verdicts]),
        "data": _data(recipe),
        "verdicts": [asdict(verdict) for verdict in report.verdicts],
        "steps": [asdict(step) for step in report.steps],
    }
    write_whole(path, json.dumps({**content, "digest": document_digest(content)}, indent=1) + "\n")


def read_report(path: Path, recipe: Recipe, target: Target, debs: Sequence[DebFile]) -> Report | None:
    """Return the report at ``path`` on exactly these packages, or None.

    None means: no file, a damaged file, another recipe or target, other bytes in any .deb, other rules, or other
    acceptances for the report's verdicts or other ``data`` in the recipe. Raises DiskError for a file that cannot be
    read.
    """
    try:
        with disk_errors(path):
            text = path.read_text(encoding="utf-8") if path.exists() else "{}"
        content = json.loads(text)
        digest = content.pop("digest")
        verdicts = tuple(_verdict(document) for document in content["verdicts"])
        steps = tuple(StepRecord(**step) for step in content["steps"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    expected = {
        "rules": RULES,
        "recipe": recipe.name,
        "target": str(target),
        "debs": _identities(debs),
        "accept": acceptances(recipe, [verdict.check for verdict in verdicts]),
        "data": _data(recipe),
    }
    if digest != document_digest(content) or any(content.get(name) != value for name, value in expected.items()):
        return None
    return Report(recipe.name, target, verdicts, steps)


def failures(report: Report) -> str:
    """Return the failed verdicts as text for a CheckError's detail; empty if all passed."""
    lines = []
    for verdict in report.verdicts:
        if not verdict.passed:
            detail = verdict.detail.replace("\n", "\n    ")
            lines.append(f"{verdict.check} {verdict.subject}:\n    {detail}")
    return "\n".join(lines)


def _data(recipe: Recipe) -> list[list[str]]:
    """Return the patterns of files that no verdict on programs judges."""
    return [[package.name, *package.data] for package in recipe.packages if package.data]


def _verdict(document: dict[str, Any]) -> Verdict:
    lists = {name: tuple(value) for name, value in document.items() if isinstance(value, list)}
    return Verdict(**document | lists)


def _identities(debs: Sequence[DebFile]) -> list[dict[str, Any]]:
    found = [{field.name: getattr(deb, field.name) for field in fields(PackageFile)} for deb in debs]
    return sorted(found, key=lambda each: (str(each["package"]), str(each["sha256"])))
