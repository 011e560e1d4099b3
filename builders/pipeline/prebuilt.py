"""Packages that somebody else built: the .debs of a command line as recipes, and what is refused before a job runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydantic

from builders.errors import InputError, PublishError
from builders.host.files import sha256_of
from builders.model.arch import ARCHITECTURES
from builders.model.context import Context
from builders.model.packages import DEBUG_SUFFIX
from builders.model.recipe import Acceptance, Prebuilt, PrebuiltDeb, PrebuiltRecipe, Recipe, Serves, without_epoch
from builders.model.source_tree import SourceTree
from builders.model.target import Target
from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.planning.selection import select
from builders.pipeline.project import Project

ALL = "all"
SUFFIX = "-prebuilt"
"""End of the name of a recipe that is made of given .debs, after the name of their source package."""
Given = tuple[Path, Mapping[str, str]]
"""A .deb with its control fields."""


def require_publishable(recipe: Recipe, tree: SourceTree) -> None:
    """Raise InputError if apt or dpkg would refuse a .deb of a prebuilt recipe, or if the recipe is wrong about it."""
    from builders.apt import api as apt  # slow to import, and most builds have no such .deb

    for deb in recipe.build.prebuilt.debs if recipe.build.prebuilt else ():
        path = tree.path / deb.file_name
        fields = apt.foreign_fields(path)
        expected = {"Package": deb.name, "Architecture": deb.cpu, "Version": deb.shown_version}
        found = dict(fields)
        if not deb.version:  # the name of a file has no epoch
            found["Version"], expected["Version"] = map(without_epoch, (fields["Version"], deb.shown_version))
        for name, value in expected.items():
            if found[name] != value:
                raise InputError(
                    f"{recipe.name}: {deb.file_name} has {name}: {fields[name]}, the recipe says {value}",
                    "package, version and architecture of a .deb are those of its file's name, unless the recipe names "
                    "them",
                    f"set {name.lower()}: {fields[name]} in prebuilt.debs of the recipe",
                )


@contextmanager
def given(
    project: Project,
    files: Sequence[str],
    targets: Sequence[str],
    accept: Sequence[Acceptance] = (),
    *,
    engine: str | None,
    suffix: str,
) -> Iterator[list[BuildTarget]]:
    """Give the builds that publish .debs of this machine, while the folder of their recipes exists.

    ``accept`` are faults that all of them accept.
    Raises InputError as `given_recipes` does, and PublishError if other bytes of a version are published.
    """
    if not files:
        yield []
        return
    asked = project.targets(list(targets))
    with project.workspace.scratch_folder("given") as folder:
        recipes = {recipe.name: recipe for recipe in given_recipes(files, asked, folder, accept)}
        if taken := sorted(set(recipes) & set(project.recipes)):
            raise InputError(
                f"the recipe {taken[0]} has the name that its given .debs would get", "it is in this project",
                "publish with --recipe, or rename the recipe",
            )  # fmt: skip
        whole = replace(project, recipes={**project.recipes, **recipes})
        found = [
            build_target
            for name, recipe in recipes.items()
            for build_target in select(
                whole, [name], [str(target) for target in asked if recipe.serves(target)], engine=engine
            )
        ]
        require_same_bytes(project, found, suffix)
        yield found


def digests(build_target: BuildTarget) -> set[str]:
    """Return the SHA-256 of the files that a build publishes, also of .debs that are not copied yet."""
    if spec := build_target.recipe.build.prebuilt:
        return {deb.sha256 for deb in spec.debs}
    return {file.sha256 for file in build_target.record.published} if build_target.record else set()


def require_same_bytes(context: Context, build_targets: Sequence[BuildTarget], suffix: str) -> None:
    """Raise PublishError if other bytes of a version that somebody else built are published."""
    from builders.apt import api as apt  # slow to import, and most runs get no .deb

    for build_target in build_targets:
        spec, suite = build_target.recipe.build.prebuilt, apt.suffixed(build_target.target.suite.name, suffix)
        there = apt.published(context.workspace.apt, suite) if context.workspace.apt.is_dir() else ()
        known = {(deb.package, deb.version, deb.architecture): deb.sha256 for deb in there}
        for deb in spec.debs if spec else ():
            before = known.get((deb.name, deb.shown_version, deb.cpu), deb.sha256)
            if before != deb.sha256:
                raise PublishError(
                    f"{deb.name} {deb.shown_version} ({deb.cpu}) is published in {suite} with other bytes",
                    f"published sha256 {before}\ngiven sha256     {deb.sha256} {deb.file or deb.pool or deb.urls[0]}",
                    "a published version never changes: ask its builder for a package with a higher version",
                )


def accepted(texts: Sequence[str]) -> list[Acceptance]:
    """Return the accepted faults of a command line, each ``CHECK:MATCH=REASON``; raises InputError.

    The first ``=`` ends MATCH; ``\\=`` is a part of it.
    """
    found = []
    for text in texts:
        # Only the names of a recipe's own checks contain a colon, and given .debs have no such checks.
        check, _, rest = text.partition(":")
        match, reason = (*re.split(r"(?<!\\)=", rest, maxsplit=1), "")[:2]
        try:
            found.append(Acceptance(check=check, match=match.replace("\\=", "="), reason=reason))
        except pydantic.ValidationError as error:
            faults = [
                f"{fault['loc'][0]}: "
                + ("expected a text" if not fault["input"] else fault["msg"].removeprefix("Value error, "))
                for fault in error.errors()
            ]
            raise InputError(
                f"not an accepted fault: {text!r}",
                "\n".join(faults),
                "write CHECK:MATCH=REASON, as in file-policy:/opt=its home",
            ) from error
    return found


def given_recipes(
    files: Sequence[str], targets: Sequence[Target], folder: Path, accept: Sequence[Acceptance] = ()
) -> list[Recipe]:
    """Return recipes that publish .debs of this machine: one for each source package, for those of ``targets`` that
    its .debs fit. ``folder`` is an empty folder, that of the recipes' files.

    Raises InputError for a .deb that apt or dpkg would refuse, and if it fits no target.
    """
    from builders.apt import api as apt  # slow to import, and most runs get no .deb

    if urls := [name for name in files if "://" in name]:
        raise InputError(
            f"--deb takes files, not {urls[0]}", "a recipe pins a URL by the digest of its bytes",
            f"write one: ./inv new NAME --prebuilt {urls[0]}; or download the file",
        )  # fmt: skip
    groups: dict[str, list[Given]] = {}
    read: set[str] = set()
    for path in (Path(name).absolute() for name in files):
        fields = apt.foreign_fields(path)
        if (digest := sha256_of(path)) in read:
            continue
        read.add(digest)
        groups.setdefault(fields.get("Source", fields["Package"]).partition(" ")[0], []).append((path, fields))
    return [_recipe(source, group, targets, accept).in_folder(folder) for source, group in groups.items()]


def _recipe(source: str, group: Sequence[Given], targets: Sequence[Target], accept: Sequence[Acceptance]) -> Recipe:
    cpus = {fields["Architecture"] for _, fields in group} - {ALL}
    fitting = [target for target in targets if not cpus or target.architecture.debian in cpus]
    for path, fields in group:
        cpu = fields["Architecture"]
        if cpu not in (ALL, *ARCHITECTURES):
            raise _unfit(path, cpu, f"Reef publishes for {', '.join(ARCHITECTURES)}")
        if cpu != ALL and cpu not in {target.architecture.debian for target in targets}:
            raise _unfit(path, cpu, f"targets: {', '.join(map(str, targets))}")
    if all(fields["Package"].endswith(DEBUG_SUFFIX) for _, fields in group):
        raise InputError(
            f"{group[0][0]} has only debugging symbols", "it is published beside the package that it belongs to",
            "give that package too",
        )  # fmt: skip
    makers = dict.fromkeys(" ".join(fields["Maintainer"].split()) for _, fields in group)
    try:
        return PrebuiltRecipe(
            name=source + SUFFIX,
            summary=f"{source}, given as .debs",
            homepage=group[0][1].get("Homepage", ""),
            targets=Serves(
                suites=list(dict.fromkeys(target.suite.name for target in fitting)),
                architectures=list(dict.fromkeys(target.architecture.debian for target in fitting)),
            ),
            prebuilt=Prebuilt(by="; ".join(makers), debs=[_deb(path, fields, accept) for path, fields in group]),
        ).recipe()
    except pydantic.ValidationError as error:
        faults = "\n".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
        names = ", ".join(path.name for path, _ in group)
        raise InputError(f"cannot publish {names} together", faults, "give one .deb of each package and CPU") from error


def _deb(path: Path, fields: Mapping[str, str], accept: Sequence[Acceptance]) -> PrebuiltDeb:
    return PrebuiltDeb(
        file=str(path), sha256=sha256_of(path), package=fields["Package"], version=fields["Version"],
        architecture=fields["Architecture"], accept=list(accept),
    )  # fmt: skip


def _unfit(path: Path, cpu: str, known: str) -> InputError:
    return InputError(f"{path.name} is for the CPU {cpu}, which no target has", known, "name a --target of its CPU")
