"""Faults that a recipe accepts."""

import pytest

from builders.checks.acceptance import accept
from builders.checks.static.lintian import check_lintian
from builders.checks.verdict import SHOWN, judged
from builders.model.packages import Verdict
from builders.model.recipe import PrebuiltRecipe
from tests.support.debs import recipe_accepting, recipe_of

OPT = {"check": "file-policy", "match": "/opt/vendor", "reason": "a vendor's program"}
REASON = "'/opt/vendor': a vendor's program"


def policy(*faults: str, subject: str = "sample") -> Verdict:
    return judged("file-policy", subject, faults, "correct files:", passed="9 entries")


def test_an_accepted_fault_fails_nothing_and_is_named_with_its_reason() -> None:
    [verdict] = accept(recipe_accepting(OPT), [policy("/opt/vendor: not a place", "/opt/vendor/x: not a place")])
    assert verdict.passed
    assert verdict.accepted == (f"2 accepted ({REASON})",)
    assert verdict.detail == f"2 accepted ({REASON})\n  /opt/vendor: not a place\n  /opt/vendor/x: not a place"


def test_a_fault_without_the_match_still_fails() -> None:
    [verdict] = accept(recipe_accepting(OPT), [policy("/opt/vendor: not a place", "/srv/x: not a place")])
    assert not verdict.passed
    assert verdict.detail.splitlines() == [
        "/srv/x: not a place", "correct files:", f"1 accepted ({REASON})", "  /opt/vendor: not a place",
    ]  # fmt: skip


def test_faults_beyond_those_shown_are_accepted_and_judged() -> None:
    many = [f"/opt/vendor/{number}: not a place" for number in range(SHOWN * 2)]
    [verdict] = accept(recipe_accepting(OPT), [policy(*many)])
    assert verdict.passed
    assert verdict.accepted == (f"{SHOWN * 2} accepted ({REASON})",)
    [verdict] = accept(recipe_accepting(OPT), [policy(*many, "/srv/x: not a place")])
    assert verdict.detail.startswith("/srv/x")


@pytest.mark.parametrize("subject", ["other", "sample-tools"])
def test_an_acceptance_is_for_its_own_package(subject: str) -> None:
    verdicts = [policy(subject="sample"), policy("/opt/vendor: not a place", subject=subject)]
    found = accept(recipe_accepting(OPT), verdicts)
    assert not found[1].passed
    assert found[0].stale == ("accept of sample matches no fault: '/opt/vendor' (a vendor's program)",)
    assert found[0].passed


def test_debugging_symbols_are_accepted_with_their_package() -> None:
    [verdict] = accept(recipe_accepting(OPT), [policy("/opt/vendor: no", subject="sample-dbgsym")])
    assert verdict.passed
    assert not verdict.stale


def test_an_acceptance_is_for_its_own_verdict() -> None:
    other = judged("elf-cpu", "sample", ["/opt/vendor/x: for amd64"], "build it for the target")
    assert accept(recipe_accepting(OPT), [other]) == (other,)


@pytest.mark.parametrize(
    ("line", "passed"),
    [
        ("E: sample: no-copyright-file [opt/]", True),
        ("E: sample-dbgsym: no-copyright-file [opt/]", True),
        ("E: other: no-copyright-file [opt/]", False),
        ("E: sample source: no-copyright-file", True),
        ("E: sample changes: no-copyright-file", True),
    ],
)
def test_a_line_of_lintian_is_accepted_by_the_package_that_it_names(line: str, passed: bool) -> None:
    recipe = recipe_accepting({"check": "lintian", "match": "no-copyright-file", "reason": "a vendor's program"})
    [verdict] = accept(recipe, [check_lintian(recipe, f"{line}\nlintian-exit=0\n")])
    assert verdict.passed is passed
    assert bool(verdict.stale) is not passed


@pytest.mark.parametrize("check", ["purge", "run:answer"])
def test_each_package_may_accept_a_fault_of_the_whole_build(check: str) -> None:
    packages = [{"name": "tools", "summary": "a", "accept": [{"check": check, "match": "/var/x", "reason": "data"}]}]
    script = {"name": "answer", "packages": ["tools"], "script": "x.sh"}
    [verdict] = accept(
        recipe_of(packages=packages, checks=[script]), [judged(check, "sample", ["left behind: /var/x"], "fix")]
    )
    assert verdict.passed


def test_a_recipe_without_acceptances_changes_no_verdict() -> None:
    verdicts = (policy(), policy("/srv: no"))
    assert accept(recipe_of("sample"), verdicts) == verdicts


def test_an_acceptance_of_several_given_packages_counts_once() -> None:
    """--accept is for all .debs of a command line together."""
    accepted = {"check": "lintian", "match": "no-changelog", "reason": "the vendor writes none"}
    unused = {"check": "lintian", "match": "other", "reason": "never"}
    debs = [
        {"file": f"{name}_1_all.deb", "sha256": digit * 64, "accept": [accepted, unused]}
        for name, digit in (("one", "1"), ("two", "2"), ("three", "3"))
    ]
    document = {
        "name": "vendor", "summary": "a vendor's", "targets": {"suites": ["trixie"], "architectures": ["arm64"]},
        "prebuilt": {"by": "the vendor", "debs": debs},
    }  # fmt: skip
    recipe = PrebuiltRecipe.model_validate(document).recipe()
    [verdict] = accept(
        recipe, [judged("lintian", "vendor", ["E: two: no-changelog x", "E: three: no-changelog"], "fix")]
    )
    assert verdict.passed
    assert verdict.accepted == ("2 accepted ('no-changelog': the vendor writes none)",)
    assert verdict.stale == ("accept of one matches no fault: 'other' (never)",)
