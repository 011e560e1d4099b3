"""Portable packages in a build job: a driver in ``debian/reef`` that bundles libraries, or repacks native packages."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from builders.deb.build_systems.shell import ShellSteps
from builders.deb.templates import render
from builders.host import debian_mirror
from builders.model.arch import Architecture
from builders.model.jobs import APT_CACHE, CacheMount
from builders.model.recipe import PortableFolders, RepackSpec, RuntimeSpec, StrategyName, data_regex
from builders.model.settings import Settings
from builders.model.target import Target

DRIVER = Path(__file__).with_name("portable_driver.py")
RUN = "python3 debian/reef/portable_driver.py"
PACKAGES = "/reef/packages"
"""The folder with the .debs of other builds, inside the root of a build."""


@dataclass(frozen=True)
class RuntimeBuild(ShellSteps):
    """Bundles shared libraries of the build root, before the recipe's own step ``install``."""

    runtime: RuntimeSpec

    packages = ("python3", "python3-pyelftools")

    def fetch(self) -> tuple[str, ...]:
        suite = self.recipe.build.root
        return (*super().fetch(), render("security.sh.j2", suite=suite, archives=APT_CACHE.destination))

    def environment(
        self, settings: Settings, strategy: StrategyName, machine: Architecture, jobs: int
    ) -> dict[str, str]:
        mirror = debian_mirror.security_mirror()
        shared = super().environment(settings, strategy, machine, jobs)
        return {**shared, "REEF_DEBIAN_SECURITY": mirror.url} if mirror and not mirror.folder else shared

    def install(self) -> str:
        return f"{RUN} bundle\n{super().install()}"

    def files(self, target: Target) -> dict[str, str]:
        facts = {
            "package": self.recipe.packages[0].name,
            "libraries": self.runtime.libraries,
            **_facts(target, self.recipe.version),
        }
        return _driver(facts)


@dataclass(frozen=True)
class RepackBuild(ShellSteps):
    """Repacks native packages so that their programs use the libraries and the loader of a runtime."""

    repack: RepackSpec

    # Nothing is compiled.
    caches: ClassVar[tuple[CacheMount, ...]] = ()
    packages = ("patchelf", "python3", "python3-pyelftools")

    def install(self) -> str:
        return f"{RUN} repack\n"

    def files(self, target: Target) -> dict[str, str]:
        facts = {
            "recipe": self.recipe.name,
            "version": self.recipe.debian_version(target),
            "native_version": self.repack.native_version,
            "runtime": self.repack.runtime,
            "packages": self.repack.packages,
            "data": {package.name: data_regex(package.data) for package in self.recipe.packages},
            "debs": PACKAGES,
            **_facts(target, self.repack.runtime_version),
        }
        return _driver(facts)


def _facts(target: Target, version: str) -> dict[str, object]:
    cpu = target.architecture
    folders = PortableFolders(cpu, version)
    return {
        "architecture": cpu.debian,
        "elf": [cpu.elf_class, cpu.elf_machine],
        "public": folders.public.lstrip("/"),
        "private": folders.private.lstrip("/"),
        "bundle": folders.bundle.lstrip("/"),
        "loader": Path(folders.loader).name,
    }


def _driver(facts: dict[str, object]) -> dict[str, str]:
    return {
        "reef/portable.json": json.dumps(facts, indent=1, sort_keys=True) + "\n",
        "reef/portable_driver.py": DRIVER.read_text(encoding="utf-8"),
    }
