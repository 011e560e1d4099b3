"""What a project wants built, where another machine built it before."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest

from builders import deb, sources
from builders.checks import write_report
from builders.engines.select import Engines
from builders.errors import BuildError, BusyError, HostError, InputError, RootError, SourceError
from builders.host.files import sha256_of
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64, ARM64, Architecture
from builders.model.jobs import BuildJob, JobResult, Root
from builders.model.packages import DebFile, Report
from builders.model.recipe import StrategyName
from builders.model.source_tree import SourceTree
from builders.model.target import parse_target
from builders.pipeline import build, gate, publish, reproduce
from builders.pipeline.planning.fingerprint import short_digest
from builders.pipeline.planning.plan import plan
from builders.pipeline.planning.records import RECORD, Record, write_record
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project
from tests.support.checkout import HELLO

TARGET = "trixie/arm64"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(HELLO, tmp_path / "recipes" / "reef-hello")
    return replace(Project.open(tmp_path, Log(quiet=True)), machine=AMD64)


def built_deb(path: Path) -> DebFile:
    return DebFile("x", "1", "arm64", 3, sha256_of(path), path)


def built_on(machine: Architecture, project: Project, strategy: StrategyName | None = None) -> Record:
    """Leave a finished build as a machine of that CPU would have."""
    [one] = select(replace(project, machine=machine), [], [TARGET], strategy)
    folder = project.workspace.build(*one.key)
    folder.mkdir(parents=True)
    path = folder / "x_1_arm64.deb"
    path.write_bytes(b"deb")
    record = Record(one.fingerprint, (built_deb(path),), (), (), (0, 0), "chroot", ())
    write_record(folder, record)
    return record


def test_what_an_arm_machine_built_natively_is_up_to_date_here(project: Project) -> None:
    record = built_on(ARM64, project)
    assert record.fingerprint["strategy"] == "native"
    [one] = select(project, [], [TARGET])
    assert (one.job.strategy, one.fingerprint) == ("native", record.fingerprint)
    [again] = select(project, [], [TARGET], rebuild=True)
    assert again.job.strategy == "cross"


def test_what_is_stale_is_built_as_this_machine_can(project: Project) -> None:
    built_on(ARM64, project)
    (project.folder / "recipes" / "reef-hello" / "source" / "greet.c").write_text("int greet;\n")
    [one] = select(project, [], [TARGET])
    assert one.job.strategy == "cross"


def test_the_strategy_that_was_asked_for_once_goes_on(project: Project) -> None:
    built_on(AMD64, project, "emulate")
    [one] = select(project, [], [TARGET])
    assert one.job.strategy == "emulate"
    (project.folder / "recipes" / "reef-hello" / "source" / "greet.c").write_text("int greet;\n")
    [stale] = select(project, [], [TARGET])
    assert stale.job.strategy == "emulate"


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
    plain = select(project, [], [TARGET])
    monkeypatch.setenv("REEF_CCACHE_STORAGE", "redis://u:hush@lab")
    build_targets = select(project, [], [TARGET])
    assert build_targets == plain
    engine = Recorder()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BuildError, match="enough"):
        build.build(project, plan(build_targets))
    built_on(AMD64, project)
    with pytest.raises(BuildError, match="enough"):
        reproduce.verify(project, build_targets)
    first, second = engine.jobs
    assert first.storage is not None
    assert (first.storage.host, second.storage) == ("lab", None)
    assert first.environment == second.environment
    assert "hush" not in repr(first)


def test_offline_nothing_is_begun_that_would_use_the_network(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEF_CCACHE_STORAGE", "redis://lab")
    engine = Recorder()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BuildError, match="enough"):
        build.build(project, plan(select(project, [], [TARGET])), offline=True)
    assert [job.storage for job in engine.jobs] == [None]
    engine.has_roots = False
    with pytest.raises(RootError, match=f"the build root of reef-hello for {TARGET} does not exist yet"):
        build.build(project, plan(select(project, [], [TARGET])), offline=True)
    engine.has_roots = True
    recipe = project.recipes["reef-hello"]
    fetching = recipe.build.model_copy(update={"fetch": "wget https://example.org/"})
    project.recipes["reef-hello"] = recipe.model_copy(update={"build": fetching})
    with pytest.raises(SourceError, match="cannot be built with --offline"):
        build.build(project, plan(select(project, [], [TARGET])), offline=True)
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
    ("file", "message"),
    [
        ("files/reef-hello.1", "files of the recipe changed (files/reef-hello.1)"),
        ("files/new", "files of the recipe changed (files/new)"),
        ("source/greet.c", "source digest changed"),
    ],
)
def test_what_changes_while_it_is_built_is_never_recorded(
    project: Project, monkeypatch: pytest.MonkeyPatch, file: str, message: str
) -> None:
    build_targets = select(project, [], [TARGET])
    engine = Meddler(lambda: (project.folder / "recipes/reef-hello" / file).write_text("changed\n"))
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BuildError, match="the files of reef-hello for trixie/arm64 changed during this run") as caught:
        build.build(project, plan(build_targets))
    assert message in caught.value.detail
    assert len(engine.jobs) == 1
    assert not project.workspace.build(*build_targets[0].key).exists()


def test_what_changed_while_a_build_waited_is_not_built(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    build_targets = select(project, [], [TARGET])
    engine = Recorder()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    source = project.folder / "recipes/reef-hello/source/greet.c"
    before = source.read_text()
    source.write_text("int greet;\n")
    with pytest.raises(BuildError, match="the files of reef-hello for trixie/arm64 changed during this run"):
        build.build(project, plan(build_targets))

    fetch = sources.fetch

    def fetched_of_a_moment(*words: Any, **options: Any) -> SourceTree:
        source.write_text("int greet;\n")
        tree = fetch(*words, **options)
        source.write_text(before)
        return tree

    monkeypatch.setattr(sources, "fetch", fetched_of_a_moment)
    source.write_text(before)
    with pytest.raises(BuildError, match="the files of reef-hello for trixie/arm64 changed during this run"):
        build.build(project, plan(build_targets))
    assert engine.jobs == []


def test_only_the_build_that_was_planned_is_built_against(project: Project, tmp_path: Path) -> None:
    record = built_on(AMD64, project)
    [hello] = select(project, [], [TARGET])
    caller = project.recipes["reef-hello"].model_copy(update={"name": "reef-caller"})
    job = replace(hello.job, recipe=caller)
    against = {"against": {"reef-hello": short_digest(record.fingerprint)}}
    build._copy_debs(project, "reef-hello", hello.target, replace(hello, job=job, fingerprint=against), tmp_path)
    assert (tmp_path / "x_1_arm64.deb").exists()
    other = {"against": {"reef-hello": "0" * 16}}
    with pytest.raises(BuildError, match="another run changed the build of reef-hello that reef-caller needs"):
        build._copy_debs(project, "reef-hello", hello.target, replace(hello, job=job, fingerprint=other), tmp_path)


class Builder(Recorder):
    """An engine that leaves what a whole build leaves."""

    def run(self, job: BuildJob, output: Path, log: Log) -> JobResult:  # noqa: ARG002 - the protocol has them
        self.jobs.append(job)
        output.mkdir(parents=True)
        (output / "x_1_arm64.deb").write_bytes(b"deb")
        (output / "ccache.tsv").write_text("")
        return JobResult(job.name, output, ())


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    engine = Builder()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    monkeypatch.setattr(deb, "collect", lambda output: (built_deb(output / "x_1_arm64.deb"),))
    monkeypatch.setattr(deb, "collect_source", lambda _: None)
    monkeypatch.setattr(build, "static_report", lambda *_: Report("reef-hello", parse_target(TARGET), ()))
    return engine


def test_each_template_is_rendered_once_for_a_build_and_once_for_a_plan(
    project: Project, builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str | None] = []
    render = jinja2.Template.render

    def noted(template: jinja2.Template, *words: Any, **values: Any) -> str:
        rendered.append(template.name)
        return render(template, *words, **values)

    monkeypatch.setattr(jinja2.Template, "render", noted)
    [built] = build.build(project, plan(select(project, [], [TARGET])))
    assert built.fresh
    [job] = builder.jobs
    assert (job.inputs[1].path.name, rendered.count("control.j2"), rendered.count("build.sh.j2")) == ("rendered", 1, 1)
    rendered.clear()
    [again] = build.build(project, plan(select(project, [], [TARGET])))
    assert not again.fresh
    assert (rendered.count("control.j2"), rendered.count("build.sh.j2")) == (1, 1)
    (project.folder / "recipes" / "reef-hello" / "source" / "greet.c").write_text("int greet;\n")
    rendered.clear()
    [stale] = build.build(project, plan(select(project, [], [TARGET])))
    assert stale.fresh
    assert (rendered.count("control.j2"), rendered.count("build.sh.j2")) == (1, 1)


def test_a_record_is_read_once_for_the_plan_and_once_under_the_lock(
    project: Project, builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    read = Path.read_text

    def noted(path: Path, *words: Any, **options: Any) -> str:
        if path.name == RECORD:
            reads.append(path)
        return read(path, *words, **options)

    monkeypatch.setattr(Path, "read_text", noted)
    [first] = build.build(project, plan(select(project, [], [TARGET])))
    assert len(reads) == 2
    reads.clear()
    [second] = build.build(project, plan(select(project, [], [TARGET])))
    assert len(reads) == 2
    assert (first.fresh, second.fresh, len(builder.jobs)) == (True, False, 1)
    assert first.record == second.record
    assert [file.path.parent for file in first.record.debs] == [project.workspace.build("reef-hello", "trixie-arm64")]


def test_another_run_s_build_of_meanwhile_is_taken(project: Project, builder: Builder) -> None:
    planned = plan(select(project, [], [TARGET]))
    assert planned[0].reasons == ("never built",)
    record = built_on(AMD64, project)
    [kept] = build.build(project, planned)
    assert (kept.fresh, kept.record.debs, builder.jobs) == (False, record.debs, [])
    forced = plan(select(project, [], [TARGET]), force=True)
    [anew] = build.build(project, forced)
    assert (anew.fresh, len(builder.jobs)) == (True, 1)


class WithoutEmulation(Recorder):
    """An engine of an amd64 machine that runs nothing but its own programs."""

    def check(self, root: Root) -> None:
        if root.build != AMD64:
            raise HostError(f"no QEMU user emulator for {root.build} on this machine", fix="install it")


def test_that_the_boards_programs_cannot_run_here_is_reported_before_the_build(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = WithoutEmulation()
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BuildError, match="enough"):
        build.build(project, plan(select(project, [], [TARGET, "trixie/amd64"])))
    said = capsys.readouterr().out
    assert said.count("publish-apt installs packages for") == 1
    assert "trixie/arm64" in said
    assert "no QEMU user emulator for arm64 on this machine; what to do: install it" in said


def test_that_the_boards_programs_cannot_run_here_is_reported_before_anything_is_staged(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = built_on(AMD64, project)
    [one] = select(project, [], [TARGET])
    monkeypatch.setattr(publish, "static_report", lambda *_: Report("reef-hello", one.target, ()))
    monkeypatch.setattr(Engines, "get", lambda *_: WithoutEmulation())

    def stage(*_: object, **__: object) -> None:
        raise AssertionError("staged")

    monkeypatch.setattr("builders.apt.api.staged", stage)
    with pytest.raises(HostError, match="no QEMU user emulator for arm64"):
        publish.publish(project, [one])
    # What was tried elsewhere needs no board here.
    write_report(Report("reef-hello", one.target, ()), one.recipe, record.debs, gate._report_path(project, one, ()))
    with pytest.raises(AssertionError, match="staged"):
        publish.publish(project, [one])


def test_no_other_run_builds_anew_what_is_being_verified(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    built_on(AMD64, project)
    build_targets = select(project, [], [TARGET])

    def take() -> None:
        with Workspace(project.workspace.path).locked("build-reef-hello-trixie-arm64", wait_s=0, what="the build"):
            pass

    engine = Meddler(take)
    monkeypatch.setattr(Engines, "get", lambda *_: engine)
    with pytest.raises(BusyError, match="holds the build"):
        reproduce.verify(project, build_targets)
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
    with pytest.raises(BuildError) as caught:
        reproduce.verify(project, select(project, [], [TARGET]))
    assert caught.value.what == "the second build of reef-hello for trixie/arm64, in fresh roots, failed"
    assert "run of reef-hello/trixie/arm64/build failed" in caught.value.detail
    log = Path(caught.value.detail.partition("full log: ")[2])
    assert log.read_text() == "no cache\n"
    assert list(project.workspace.scratch.iterdir()) == []


def test_a_recipe_that_is_not_built_by_default_is_from_its_first_build_on(project: Project) -> None:
    quiet = project.recipes["reef-hello"].model_copy(update={"by_default": False})
    project = replace(project, recipes={"reef-hello": quiet})
    with pytest.raises(InputError, match="no recipe serves"):
        select(project, [], [TARGET])
    [named] = select(project, ["reef-hello"], [TARGET])
    assert named.recipe is quiet
    folder = project.workspace.build(*named.key)
    folder.mkdir(parents=True)
    write_record(folder, Record(named.fingerprint, (), (), (), (0, 0), "chroot", ()))
    [unnamed] = select(project, [], [TARGET])
    assert unnamed.recipe is quiet


def test_a_folder_takes_the_place_of_a_source_and_the_fingerprint_says_so(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(HELLO / "source", folder)
    [plain] = select(project, [], [TARGET])
    given = project.with_sources([f"reef-hello={folder}"])
    [other] = select(given, [], [TARGET])
    assert other.fingerprint["substituted"] == ["reef-hello"]
    assert "substituted" not in plain.fingerprint
    assert given.recipes["reef-hello"].folder == project.recipes["reef-hello"].folder
    (folder / "greet.c").write_text("int greet;\n")
    [changed] = select(given, [], [TARGET])
    assert changed.fingerprint["sources"] != other.fingerprint["sources"]
    assert select(project.with_sources([f"reef-hello:reef-hello={folder}"]), [], [TARGET])[0] == changed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reef-hello", "not a source"),
        ("=/tmp", "not a source"),
        ("reef-helo=/tmp", "did you mean 'reef-hello'"),
        ("reef:reef-hello=/tmp", "unknown recipe"),
        ("reef-hello:x=/tmp", "has no source 'x'"),
        ("reef-hello=/nowhere/at/all", "no such folder"),
    ],
)
def test_a_source_that_cannot_be_given_is_reported(project: Project, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        project.with_sources([text])


def test_a_folder_without_recipes_opens_for_what_needs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Project.open(tmp_path, Log(quiet=True), without_recipes=True).recipes == {}
    monkeypatch.setenv("REEF_FOLDER", str(tmp_path))
    with pytest.raises(InputError, match="no recipes in") as caught:
        Project.open(tmp_path, Log(quiet=True))
    assert "REEF_FOLDER is set" in caught.value.detail
