"""Deployments: the builds that boards need, and the packages that boards will find after them."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from builders.apt import api as apt
from builders.boards.api import Board, BoardFacts, Offer, PublishedFile, suite_of
from builders.model.arch import ARCHITECTURES
from builders.model.packages import PackageFile
from builders.model.recipe import Recipe, for_target
from builders.model.target import SUITES, Target
from builders.pipeline.planning.plan import BuildTarget

NAME = re.compile(r"^\s*([a-z0-9][a-z0-9+.-]+)")
NOT_YET = "not published yet"


@dataclass(frozen=True)
class BoardNeed:
    """The target that a board takes packages of, and the names of these packages."""

    target: Target
    packages: frozenset[str]


def need_of(
    board: Board, facts: BoardFacts, offers: Mapping[str, Offer], only: Sequence[str] = ()
) -> BoardNeed | None:  # fmt: skip
    """Return what a board needs, ``only`` these packages if any are named; None if Reef builds for no such board."""
    suite = (board.keys.reef_suite or suite_of(facts, offers)).partition("-")[0]
    if suite not in SUITES or facts.architecture not in ARCHITECTURES:
        return None
    names = {word.partition("=")[0] for word in only or board.keys.reef_packages}
    return BoardNeed(
        Target(SUITES[suite], ARCHITECTURES[facts.architecture]),
        frozenset(names if only else names | {*facts.versions}),
    )


def recipes_of(recipes: Mapping[str, Recipe], target: Target, packages: Iterable[str]) -> list[str]:
    """Return the recipes that make packages for a target, and those of the packages that they depend on."""
    makers: dict[str, str] = {}
    depends: dict[str, list[str]] = {}
    for recipe in recipes.values():
        for package in for_target(recipe, target, recipes).packages if recipe.serves(target) else ():
            makers[package.name] = recipe.name
            depends[package.name] = [
                match[1] for relation in (*package.pre_depends, *package.depends)
                for choice in relation.split("|") if (match := NAME.match(choice))
            ]  # fmt: skip
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = waiting.pop()
        if name in makers and name not in found:
            found.add(name)
            waiting += depends[name]
    return [name for name in recipes if name in {makers[package] for package in found}]


def with_candidates(offers: Mapping[str, Offer], suites: Collection[str], suffix: str) -> dict[str, Offer]:
    """Return the offers for boards that try the candidates of ``suites`` first: those of ``SUITE-SUFFIX`` too."""
    candidates = {suite: offers[apt.suffixed(suite, suffix)] for suite in suites}
    return dict(offers) | {suite: _both(offers.get(suite), candidate) for suite, candidate in candidates.items()}


def _both(offer: Offer | None, candidate: Offer) -> Offer:
    if offer is None:
        return candidate
    # At the path of the suite, whose own file this one replaces for the rollout.
    sources = replace(candidate.sources, path=offer.sources.path)
    return replace(candidate, debs=(*offer.debs, *candidate.debs), sources=sources, beside=offer.sources)


def with_builds(offers: Mapping[str, Offer], builds: Sequence[BuildTarget]) -> dict[str, Offer]:
    """Return the offers as they are once ``builds`` are published: for plans, nothing can be installed from them."""
    found = dict(offers)
    for build in builds:
        suite, cpu = build.target.suite.name, build.target.architecture.debian
        version = build.recipe.debian_version(build.target)
        debs = [
            PackageFile(package.name, version, "all" if package.architecture == "all" else cpu, 0, NOT_YET)
            for package in build.recipe.packages
        ]
        nothing = PublishedFile("", b"")
        offer = found.get(suite) or Offer(suite, NOT_YET, (), nothing, nothing)
        found[suite] = replace(offer, debs=(*offer.debs, *debs))
    return found
