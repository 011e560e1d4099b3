"""depends, file-policy, version, lintian, and all of them together."""

import pytest

from builders.checks.static.lintian import check_lintian
from builders.checks.static.relations import conflict
from builders.model.recipe import PrebuiltRecipe
from tests.support.debs import recipe_of

LINTIAN = """\
E: sample: no-copyright-file
W: sample: no-manual-page [usr/bin/sample]
W: sample source: newer-standards-version 4.7.0 (current is 4.6.2)
O: sample: embedded-library libyaml [usr/bin/sample]
N: 0 hints overridden
lintian-exit=0
"""


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"Conflicts": "two"}, {}, True),
        ({}, {"Breaks": "one (<< 2)"}, True),
        ({"Breaks": "two (<< 1)"}, {}, False),
        ({"Conflicts": "runtime"}, {"Provides": "runtime"}, True),
        ({"Conflicts": "runtime (<< 3)"}, {"Provides": "runtime"}, False),
        ({"Conflicts": "runtime (<< 3)"}, {"Provides": "runtime (= 2)"}, True),
        ({"Depends": "two"}, {}, False),
    ],
)
def test_what_conflicts(one: dict[str, str], other: dict[str, str], expected: bool) -> None:
    found = conflict({"Package": "one", "Version": "1"} | one, {"Package": "two", "Version": "1"} | other)
    assert found is expected


def test_lintian_errors_fail_with_their_lines() -> None:
    verdict = check_lintian(recipe_of("sample"), LINTIAN)
    assert not verdict.passed
    assert verdict.detail.splitlines()[0] == "E: sample: no-copyright-file"
    assert "W: " not in verdict.detail


def test_the_advice_on_lintian_fits_packages_that_nobody_here_builds() -> None:
    document = {
        "name": "vendor", "summary": "a vendor's", "targets": {"suites": ["trixie"], "architectures": ["arm64"]},
        "prebuilt": {"by": "the vendor", "debs": [{"file": "tool_1_all.deb", "sha256": "a" * 64}]},
    }  # fmt: skip
    recipe = PrebuiltRecipe.model_validate(document).recipe()
    assert "lintian_overrides" not in check_lintian(recipe, LINTIAN).fix
    assert "lintian_overrides" in check_lintian(recipe_of("sample"), LINTIAN).fix


def test_lintian_warnings_and_overrides_pass() -> None:
    verdict = check_lintian(recipe_of("sample"), LINTIAN.replace("E: sample: no-copyright-file\n", ""))
    assert verdict.passed
    assert verdict.detail == "2 warnings, 1 overridden"


@pytest.mark.parametrize(
    ("line", "passed"),
    [
        ("E: sample: dir-or-file-in-opt [opt/vendor/]", True),
        ("E: sample: dir-or-file-in-var-www [var/www/html/]", True),
        ("E: sample: non-etc-file-marked-as-conffile odd/My [conffiles:1]", True),
        ("E: sample: malformed-deb-archive third (official) member data.tar.zst not data.tar.(gz|xz|bz2|lzma)", True),
        ("E: sample: dir-or-file-in-build-tree [build/]", False),
        ("E: sample: no-copyright-file dir-or-file-in-opt", False),
    ],
)
def test_places_and_conffiles_are_judged_by_file_policy(line: str, passed: bool) -> None:
    assert check_lintian(recipe_of("sample"), f"{line}\nlintian-exit=0\n").passed is passed


@pytest.mark.parametrize(
    ("line", "passed"),
    [
        ("E: sample: unstripped-binary-or-object [usr/lib/My core.elf]", True),
        ("E: sample: arch-independent-package-contains-binary-or-object usr/lib/My core.elf", True),
        ("E: sample: unstripped-binary-or-object [usr/lib/other.elf]", False),
        ("E: sample: bad-permissions-for-etc-cron.d-script [usr/lib/My core.elf]", False),
    ],
)
def test_tags_about_programs_do_not_count_for_data(line: str, passed: bool) -> None:
    verdict = check_lintian(recipe_of("sample"), f"{line}\nlintian-exit=0\n", ["usr/lib/My core.elf"])
    assert verdict.passed is passed


@pytest.mark.parametrize(
    ("line", "passed"),
    [
        ("E: sample-dbgsym: stripped-library [usr/lib/debug/.dwz/aarch64-linux-gnu/sample.debug]", True),
        ("E: sample-dbgsym: stripped-library usr/lib/debug/.dwz/x86_64-linux-gnu/sample.debug", True),
        ("E: sample-dbgsym: binary-from-other-architecture [usr/lib/debug/.dwz/x86_64-linux-gnu/sample.debug]", True),
        ("E: sample-dbgsym: stripped-library [usr/lib/debug/.build-id/ab/cdef.debug]", False),
        ("E: sample: stripped-library [usr/lib/debug/.dwz/x86_64-linux-gnu/sample.debug]", False),
        ("E: sample-dbgsym: no-copyright-file [usr/lib/debug/.dwz/x86_64-linux-gnu/sample.debug]", False),
    ],
)
def test_what_debugging_symbols_share_is_no_stripped_library(line: str, passed: bool) -> None:
    assert check_lintian(recipe_of("sample"), f"{line}\nlintian-exit=0\n").passed is passed


@pytest.mark.parametrize("output", ["", "W: sample: x\n", "lintian-exit=0\nW: sample: cut short\n", "lintian-exit=2\n"])
def test_lintian_that_did_not_run_to_its_end_fails(output: str) -> None:
    assert not check_lintian(recipe_of("sample"), output).passed
