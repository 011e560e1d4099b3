"""What a project wants built, where another machine built it before."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import pipeline, repository, reproduce, sources, trial
from builders.checks import write_report
from builders.engines.select import Engines
from builders.errors import BuildError, BusyError, HostError, InputError, RootError, SourceError
from builders.fingerprint import short_digest
from builders.host.files import sha256_of
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64, ARM64, Architecture
from builders.model.jobs import BuildJob, JobResult, Root
from builders.model.packages import DebFile, Report
from builders.model.recipe import StrategyName
from builders.model.source_tree import SourceTree
from builders.project import Project
from builders.state import Record, write_record

HELLO = Path(__file__).parents[1] / "fixtures" / "recipes" / "reef-hello"
TARGET = "trixie/arm64"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(HELLO, tmp_path / "recipes" / "reef-hello")
    return replace(Project.open(tmp_path, Log(quiet=True)), machine=AMD64)


def built_on(machine: Architecture, project: Project, strategy: StrategyName | None = None) -> Record:
    """Leave a finished build as a machine of that CPU would have."""
    [one] = replace(project, machine=machine).wanted([], [TARGET], strategy)
    folder = project.workspace.build(*one.key)
    folder.mkdir(parents=True)
    path = folder / "x_1_arm64.deb"
    path.write_bytes(b"deb")
    record = Record(
        one.fingerprint, (DebFile("x", "1", "arm64", 3, sha256_of(path), path),), (), (), (0, 0), "chroot", ()
    )
    write_record(folder, record)
    return record


def test_what_an_arm_machine_built_natively_is_up_to_date_here(project: Project) -> None:
    record = built_on(ARM64, project)
    assert record.fingerprint["strategy"] == "native"
    [one] = project.wanted([], [TARGET])
    assert (one.strategy, one.fingerprint) == ("native", record.fingerprint)
    [again] = project.wanted([], [TARGET], rebuild=True)
    assert again.strategy == "cross"


def test_what_is_stale_is_built_as_this_machine_can(project: Project) -> None:
    built_on(ARM64, project)
    (project.folder / "recipes" / "reef-hello" / "source" / "greet.c").write_text("int greet;\n")
    [one] = project.wanted([], [TARGET])
    assert one.strategy == "cross"


def test_the_strategy_that_was_asked_for_once_goes_on(project: Project) -> None:
    built_on(AMD64, project, "emulate")
    [one] = project.wanted([], [TARGET])
    assert one.strategy == "emulate"
    (project.folder / "recipes" / "reef-hello" / "source" / "greet.c").write_text("int greet;\n")
    [stale] = project.wanted([], [TARGET])
    assert stale.strategy == "emulate"


class Recorder:
    """An engine that notes its jobs and fails them."""

    name = "recorder"

    def __init__(self, *, has_roots: bool = True) -> None:
        self.jobs: list[BuildJob] = []
        self.has_roots = has_roots

    def check(self, root: Root) -> None:
        """Nothing is missing."""

    def has(self, root: Root) -> bool:  # noqa: ARG002 - the protocol has it
        return self.has_roots

    def cores(self, root: Root) -> int:  # noqa: ARG002 - the protocol has it
        return 1

    def forget(self, job: str) -> None:
        """No root of a failed job is kept."""

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:  # noqa: ARG002 - the protocol has them
        self.jobs.append(job)
        raise BuildError("enough")


def test_only_a_build_shares_compiled_files_and_its_fingerprint_does_not_know(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = project.wanted([], [TARGET])
    monkeypatch.setenv("REEF_CCACHE_STORAGE", "redis://u:hush@lab")
    wanted = project.wanted([], [TARGET])
    assert wanted == plain
    engine = Recorder()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BuildError, match="enough"):
        pipeline.build(project, wanted)
    built_on(AMD64, project)
    with pytest.raises(BuildError, match="enough"):
        reproduce.verify(project, wanted)
    build, verify = engine.jobs
    assert build.storage is not None
    assert (build.storage.host, verify.storage) == ("lab", None)
    assert build.environment == verify.environment
    assert "hush" not in repr(build)


def test_offline_nothing_is_begun_that_would_use_the_network(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEF_CCACHE_STORAGE", "redis://lab")
    engine = Recorder()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BuildError, match="enough"):
        pipeline.build(project, project.wanted([], [TARGET]), offline=True)
    assert [job.storage for job in engine.jobs] == [None]
    engine.has_roots = False
    with pytest.raises(RootError, match=f"the build root of reef-hello for {TARGET} is not made yet"):
        pipeline.build(project, project.wanted([], [TARGET]), offline=True)
    engine.has_roots = True
    recipe = project.recipes["reef-hello"]
    build = recipe.build.model_copy(update={"fetch": "wget https://example.org/"})
    project.recipes["reef-hello"] = recipe.model_copy(update={"build": build})
    with pytest.raises(SourceError, match="cannot be built with --offline"):
        pipeline.build(project, project.wanted([], [TARGET]), offline=True)
    assert len(engine.jobs) == 1


class Meddler(Recorder):
    """An engine in whose jobs something happens besides."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__()
        self.meddle = meddle

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:  # noqa: ARG002 - the protocol has them
        self.jobs.append(job)
        output.mkdir(parents=True)
        self.meddle()
        return JobResult(job.name, output, ())


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("files/reef-hello.1", "packaging changed (reef/man/files/reef-hello.1)"),
        ("files/new", "files of the recipe changed (files/new)"),
        ("source/greet.c", "source digest changed"),
    ],
)
def test_what_changes_while_it_is_built_is_never_recorded(
    project: Project, monkeypatch: pytest.MonkeyPatch, file: str, told: str
) -> None:
    wanted = project.wanted([], [TARGET])
    engine = Meddler(lambda: (project.folder / "recipes/reef-hello" / file).write_text("changed\n"))
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BuildError, match="was changed while this run was at work") as caught:
        pipeline.build(project, wanted)
    assert told in caught.value.detail
    assert len(engine.jobs) == 1
    assert not project.workspace.build(*wanted[0].key).exists()


