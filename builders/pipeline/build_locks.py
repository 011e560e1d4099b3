"""Locks on finished builds: a build is made once at a time, and stays while others read it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from builders.model.context import Context
from builders.pipeline.planning.plan import BuildTarget


def build_locked(context: Context, recipe: str, slug: str) -> AbstractContextManager[None]:
    """Lock a build: no other run replaces or builds it meanwhile."""
    folder = context.workspace.build(recipe, slug)
    return context.workspace.locked(f"build-{recipe}-{slug}", what=f"the build of {folder}", say=context.log.note)


@contextmanager
def builds_locked(context: Context, build_targets: Sequence[BuildTarget]) -> Iterator[None]:
    """Lock all builds that are published: no other run replaces them meanwhile.

    A run that builds holds its own lock while it waits for the builds that it needs. The locks are taken in the same
    order here, the last in build order first, so that two runs never wait for each other.
    """
    with ExitStack() as stack:
        for build_target in reversed(build_targets):
            stack.enter_context(build_locked(context, *build_target.key))
        yield
