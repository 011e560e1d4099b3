"""The command that runs Reef: ``./inv`` in Reef's own checkout, ``reef`` where it is installed.

All texts say ``./inv``. What is shown to a user says the command that this user can type.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

INV = "./inv"
WRITTEN = re.compile(r"(?<![\w/.'~-])(sudo )?\./inv(?![\w/.-])")
"""``./inv`` as a word of a text, and not as part of a path; after ``sudo``, which has a PATH of its own."""


def own_command() -> str:
    """Return the word that starts Reef again: ``./inv``, ``reef``, or a path to one of them."""
    program = Path(sys.argv[0])
    if program.name != "reef":  # tests, and Invoke's own command line in a checkout
        return INV
    launcher = program.absolute().parent.parent.parent / "inv"  # a .venv is in its checkout
    if launcher.is_file():  # it started the program of its checkout's .venv
        return INV if _same(launcher.parent, Path()) else shlex.quote(str(launcher))
    found = shutil.which("reef")
    return "reef" if found and _same(Path(found), program) else shlex.quote(sys.argv[0])


def as_typed(text: str) -> str:
    """Return ``text`` with the user's own command in place of ``./inv``."""
    if INV not in text or (typed := own_command()) == INV:
        return text
    absolute = shlex.quote(os.path.abspath(sys.argv[0])) if typed == "reef" else typed
    return WRITTEN.sub(lambda match: f"sudo {absolute}" if match[1] else typed, text)


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False