def test_what_changed_while_a_build_waited_is_not_built(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = project.wanted([], [TARGET])
    engine = Recorder()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    source = project.folder / "recipes/reef-hello/source/greet.c"
    before = source.read_text()
    source.write_text("int greet;\n")
    with pytest.raises(BuildError, match="was changed while this run was at work"):
        pipeline.build(project, wanted)

    fetch = sources.fetch

    def fetched_of_a_moment(*words: Any, **options: Any) -> SourceTree:
        source.write_text("int greet;\n")
        tree = fetch(*words, **options)
        source.write_text(before)
        return tree

    monkeypatch.setattr(sources, "fetch", fetched_of_a_moment)
    source.write_text(before)
    with pytest.raises(BuildError, match="was changed while this run was at work"):
        pipeline.build(project, wanted)
    assert engine.jobs == []


def test_only_the_build_that_was_planned_is_built_against(project: Project, tmp_path: Path) -> None:
    record = built_on(AMD64, project)
    [hello] = project.wanted([], [TARGET])
    caller = project.recipes["reef-hello"].model_copy(update={"name": "reef-caller"})
    against = {"against": {"reef-hello": short_digest(record.fingerprint)}}
    pipeline._copy_debs(project, "reef-hello", replace(hello, recipe=caller, fingerprint=against), tmp_path)
    assert (tmp_path / "x_1_arm64.deb").exists()
    other = {"against": {"reef-hello": "0" * 16}}
    with pytest.raises(BuildError, match="reef-hello is no longer built as reef-caller needs it"):
        pipeline._copy_debs(project, "reef-hello", replace(hello, recipe=caller, fingerprint=other), tmp_path)


class WithoutEmulation(Recorder):
    """An engine of an amd64 machine that runs nothing but its own programs."""

    def check(self, root: Root) -> None:
        if root.build != AMD64:
            raise HostError(f"no QEMU user emulator for {root.build} on this machine", fix="install it")


def test_that_the_boards_programs_cannot_run_here_is_told_before_the_build(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = WithoutEmulation()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BuildError, match="enough"):
        pipeline.build(project, project.wanted([], [TARGET, "trixie/amd64"]))
    said = capsys.readouterr().out
    assert said.count("publish-apt tries packages for") == 1
    assert "trixie/arm64" in said
    assert "no QEMU user emulator for arm64 on this machine; what to do: install it" in said


def test_that_the_boards_programs_cannot_run_here_is_told_before_anything_is_staged(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = built_on(AMD64, project)
    [one] = project.wanted([], [TARGET])
    monkeypatch.setattr(pipeline, "static_report", lambda *_: Report("reef-hello", one.target, ()))
    monkeypatch.setattr(Engines, "get", lambda *_: WithoutEmulation())

    def stage(*_: object, **__: object) -> None:
        raise AssertionError("staged")

    monkeypatch.setattr(repository, "staged", stage)
    with pytest.raises(HostError, match="no QEMU user emulator for arm64"):
        pipeline.publish(project, [one])
    # What was tried elsewhere needs no board here.
    write_report(Report("reef-hello", one.target, ()), record.debs, trial._report_path(project, one, ()))
    with pytest.raises(AssertionError, match="staged"):
        pipeline.publish(project, [one])


def test_no_other_run_builds_anew_what_is_being_verified(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    built_on(AMD64, project)
    wanted = project.wanted([], [TARGET])

    def take() -> None:
        with Workspace(project.workspace.path).locked("build-reef-hello-trixie-arm64", wait_s=0, what="the build"):
            pass

    engine = Meddler(take)
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BusyError, match="holds the build"):
        reproduce.verify(project, wanted)
    take()


def test_a_second_build_that_fails_leaves_its_log(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ran in folders that go with the run; what it said does not."""
    built_on(AMD64, project)

    def engine(_: Engines, _name: str | None = None, fresh: Workspace = project.workspace) -> Recorder:
        class Failing(Recorder):
            def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:  # noqa: ARG002 - the protocol has them
                file = fresh.log_file(f"{job.name}-run")
                file.write_text("no cache\n")
                raise BuildError(f"run of {job.name} failed", f"full log: {file}")

        return Failing()

    monkeypatch.setattr(Engines, "get", engine)
    with pytest.raises(BuildError) as told:
        reproduce.verify(project, project.wanted([], [TARGET]))
    assert told.value.what == "the second build of reef-hello for trixie/arm64, in fresh roots, failed"
    assert "run of reef-hello/trixie/arm64/build failed" in told.value.detail
    log = Path(told.value.detail.partition("full log: ")[2])
    assert log.read_text() == "no cache\n"
    assert list(project.workspace.scratch.iterdir()) == []


def test_a_recipe_that_is_not_built_by_default_is_from_its_first_build_on(project: Project) -> None:
    quiet = project.recipes["reef-hello"].model_copy(update={"by_default": False})
    project = replace(project, recipes={"reef-hello": quiet})
    with pytest.raises(InputError, match="no recipe serves"):
        project.wanted([], [TARGET])
    [named] = project.wanted(["reef-hello"], [TARGET])
    assert named.recipe is quiet
    folder = project.workspace.build(*named.key)
    folder.mkdir(parents=True)
    write_record(folder, Record(named.fingerprint, (), (), (), (0, 0), "chroot", ()))
    [unnamed] = project.wanted([], [TARGET])
    assert unnamed.recipe is quiet


def test_a_folder_takes_the_place_of_a_source_and_the_fingerprint_says_so(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(HELLO / "source", folder)
    [plain] = project.wanted([], [TARGET])
    given = project.with_sources([f"reef-hello={folder}"])
    [other] = given.wanted([], [TARGET])
    assert other.fingerprint["substituted"] == ["reef-hello"]
    assert "substituted" not in plain.fingerprint
    assert given.recipes["reef-hello"].folder == project.recipes["reef-hello"].folder
    (folder / "greet.c").write_text("int greet;\n")
    [changed] = given.wanted([], [TARGET])
    assert changed.fingerprint["sources"] != other.fingerprint["sources"]
    assert project.with_sources([f"reef-hello:reef-hello={folder}"]).wanted([], [TARGET])[0] == changed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reef-hello", "not a source"),
        ("=/tmp", "not a source"),
        ("reef-helo=/tmp", "did you mean 'reef-hello'"),
        ("reef:reef-hello=/tmp", "unknown recipe"),
        ("reef-hello:x=/tmp", "has no source 'x'"),
        ("reef-hello=/nowhere/at/all", "no such folder"),
    ],
)
def test_a_source_that_cannot_be_given_is_told(project: Project, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        project.with_sources([text])


def test_a_folder_without_recipes_opens_for_what_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Project.open(tmp_path, Log(quiet=True), without_recipes=True).recipes == {}
    monkeypatch.setenv("REEF_FOLDER", str(tmp_path))
    with pytest.raises(InputError, match="no recipes in") as told:
        Project.open(tmp_path, Log(quiet=True))
    assert "REEF_FOLDER is set" in told.value.detail
