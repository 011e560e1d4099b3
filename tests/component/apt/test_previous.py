"""Which published revision an upgrade is tried from, and that an equal trial is not made twice."""

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from builders.apt.repository.previous import copy_from_pool, previous_revision
from builders.checks import report
from builders.checks.install import results
from builders.deb import plan_job
from builders.engines.chroot.engine import ChrootEngine
from builders.errors import PublishError
from builders.host.log import Log
from builders.model.arch import ARM64, Architecture
from builders.model.deb_file import control_of, read_deb
from builders.model.jobs import BuildJob, JobResult, Root
from builders.model.recipe import BuildSpec, RepackSpec
from builders.model.target import parse_target
from builders.pipeline.gate import install_test
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.records import Record
from tests.support.debs import recipe_of
from tests.support.repository import Publisher

TRIXIE = parse_target("trixie/arm64")


def found(publisher: Publisher, *suites: str, below: str = "1.0-9", architecture: str = "arm64") -> list[str]:
    debs = previous_revision(
        publisher.repository, suites or ["trixie"], {"one", "two"},
        architecture=architecture, below=below, state=publisher.state,
    )  # fmt: skip
    assert all(deb.path.is_file() for deb in debs)
    return sorted(f"{deb.package} {deb.version}" for deb in debs)


def test_the_newest_lower_revision_is_taken_whole(publisher: Publisher) -> None:
    assert found(publisher) == []
    publisher.publish(publisher.deb("one", "1.0-2"), publisher.deb("two", "1.0-2"), publisher.deb("other", "1.0-8"))
    publisher.publish(publisher.deb("one", "1.0-10", "all"), publisher.deb("one", "1.0-3", "armhf"))
    assert found(publisher) == ["one 1.0-2", "two 1.0-2"]
    assert found(publisher, below="1.0-2") == []
    assert found(publisher, below="1.0-11") == ["one 1.0-10"]  # two was not in that one
    assert found(publisher, architecture="armhf") == ["one 1.0-3"]


def test_a_suite_of_its_own_comes_first(publisher: Publisher) -> None:
    publisher.publish(publisher.deb("one", "1.0-4"))
    assert found(publisher, "trixie-testing", "trixie") == ["one 1.0-4"]
    publisher.publish(publisher.deb("one", "1.0-1"), suite="trixie-testing")
    assert found(publisher, "trixie-testing", "trixie") == ["one 1.0-1"]


