"""Many light boards at once, which take little room: they share the files below /usr by hard links."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from builders.pipeline.project import Project
from tests.support.light_board import LightBoard, light_board


@contextmanager
def many_boards(project: Project, folder: Path, count: int) -> Iterator[dict[str, LightBoard]]:
    """Run so many light boards for as long as the block takes: ``board-01``, ``board-02``, and so on."""
    with ExitStack() as stack:
        first = stack.enter_context(light_board(project, folder / "board-01"))
        boards = {"board-01": first}
        for number in range(2, count + 1):
            board = LightBoard(project, folder / f"board-{number:02}")
            _like(board, first)
            stack.callback(board.stop)
            boards[board.folder.name] = board
        for board in list(boards.values())[1:]:
            board.start()
        yield boards


def _like(board: LightBoard, other: LightBoard) -> None:
    """Give a board the files of another. dpkg replaces files rather than change them, so both may have the same."""
    disk, source = board.path("/"), other.path("/")
    for entry in source.iterdir():
        if entry.name in ("proc", "dev", "board", "run"):
            (disk / entry.name).mkdir()
        else:
            links = ["--link"] if entry.name == "usr" else []
            subprocess.run(["cp", "-a", *links, str(entry), str(disk)], check=True)
