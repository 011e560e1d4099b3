"""One run of Reef at a time changes the repository."""

from collections.abc import Iterator
from contextlib import contextmanager

from builders.apt.repository.context import RepositoryContext


@contextmanager
def locked(context: RepositoryContext) -> Iterator[None]:
    """Keep other runs of Reef out of the repository; every operation that changes it does."""
    with (
        context.workspace.in_use(),
        context.workspace.locked("publish", what=f"the repository {context.workspace.apt}", say=context.log.note),
    ):
        context.workspace.sweep()
        yield
