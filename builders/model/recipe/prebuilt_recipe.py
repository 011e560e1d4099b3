"""The recipe of packages that somebody else built, and what it is for a target."""

from collections.abc import Sequence

import pydantic

from builders.model.arch import ARCHITECTURES
from builders.model.recipe.build import BuildSpec
from builders.model.recipe.check import Check, require_known_checks
from builders.model.recipe.package import Package, PackageName
from builders.model.recipe.prebuilt import ALL, Prebuilt, PrebuiltDeb, PrebuiltSpec
from builders.model.recipe.recipe import Recipe, Serves
from builders.model.target import SUITES, Suite, Target
from builders.model.yaml_file import Model, duplicates


class PrebuiltRecipe(Model):
    """A recipe whose packages somebody else built: it has ``prebuilt``, and nothing is compiled."""

    name: PackageName
    """Name of the recipe and of its folder."""
    summary: str
    """The recipe in one line, shown by ``list``."""
    homepage: str = ""
    """Website of the packages, if they have one."""
    license: str = ""
    """Short name of the license, as in ``Apache-2.0``."""
    by_default: bool = True
    """Whether commands without ``--recipe`` include the recipe. If not, they include it from its first build on."""
    targets: Serves
    """Suites and CPUs for which the packages are published."""
    prebuilt: Prebuilt
    """The packages."""
    checks: list[Check] = []
    """Scripts that must succeed where the packages are installed."""

    @pydantic.model_validator(mode="after")
    def _debs_fit(self) -> "PrebuiltRecipe":
        for deb in self.prebuilt.debs:
            if other := [name for name in deb.suites if name not in self.targets.suites]:
                raise ValueError(f"prebuilt: {deb.name} is for {other[0]}, which is not a suite in targets")
            if deb.cpu not in (ALL, *self.targets.architectures):
                raise ValueError(f"prebuilt: {deb.name} is for {deb.cpu}, which is not an architecture in targets")
        known: dict[tuple[str, str, str], str] = {}
        for deb in self.prebuilt.debs:
            if known.setdefault((deb.name, deb.shown_version, deb.cpu), deb.sha256) != deb.sha256:
                same = f"{deb.name} {deb.shown_version} ({deb.cpu})"
                raise ValueError(f"prebuilt: two .debs of {same}; a repository holds a version once")
        for target in self._targets:
            here = [deb for deb in self.prebuilt.debs if deb.serves(target)]
            if not any(not deb.debug for deb in here):
                raise ValueError(f"prebuilt: no .deb for {target}, which is in targets")
            if twice := duplicates(deb.name for deb in here):
                raise ValueError(f"prebuilt: two .debs of {twice[0]} for {target}; give each its suites")
        return self

    @pydantic.model_validator(mode="after")
    def _accepts_known_checks(self) -> "PrebuiltRecipe":
        require_known_checks(
            ((("prebuilt", "debs", number, "accept"), deb.accept) for number, deb in enumerate(self.prebuilt.debs)),
            self.checks,
        )
        return self

    @property
    def _targets(self) -> list[Target]:
        return [
            Target(SUITES[suite], ARCHITECTURES[cpu])
            for suite in self.targets.suites
            for cpu in self.targets.architectures
        ]

    def recipe(self) -> Recipe:
        """Return the recipe as all stages see it, for all its targets."""
        debs = self.prebuilt.debs
        return Recipe.model_construct(
            **self.model_dump(include={"name", "summary", "homepage", "license", "by_default"}),
            targets=self.targets,
            checks=self.checks,
            version=debs[0].shown_version,
            changelog=[],
            sources=[],
            packages=_packages(debs),
            build=BuildSpec.of_prebuilt(PrebuiltSpec(by=self.prebuilt.by, debs=debs), None),
        )


def prebuilt_for(recipe: Recipe, spec: PrebuiltSpec, target: Target) -> Recipe:
    """Return a prebuilt recipe with the .debs for ``target`` as its sources and packages."""
    debs = [deb for deb in spec.debs if deb.serves(target)]
    return recipe.model_copy(
        update={
            "version": debs[0].shown_version,
            "sources": [deb.source(str(recipe.folder.absolute())) for deb in debs],
            "packages": _packages(debs),
            "build": BuildSpec.of_prebuilt(spec.model_copy(update={"debs": debs}), _root(target.suite)),
        }
    )


def _packages(debs: Sequence[PrebuiltDeb]) -> list[Package]:
    """Return the packages that boards install, each once."""
    return [
        Package(
            name=deb.name,
            summary="built elsewhere",
            architecture="all" if deb.cpu == ALL else "any",
            data=deb.data,
            accept=deb.accept,
        )
        for deb in {deb.name: deb for deb in debs if not deb.debug}.values()
    ]


def _root(suite: Suite) -> str | None:
    """Return the suite whose lintian judges the packages, if it is not their own: no mirror holds the oldest."""
    return None if suite.mirrored else next(s.name for s in SUITES.values() if s.mirrored and s.release > suite.release)
