"""A kind of build system is one module and one line of the registry: whatever it brings reaches the job."""

from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import get_args

import pytest

from builders.deb import build_system, compiler_caches, debian_files, plan_job, write_debian
from builders.deb.build_systems import KINDS, registry
from builders.deb.build_systems.shell import ShellSteps
from builders.model.arch import AMD64, Architecture
from builders.model.jobs import APT_CACHE, CCACHE, CacheMount, Storage
from builders.model.recipe import (
    BuildSpec,
    BuildSystemModel,
    DetectedSpec,
    PrebuiltSpec,
    Recipe,
    RepackSpec,
    StrategyName,
    load_recipe,
)
from builders.model.settings import Settings
from builders.model.source_tree import SourceTree
from builders.model.target import Target, parse_target
from tests.support.checkout import HELLO

MINIATURE = load_recipe(HELLO)
TARGET = parse_target("trixie/arm64")


class Toy(BuildSystemModel):
    key = "toy"
    level: int = 3


@dataclass(frozen=True)
class ToyBuild(ShellSteps):
    toy: Toy

    caches = (*ShellSteps.caches, CacheMount("toy", "/cache/toy"))
    packages = ("toybuild",)
    executables = ("reef/toy.sh",)

    def fetch(self) -> tuple[str, ...]:
        return (*super().fetch(), "toy fetch")

    def compile(self) -> str:
        return f"toy build -{self.toy.level}\n{super().compile()}"

    def files(self, target: Target) -> dict[str, str]:
        return {"reef/toy.sh": f"#!/bin/sh\necho {target.architecture}\n"}

    def environment(
        self, settings: Settings, strategy: StrategyName, machine: Architecture, jobs: int
    ) -> dict[str, str]:
        return super().environment(settings, strategy, machine, jobs) | {"TOY_JOBS": str(jobs)}

    def storage(self, settings: Settings) -> Storage | None:  # noqa: ARG002 - the base class has it
        return Storage("http", False, "toys", 80)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    kinds: dict[type[BuildSystemModel], type[ShellSteps]] = {**KINDS, Toy: ToyBuild}
    monkeypatch.setattr(registry, "KINDS", kinds)
    monkeypatch.setattr(BuildSpec, "kind", property(lambda _: Toy()))
    build = MINIATURE.build.model_copy(update={"fetch": "get\n"})
    recipe = MINIATURE.model_copy(update={"build": build, "keep_source": False})
    recipe._folder = MINIATURE.folder
    return recipe


def test_what_a_new_kind_brings_reaches_the_job(toy: Recipe, tmp_path: Path) -> None:
    files = debian_files(toy, TARGET, Settings())
    assert files["reef/compile.sh"].startswith(f"toy build -3\n{MINIATURE.build.compile}")
    assert files["reef/toy.sh"] == "#!/bin/sh\necho arm64\n"
    write_debian(files, tmp_path)
    assert (tmp_path / "debian/reef/toy.sh").stat().st_mode & 0o111 == 0o111
    planned = plan_job(toy, TARGET, strategy="cross", machine=AMD64, debian=files)
    tree = SourceTree("t", tmp_path, "", ())
    job = planned.with_inputs(tree=tree, rendered=tmp_path, settings=Settings(), jobs=5)
    assert "toybuild" in job.root.packages
    assert job.fetch is not None
    assert "get\ntoy fetch\n" in job.fetch
    assert (job.environment["TOY_JOBS"], job.environment["CCACHE_DIR"]) == ("5", "/cache/ccache")
    assert set(job.caches) == {CCACHE, APT_CACHE, CacheMount("toy", "/cache/toy")}
    assert CacheMount("toy", "/cache/toy") in compiler_caches()
    assert str(build_system(toy).storage(Settings())) == "http://toys:80"


def test_every_kind_that_a_recipe_can_name_is_registered() -> None:
    annotations = [field.annotation for field in BuildSpec.model_fields.values()]
    parts = [part for each in annotations for part in (get_args(each) if isinstance(each, UnionType) else (each,))]
    named = {part for part in parts if isinstance(part, type) and issubclass(part, BuildSystemModel)}
    assert named == set(KINDS) - {
        RepackSpec,
        PrebuiltSpec,
        DetectedSpec,
    }  # no keys below build:
    assert {kind.key for kind in named} <= set(BuildSpec.model_fields)


def test_a_recipe_without_a_build_system_runs_its_shell_steps() -> None:
    system = build_system(MINIATURE)
    assert type(system) is ShellSteps
    assert (system.fetch(), system.compile(), system.files(TARGET)) == ((), MINIATURE.build.compile, {})
