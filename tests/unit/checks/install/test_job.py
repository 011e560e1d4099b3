"""The installation job: rounds, rendered scripts, and what is read back from it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from builders.checks import read_install
from builders.checks.install.rounds import arrange
from builders.model.recipe import Recipe
from tests.support.debs import AMD64_BOOKWORM, VERSION, only, recipe_of

CHECKS = [
    {"name": "answer", "packages": ["tools", "dash"], "script": "checks/an answer.sh", "expect": ["digit=7", "ok"]},
    {"name": "help", "packages": ["tools"], "script": "checks/help.sh"},
]
PURGED = "purge\tinstalled-1\tok\tpurge-installed-1.log\t"
LEFT_BEHIND = "purge\tinstalled-1\tfailed\tdifference-installed-1.txt\tnot as before"


def control(name: str, **fields: str) -> dict[str, str]:
    return {"Package": name, "Version": VERSION} | fields


def sample() -> Recipe:
    return recipe_of("library", "tools", "headers", "variant", checks=CHECKS)


SAMPLE_CONTROLS: Mapping[str, Mapping[str, str]] = {
    "headers": control("headers", Depends=f"library (= {VERSION}), zlib1g-dev"),
    "library": control("library", Depends="libc6", Conflicts="variant"),
    "tools": control("tools", Depends=f"library (= {VERSION})"),
    "variant": control("variant"),
}


def test_checks_come_first_and_conflicting_packages_take_turns() -> None:
    rounds = arrange(sample(), SAMPLE_CONTROLS)
    assert [[stage.packages for stage in each.stages] for each in rounds] == [
        [("tools", "dash"), ("headers",)],
        [("variant",)],
    ]
    assert [check.name for check in rounds[0].stages[0].checks] == ["answer", "help"]
    assert [each.members for each in rounds] == [["library", "tools", "headers"], ["variant"]]


def test_packages_without_checks_are_installed_at_once() -> None:
    controls = {name: control(name) for name in ("one", "two", "three")}
    (each,) = arrange(recipe_of("one", "two", "three"), controls)
    assert [stage.packages for stage in each.stages] == [("one", "two", "three")]


def outcome(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write what a job that found no fault hands back, then replace text in its table."""
    lines = [f"install\t{n}\tok\tinstall-1-1.log\t{VERSION}" for n in ("library", "tools", "headers", "variant")]
    lines += [f"upgrade\t{n}\tok\tupgrade-1.log\t{VERSION}" for n in ("library", "tools")]
    lines += [f"upgrade\t{n}\tskipped\t\tno older revision" for n in ("headers", "variant")]
    lines += [f"run:{n}\tsample\tok\tcheck-{n}.log\texit status 0" for n in ("answer", "help")]
    lines += ["purge\tinstalled-1\tok\tpurge-installed-1.log\t", "purge\tupgraded-1\tok\tpurge-upgraded-1.log\t"]
    lines += ["end\tsample\tok\t\t", ""]
    text = "\n".join(lines)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "verdicts.tsv").write_text(text)
    (folder / "check-answer.log").write_text("warming up\ndigit=7\nok\n")
    (folder / "install-1-1.log").write_text("E: Unable to correct problems\n")
    (folder / "difference-installed-1.txt").write_text("/usr/gone\n\t/var/lib/sample\n\t/var/lib/sample/state\n")
    return folder


def test_a_faultless_job_passes(tmp_path: Path) -> None:
    verdicts = read_install(sample(), AMD64_BOOKWORM, outcome(tmp_path))
    assert all(v.passed for v in verdicts), verdicts
    assert [(v.check, v.subject) for v in verdicts] == [
        ("install", "library"), ("upgrade", "library"), ("install", "tools"), ("upgrade", "tools"),
        ("install", "headers"), ("install", "variant"),
        ("run:answer", "sample"), ("run:help", "sample"), ("purge", "sample"),
    ]  # fmt: skip


def test_what_the_system_needs_has_no_purge(tmp_path: Path) -> None:
    """Nothing was purged, so that nothing says that it leaves no files."""
    upgraded = "purge\tupgraded-1\tok\tpurge-upgraded-1.log\t\n"
    folder = outcome(tmp_path, (PURGED, PURGED.replace("\tok\t", "\tskipped\t")), (upgraded, ""))
    verdicts = read_install(sample(), AMD64_BOOKWORM, folder)
    assert all(verdict.passed for verdict in verdicts)
    assert not [verdict for verdict in verdicts if verdict.check == "purge"]
    (tmp_path / "verdicts.tsv").write_text((tmp_path / "verdicts.tsv").read_text().replace("end\t", "midway\t"))
    assert not only(read_install(sample(), AMD64_BOOKWORM, folder), "purge").passed