def test_a_published_deb_that_was_changed_or_removed_is_told(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(publisher.deb("one", "1.0-1"))
    debs = previous_revision(
        publisher.repository, ["trixie"], ["one"], architecture="arm64", below="1.0-2", state=publisher.state
    )
    copy_from_pool(debs, tmp_path / "sound")
    assert [control_of(path)["Version"] for path in (tmp_path / "sound").iterdir()] == ["1.0-1"]
    debs[0].path.chmod(0o644)
    with debs[0].path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(PublishError, match="was changed after its publication"):
        copy_from_pool(debs, tmp_path / "changed")
    debs[0].path.unlink()
    with pytest.raises(PublishError, match="the pool lacks"):
        copy_from_pool(debs, tmp_path / "absent")


class Board(ChrootEngine):
    """Hands back what a board that found no fault would, and keeps the older versions that it was given."""

    def __init__(self, publisher: Publisher, machine: Architecture) -> None:
        super().__init__(replace(publisher.project(), machine=machine))
        self.given: list[list[str]] = []

    def check(self, root: Root) -> None:
        pass

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:  # noqa: ARG002 - the engine has it
        [older] = [one.path for one in job.inputs if one.destination == "/reef/older"]
        self.given.append(sorted(control_of(path)["Version"] for path in older.iterdir()))
        output.mkdir(parents=True)
        rows = [("install", "one", "1.0-5"), ("upgrade", "one", "1.0-5"), ("purge", "installed-1", ""), ("end", "", "")]
        lines = [f"{check}\t{subject}\tok\t\t{text}\n" for check, subject, text in rows]
        (output / results.TABLE).write_text("".join(lines))
        return JobResult(job.name, output, ())


class Trials:
    """Tries one build of the package ``one`` again and again."""

    def __init__(self, publisher: Publisher, build: BuildSpec | None = None) -> None:
        self.publisher, self.board = publisher, Board(publisher, ARM64)
        self.recipe = recipe_of("one").model_copy(update={"build": build} if build else {})
        self.job = plan_job(self.recipe, TRIXIE, strategy="native", machine=ARM64, debian={})
        self.record = Record({}, (read_deb(publisher.deb("one", "1.0-5")),), (), (), (0, 0), "chroot", ())

    def __call__(self) -> str:
        """Return the upgrade's detail; the last of ``board.given`` is what it was upgraded from."""
        judged, _ = install_test(
            self.publisher.project(), BuildTarget(self.job, {}), self.record, candidate=Path("/staged"),
            suffix="", engine=self.board, scratch=Path(tempfile.mkdtemp(dir=self.publisher.folder)),
        )  # fmt: skip
        [detail] = [verdict.detail for verdict in judged.verdicts if verdict.check == "upgrade"]
        return detail


@pytest.fixture
def tries(publisher: Publisher) -> Trials:
    return Trials(publisher)


def test_each_older_revision_is_tried_once(tries: Trials, publisher: Publisher) -> None:
    assert tries() == "1.0-5, from 1.0-5~~older (made up: none that fits is published)"
    tries()
    assert tries.board.given == [["1.0-5~~older"]]
    publisher.publish(publisher.deb("one", "1.0-3"))
    assert tries() == "1.0-5, from 1.0-3"
    publisher.publish(publisher.deb("one", "1.0-4"))
    assert tries() == "1.0-5, from 1.0-4"
    tries()
    assert tries.board.given == [["1.0-5~~older"], ["1.0-3"], ["1.0-4"]]


def test_portable_packages_of_another_runtime(publisher: Publisher) -> None:
    """Beside the newest packages of another recipe apt cannot install them any more; without one it can."""
    repack = RepackSpec(
        native="trixie", native_version="1.0-5", runtime="runtime13.2", runtime_version="13.2", packages={"one": "one"}
    )
    alone = Trials(publisher, BuildSpec.of_repack(repack, {"runtime": []}))
    beside = Trials(publisher, BuildSpec.of_repack(repack, {"runtime": [], "other": []}))
    publisher.publish(publisher.deb("one", "1.0-3~portable13.1"))
    assert alone() == "1.0-5, from 1.0-3~portable13.1"
    assert beside() == "1.0-5, from 1.0-5~~older (made up: none that fits is published)"
    publisher.publish(publisher.deb("one", "1.0-4~portable13.2"))
    assert beside() == "1.0-5, from 1.0-4~portable13.2"


def test_other_bytes_of_the_same_version_are_tried_anew(tries: Trials, publisher: Publisher) -> None:
    publisher.publish(publisher.deb("one", "1.0-3"))
    tries()
    subprocess.run(["rm", "-r", str(publisher.repository), str(publisher.state)], check=True)
    publisher.publish(publisher.deb("one", "1.0-3", content="others"))
    tries()
    assert tries.board.given == [["1.0-3"], ["1.0-3"]]


def test_a_revision_that_was_let_go_needs_no_trial_with_a_made_up_one(tries: Trials, publisher: Publisher) -> None:
    publisher.publish(publisher.deb("one", "1.0-3"))
    tries()
    subprocess.run(["rm", "-r", str(publisher.repository), str(publisher.state)], check=True)
    assert tries() == "1.0-5, from 1.0-3"
    assert tries.board.given == [["1.0-3"]]


def test_changed_rules_are_tried_anew(tries: Trials, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.publish(publisher.deb("one", "1.0-3"))
    tries()
    monkeypatch.setattr(report, "RULES", report.RULES + 1)
    tries()
    tries()
    assert tries.board.given == [["1.0-3"], ["1.0-3"]]


def test_a_changed_check_of_the_recipe_is_tried_anew(tries: Trials, publisher: Publisher) -> None:
    publisher.publish(publisher.deb("one", "1.0-3"))
    tries()
    tries.recipe._folder = publisher.folder
    (tries.recipe.folder / "checks").mkdir()
    (tries.recipe.folder / "checks" / "data").write_text("other")
    tries()
    assert tries.board.given == [["1.0-3"], ["1.0-3"]]


def test_each_package_upgrades_from_its_own_newest_version(tries: Trials, publisher: Publisher) -> None:
    tries.record = replace(tries.record, debs=(*tries.record.debs, read_deb(publisher.deb("two", "1:2.0"))))
    publisher.publish(publisher.deb("one", "1.0-3"), publisher.deb("two", "1.9"))
    publisher.publish(publisher.deb("two", "1:1.8"))
    tries()
    assert tries.board.given == [["1.0-3", "1:1.8"]]
