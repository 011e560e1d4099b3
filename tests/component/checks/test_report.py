"""The report's document, and older revisions."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from builders.checks import failures, make_older_revision, read_report, write_report
from builders.checks.report import RULES
from builders.errors import DiskError, HostError
from builders.model.deb_file import control_of, members, read_deb
from builders.model.packages import DebFile, Report, Verdict
from tests.support.debs import AMD64_BOOKWORM, VERSION, as_version, make_deb, recipe_accepting, recipe_of

SAMPLE = recipe_of("sample")
REPORT = Report(
    "sample",
    AMD64_BOOKWORM,
    (Verdict("elf-cpu", "sample", True, "3 files"), Verdict("depends", "sample", False, "Depends is empty\nmend it")),
)


@pytest.fixture
def deb(tmp_path: Path) -> DebFile:
    return make_deb(tmp_path, {"usr/bin/sample": "x"})


def test_a_report_is_read_back(tmp_path: Path, deb: DebFile) -> None:
    path = tmp_path / "checks" / "report.json"
    assert read_report(path, SAMPLE, AMD64_BOOKWORM, [deb]) is None
    write_report(REPORT, SAMPLE, [deb], path)
    assert read_report(path, SAMPLE, AMD64_BOOKWORM, [deb]) == REPORT


def test_a_report_speaks_for_its_own_bytes_only(tmp_path: Path, deb: DebFile) -> None:
    path = tmp_path / "report.json"
    write_report(REPORT, SAMPLE, [deb], path)
    other = make_deb(tmp_path, {"usr/bin/sample": "y"}, Version="1.0-2~deb12")
    for debs in ([], [other], [deb, other], [as_version(deb, "2")]):
        assert read_report(path, SAMPLE, AMD64_BOOKWORM, debs) is None
    assert read_report(path, recipe_of("sample", name="another"), AMD64_BOOKWORM, [deb]) is None


@pytest.mark.parametrize(
    "change", [("false", "true"), ("3 files", "4 files"), (f'"rules": {RULES}', '"rules": 0'), ("{", "")]
)
def test_a_changed_report_counts_as_absent(tmp_path: Path, deb: DebFile, change: tuple[str, str]) -> None:
    path = tmp_path / "report.json"
    write_report(REPORT, SAMPLE, [deb], path)
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    assert read_report(path, SAMPLE, AMD64_BOOKWORM, [deb]) is None


@pytest.mark.parametrize("size", [0, 1, 50])
def test_a_truncated_report_counts_as_absent(tmp_path: Path, deb: DebFile, size: int) -> None:
    path = tmp_path / "report.json"
    write_report(REPORT, SAMPLE, [deb], path)
    path.write_bytes(path.read_bytes()[:size])
    assert read_report(path, SAMPLE, AMD64_BOOKWORM, [deb]) is None


def test_a_report_speaks_for_the_acceptances_of_its_own_checks(tmp_path: Path, deb: DebFile) -> None:
    path = tmp_path / "report.json"
    accepting = recipe_accepting({"check": "depends", "match": "empty", "reason": "a plug-in"})
    accepted = replace(REPORT.verdicts[1], passed=True, faults=("Depends is empty",), accepted=("1 accepted",))
    report = replace(REPORT, verdicts=(REPORT.verdicts[0], accepted))
    write_report(report, accepting, [deb], path)
    assert read_report(path, accepting, AMD64_BOOKWORM, [deb]) == report
    other_reason = recipe_accepting({"check": "depends", "match": "empty", "reason": "another"})
    for other in (SAMPLE, other_reason):
        assert read_report(path, other, AMD64_BOOKWORM, [deb]) is None
    # An acceptance of a verdict in another report leaves this report as it is.
    more = recipe_accepting(*(each.model_dump() for each in accepting.packages[0].accept),
                            {"check": "purge", "match": "/var/lib", "reason": "data"})  # fmt: skip
    assert read_report(path, more, AMD64_BOOKWORM, [deb]) == report


def test_a_report_speaks_for_the_data_that_it_did_not_judge(tmp_path: Path, deb: DebFile) -> None:
    path = tmp_path / "report.json"
    write_report(REPORT, SAMPLE, [deb], path)
    marked = recipe_of(packages=[{"name": "sample", "summary": "a", "data": ["usr/bin/sample"]}])
    assert read_report(path, marked, AMD64_BOOKWORM, [deb]) is None
    write_report(REPORT, marked, [deb], path)
    assert read_report(path, marked, AMD64_BOOKWORM, [deb]) == REPORT
    assert read_report(path, SAMPLE, AMD64_BOOKWORM, [deb]) is None


def test_failures_are_reported_with_their_detail() -> None:
    assert failures(REPORT) == "depends sample:\n    Depends is empty\n    mend it"


def test_an_older_revision_sorts_below_and_holds_the_same(tmp_path: Path) -> None:
    files = {"usr/bin/sample": "content", "etc/sample.conf": "a=1\n"}
    scripts = {"postinst": "#!/bin/sh\nexit 0\n", "conffiles": "/etc/sample.conf\n"}
    relations = f"library (= {VERSION}), libc6 (>= 2.34)"
    deb = make_deb(tmp_path, files, modes={"usr/bin/sample": 0o755}, control_files=scripts, Depends=relations)
    older = make_older_revision(deb, tmp_path / "older")
    control = control_of(older)
    assert (
        subprocess.run(["dpkg", "--compare-versions", control["Version"], "lt", VERSION], check=False).returncode == 0
    )
    assert control["Depends"] == f"library (= {control['Version']}), libc6 (>= 2.34)"
    assert control["Description"] == control_of(deb.path)["Description"]
    assert _shape(older) == _shape(deb.path)
    listing = subprocess.run(["dpkg-deb", "-I", str(older)], check=True, capture_output=True, text=True).stdout
    assert "postinst" in listing
    assert [path.name for path in older.parent.iterdir()] == [older.name]


def test_older_revisions_of_siblings_satisfy_each_other(tmp_path: Path) -> None:
    """Packages that somebody else built have versions of their own, and name those of their siblings."""
    relations = "sib1 (>= 1), sib1:any (>= 0.9), sib2 (>= 2:1.0-3), sib1-dev (>= 1), sib2 | sib1 (= 1), other (>= 1)"
    tool = make_deb(tmp_path, Version="3", Depends=relations, Breaks="sib2 (<< 2:1.0-3~), sib1 (<< 0.5)")
    siblings = [make_deb(tmp_path, Package="sib1", Version="1"), make_deb(tmp_path, Package="sib2", Version="2:1.0-3")]
    control = control_of(make_older_revision(tool, tmp_path / "older", [tool, *siblings]))
    assert control["Depends"] == (
        "sib1 (>= 1~~older), sib1:any (>= 0.9), sib2 (>= 2:1.0-3~~older), sib1-dev (>= 1), sib2 | sib1 (= 1~~older), "
        "other (>= 1)"
    )
    assert control["Breaks"] == "sib2 (<< 2:1.0-3~~older), sib1 (<< 0.5)"


def _shape(path: Path) -> list[tuple[str, int, int, bytes | None]]:
    return sorted((entry.name, entry.mode, entry.uid, content) for entry, content in members(path))


def test_an_epoch_stays_out_of_the_file_name(tmp_path: Path) -> None:
    deb = make_deb(tmp_path, Version="2:1.0-1~deb12")
    older = make_older_revision(deb, tmp_path / "older")
    assert older.name == "sample_1.0-1~deb12~~older_amd64.deb"
    assert read_deb(older).version == "2:1.0-1~deb12~~older"


def test_what_cannot_be_unpacked_or_written_is_reported(tmp_path: Path, deb: DebFile) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        make_older_revision(deb, tmp_path / "file")
    deb.path.write_bytes(b"no .deb")
    with pytest.raises(HostError):
        make_older_revision(deb, tmp_path / "older")