def test_what_stays_is_named_beside_what_was_purged(tmp_path: Path) -> None:
    stays = PURGED.replace("\tok\t", "\tskipped\t") + "the system needs it: base"
    folder = outcome(tmp_path, (PURGED, f"{stays}\n{PURGED}"))
    purged = only(read_install(sample(), AMD64_BOOKWORM, folder), "purge")
    assert (purged.passed, purged.detail) == (True, "the system needs it: base")


def test_no_output_is_failure_everywhere(tmp_path: Path) -> None:
    verdicts = read_install(sample(), AMD64_BOOKWORM, tmp_path)
    assert len(verdicts) == 11
    assert not any(v.passed for v in verdicts)
    assert "did not run on bookworm/amd64" in verdicts[0].detail


@pytest.mark.parametrize(
    ("change", "check", "subject", "message"),
    [
        (("install\tlibrary\tok", "install\tlibrary\tfailed"), "install", "library", "Unable to correct problems"),
        (("upgrade\ttools\tok", "upgrade\ttools\tfailed"), "upgrade", "tools", VERSION),
        (
            ("upgrade\tvariant\tskipped\t\tno older revision\n", ""),
            "upgrade",
            "variant",
            "did not run",
        ),
        (("run:help\tsample\tok", "run:help\tsample\tfailed"), "run:help", "sample", "exit status 0"),
        (("run:answer", "run:another"), "run:answer", "sample", "did not run"),
        ((PURGED, PURGED.replace("ok", "failed") + "apt failed"), "purge", "sample", "apt failed"),
        ((PURGED, LEFT_BEHIND), "purge", "sample", "left behind: /var/lib/sample/state (not as before)"),
        ((PURGED, LEFT_BEHIND), "purge", "sample", "missing: /usr/gone"),
        (("end\t", "midway\t"), "purge", "sample", "did not run"),
    ],
)
def test_each_fault_is_reported(
    tmp_path: Path, change: tuple[str, str], check: str, subject: str, message: str
) -> None:
    verdicts = read_install(sample(), AMD64_BOOKWORM, outcome(tmp_path, change))
    verdict = only(verdicts, check, subject)
    assert not verdict.passed
    assert message in verdict.detail
    assert [v for v in verdicts if not v.passed] == [verdict]


@pytest.mark.parametrize("match", ["/var/lib/sample", "left behind"])
def test_paths_that_stay_after_a_purge_are_accepted_each(tmp_path: Path, match: str) -> None:
    accept = [{"check": "purge", "match": match, "reason": "data of the user"}]
    packages = [*({"name": name, "summary": "a"} for name in ("library", "headers", "variant")),
                {"name": "tools", "summary": "a", "accept": accept}]  # fmt: skip
    recipe = recipe_of(checks=CHECKS, packages=packages)
    verdict = only(read_install(recipe, AMD64_BOOKWORM, outcome(tmp_path, (PURGED, LEFT_BEHIND))), "purge")
    assert not verdict.passed
    assert verdict.detail.startswith("missing: /usr/gone (not as before)\n")
    (tmp_path / "difference-installed-1.txt").write_text("\t/var/lib/sample\n")
    verdict = only(read_install(recipe, AMD64_BOOKWORM, tmp_path), "purge")
    assert verdict.passed
    assert verdict.accepted == (f"1 accepted ({match!r}: data of the user)",)


def test_the_log_of_an_installation_is_one_fault(tmp_path: Path) -> None:
    accept = [{"check": "install", "match": "Unable to correct", "reason": "its postinst needs a running systemd"}]
    packages = [{"name": name, "summary": "a", "accept": accept} for name in ("library", "tools", "headers", "variant")]
    recipe = recipe_of(checks=CHECKS, packages=packages)
    failed = outcome(tmp_path, ("install\tlibrary\tok", "install\tlibrary\tfailed"))
    assert all(verdict.passed for verdict in read_install(recipe, AMD64_BOOKWORM, failed))


def test_expected_lines_are_whole_lines(tmp_path: Path) -> None:
    outcome(tmp_path)
    (tmp_path / "check-answer.log").write_text("digit=77\nok\n")
    verdict = only(read_install(sample(), AMD64_BOOKWORM, tmp_path), "run:answer")
    assert not verdict.passed
    assert verdict.detail.startswith("expected this line: digit=7\nbut it printed:\n  digit=77\n  ok\n")
