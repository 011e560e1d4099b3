"""Patterns of files that are data."""

import re

import pydantic
import pytest

from builders.model.recipe import data_regex
from builders.model.recipe.data_files import DataPattern


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
        ("usr/share/[^a-c]x", "usr/share/dx", True),
        ("usr/share/[^a-c]x", "usr/share/ax", False),
        ("usr/share[!a]x", "usr/share/x", False),
        ("usr/share/[{}]x", "usr/share/}x", True),
        ("usr/share/[]x]", "usr/share/]", True),
        ("usr/share/[!]x]", "usr/share/]", False),
        ("usr/share/[a^[&]", "usr/share/^", True),
    ],
)
def test_paths_that_are_data(pattern: str, path: str, expected: bool) -> None:
    assert bool(re.search(data_regex([pattern] if pattern else []), path)) is expected


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("{a", "'{a' is not a pattern"),
        ("a}", "'a}' is not a pattern"),
        ("[z-a]", "is not a pattern"),
        ("[]", "is not a pattern"),
        ("[!]", "is not a pattern"),
        ("[[:alpha:]]", "classes such as"),
        ("", "expected a text on one line"),
        ("/", "expected a path"),
        ("a\0b", "expected a text on one line"),
        ("a\nb", "expected a text on one line"),
        ("usr/lib/{{ triplet }}/x", "data: has no variables"),
    ],
)
def test_a_wrong_pattern_is_refused(pattern: str, fault: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=re.escape(fault)):
        pydantic.TypeAdapter(DataPattern).validate_python(pattern)
