"""Locks on finished builds: a build is made once at a time, and stays while others read it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from builders.pipeline.planning.plan import BuildTarget
from builders.pipeline.project import Project


def build_locked(project: Project, recipe: str, slug: str) -> AbstractContextManager[None]:
    """Keep a finished build from being built anew, and from being built twice at once."""
    folder = project.workspace.build(recipe, slug)
    return project.workspace.locked(f"build-{recipe}-{slug}", what=f"the build of {folder}", say=project.log.note)


@contextmanager
def builds_locked(project: Project, build_targets: Sequence[BuildTarget]) -> Iterator[None]:
    """Keep what is published from being built anew meanwhile.

    A build holds its own lock while it waits for those that it builds against: here the last in build order is taken
    first as well, so that the two never wait for each other.
    """
    with ExitStack() as stack:
        for build_target in reversed(build_targets):
            stack.enter_context(build_locked(project, *build_target.key))
        yield
