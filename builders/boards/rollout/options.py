"""The options of a rollout, for all of its boards."""

import getpass
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field

from builders.boards.inventory.keys import WISH
from builders.errors import InputError


@dataclass(frozen=True)
class Options:
    """How a rollout proceeds. ``soak_s``: seconds between the canary and the rest. ``reboot``: whether each board that
    changed is restarted and tested again.

    ``packages`` (words ``NAME`` or ``NAME=VERSION``) replace reef_packages of boards.yml, and nothing else changes.
    """

    soak_s: float = 0
    most_failures: int = 0
    packages: tuple[str, ...] = ()
    reboot: bool = False
    who: str = field(default_factory=lambda: f"{getpass.getuser()}@{platform.node()}")


def package_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words given with ``--package``; raises InputError for one that names no package, and for two of one
    package."""
    names = [word.partition("=")[0] for word in words]
    for number, word in enumerate(words):
        if not WISH.fullmatch(word):
            raise InputError(f"not a package: {word!r}", "given with --package", "write NAME or NAME=VERSION")
        if names[number] in names[:number]:
            raise InputError(f"--package names {names[number]} twice", fix="name it once")
    return tuple(words)
