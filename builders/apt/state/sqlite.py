"""SQLite files in the state folder. They only save time: a missing or broken file counts as an empty one."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from builders.host.files import disk_errors


def rows(path: Path, query: str, parameters: Sequence[object] = ()) -> list[Any]:
    """Return what ``query`` finds; nothing where the file is missing or broken."""
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path)) as memory:
            return memory.execute(query, parameters).fetchall()
    except sqlite3.DatabaseError:
        return []


def change(path: Path, schema: Sequence[str], work: Callable[[sqlite3.Connection], None]) -> None:
    """Let ``work`` change the file, all or nothing, with the tables of ``schema``; replaces a broken file."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _change(path, schema, work)
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
            try:
                _change(path, schema, work)
            except sqlite3.DatabaseError as error:
                raise OSError(f"{path}: {error}") from error


def _change(path: Path, schema: Sequence[str], work: Callable[[sqlite3.Connection], None]) -> None:
    with closing(sqlite3.connect(path)) as memory, memory:
        for statement in schema:
            memory.execute(statement)
        work(memory)
