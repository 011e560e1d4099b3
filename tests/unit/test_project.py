"""What a project wants built, where another machine built it before."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from builders import pipeline
from builders.arch import AMD64, ARM64, Architecture
from builders.debfile import sha256_of
from builders.errors import BuildError, InputError
from builders.log import Log
from builders.products import BuildJob, DebFile, JobResult, Root
from builders.project import Project
from builders.recipe import StrategyName
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
        one.fingerprint, (DebFile(path, "x", "1", "arm64", 3, sha256_of(path)),), (), (), (0, 0), "chroot", ()
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

    def __init__(self) -> None:
        self.jobs: list[BuildJob] = []

    def check(self, root: Root) -> None:
        """Nothing is missing."""

    def cores(self, root: Root) -> int:  # noqa: ARG002 - the protocol has it
        return 1

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
    monkeypatch.setattr(Project, "engine", lambda *_: engine)
    with pytest.raises(BuildError, match="enough"):
        pipeline.build(project, wanted)
    built_on(AMD64, project)
    with pytest.raises(BuildError, match="enough"):
        pipeline.verify(project, wanted)
    build, verify = engine.jobs
    assert build.storage is not None
    assert (build.storage.host, verify.storage) == ("lab", None)
    assert build.environment == verify.environment
    assert "hush" not in repr(build)


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
