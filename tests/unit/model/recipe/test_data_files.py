"""Patterns of files that are data."""

import re

import pytest

from builders.model.recipe import data_regex


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("", "usr/lib/firmware/vendor/core.elf", True),
        ("", "lib/firmware/core.elf", True),
        ("", "usr/lib/firmwares/core.elf", False),
        ("usr/share/cores", "usr/share/cores/a/b", True),
        ("/usr/share/cores/", "usr/share/cores/a", True),
        ("usr/share/cores", "usr/share/cores2", False),
        ("usr/*/core", "usr/share/core", True),
        ("usr/*/core", "usr/share/x/core", False),
        ("usr/**/core", "usr/core", True),
        ("usr/**/core", "usr/share/x/core", True),
        ("usr/share/**", "usr/share/x/core", True),
        ("usr/share/core.?", "usr/share/core.1", True),
        ("usr/share/core.?", "usr/share/coreX1", False),
        ("usr/share/[!a-c]x", "usr/share/dx", True),
        ("usr/share/[!a-c]x", "usr/share/ax", False),
        ("usr/share/a.{elf,bin}", "usr/share/a.bin", True),
        ("usr/share/a,b", "usr/share/a,b", True),
        ("usr/share/My $x@1 (a)", "usr/share/My $x@1 (a)", True),
        ("usr/share/[$@]", "usr/share/@", True),
    ],
)
def test_paths_that_are_data(pattern: str, path: str, expected: bool) -> None:
    assert bool(re.search(data_regex([pattern] if pattern else []), path)) is expected
