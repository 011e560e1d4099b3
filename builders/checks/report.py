"""The report as a document: kept beside the packages that it judged, and valid for exactly their bytes."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pydantic

from builders.document import Model
from builders.products import DebFile, Report, StepRecord, Verdict
from builders.target import Target
from builders.workspace import told, write_whole

RULES = 1
"""Raise this number when a check, or a script that runs on the board, judges differently than before.

Reports of other numbers count as absent, so that every package is judged again.
"""


class _Judged(Model):
    package: str
    version: str
    architecture: str
    size: int
    sha256: str


class _Verdict(Model):
    check: str
    subject: str
    passed: bool
    detail: str


class _Step(Model):
    name: str
    seconds: float
    peak_memory_bytes: int


class _Document(Model):
    rules: int
    recipe: str
    target: str
    debs: list[_Judged]
    verdicts: list[_Verdict]
    steps: list[_Step]
    digest: str


def write_report(report: Report, debs: Sequence[DebFile], path: Path) -> None:
    """Write ``report`` on ``debs`` as JSON to ``path``, whole or not at all; raises DiskError."""
    content = {
        "rules": RULES,
        "recipe": report.recipe,
        "target": str(report.target),
        "debs": _identities(debs),
        "verdicts": [asdict(verdict) for verdict in report.verdicts],
        "steps": [asdict(step) for step in report.steps],
    }
    write_whole(path, json.dumps({**content, "digest": _digest(content)}, indent=1) + "\n")


def read_report(path: Path, recipe: str, target: Target, debs: Sequence[DebFile]) -> Report | None:
    """Return the report at ``path`` on exactly these packages, or None.

    None stands for: no file, a damaged one, another recipe or target, other bytes in any .deb, or rules that have
    changed since. Raises DiskError where the file is there but may not be read.
    """
    try:
        with told(path):
            text = path.read_text(encoding="utf-8") if path.exists() else "{}"
        content = json.loads(text)
        document = _Document.model_validate(content)
    except (json.JSONDecodeError, UnicodeDecodeError, pydantic.ValidationError):
        return None
    del content["digest"]
    wanted = {"rules": RULES, "recipe": recipe, "target": str(target), "debs": _identities(debs)}
    if document.digest != _digest(content) or any(content[name] != value for name, value in wanted.items()):
        return None
    verdicts = tuple(Verdict(v.check, v.subject, v.passed, v.detail) for v in document.verdicts)
    steps = tuple(StepRecord(s.name, s.seconds, s.peak_memory_bytes) for s in document.steps)
    return Report(recipe, target, verdicts, steps)


def failures(report: Report) -> str:
    """Return the failed verdicts as text for a CheckError's detail; empty where all passed."""
    told_ones = []
    for verdict in report.verdicts:
        if not verdict.passed:
            detail = verdict.detail.replace("\n", "\n    ")
            told_ones.append(f"{verdict.check} {verdict.subject}:\n    {detail}")
    return "\n".join(told_ones)


def _identities(debs: Sequence[DebFile]) -> list[dict[str, Any]]:
    found = [{name: getattr(deb, name) for name in _Judged.model_fields} for deb in debs]
    return sorted(found, key=lambda each: (str(each["package"]), str(each["sha256"])))


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
