"""From faults found to verdicts: one wording and one limit on length for every check."""

from collections.abc import Iterable

from builders.model.packages import Verdict

SHOWN = 20
"""Faults told one by one; the rest is counted."""


def judged(check: str, subject: str, faults: Iterable[str], fix: str, *, passed: str = "") -> Verdict:
    """Return the verdict of ``check`` on ``subject``: failed where there is a fault.

    A failed verdict's detail names each fault on a line of its own and ends with ``fix``; ``passed`` is the detail of
    a passing one.
    """
    found = list(dict.fromkeys(faults))
    if not found:
        return Verdict(check, subject, True, passed)
    lines = found[:SHOWN]
    if len(found) > SHOWN:
        lines.append(f"... and {len(found) - SHOWN} more")
    return Verdict(check, subject, False, "\n".join([*lines, fix]))
