"""Verdicts from lists of faults, in the same wording and with the same limit on length for every check."""

from collections.abc import Iterable

from builders.model.packages import Verdict

SHOWN = 20
"""The number of faults that a verdict names; the others are only counted."""
PREBUILT_FIX = "ask the builder of the package, or accept the fault with accept: and a reason"
"""For packages that no recipe of the project builds, and none can correct."""


def judged(check: str, subject: str, faults: Iterable[str], fix: str, *, passed: str = "") -> Verdict:
    """Return the verdict of ``check`` on ``subject``: failed if there is a fault.

    The detail of a failed verdict has a line for each fault and ends with ``fix``. ``passed`` is the detail of a
    verdict that passed.
    """
    found = list(dict.fromkeys(faults))
    if not found:
        return Verdict(check, subject, True, passed)
    lines = found[:SHOWN]
    if len(found) > SHOWN:
        lines.append(f"... and {len(found) - SHOWN} more")
    return Verdict(check, subject, False, "\n".join([*lines, fix]), tuple(found), fix)
