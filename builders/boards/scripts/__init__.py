"""The shell scripts that run on boards, for dash, bash and busybox. No other program of Reef is on a board.

They are pieces: `script` joins those that a step needs. ``shellcheck`` reads them in the tests.
"""

import shlex
from pathlib import Path

FOLDER = Path(__file__).parent


def script(*pieces: str, **values: str) -> str:
    """Return a script of the files ``pieces``, in which each of the ``values`` is a variable of its name."""
    settings = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return settings + "".join((FOLDER / f"{piece}.sh").read_text() for piece in pieces)
