"""A booted board as a saved state, from which any number of boards resume in seconds; kept in the cache."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from builders.host import process
from builders.host.files import document_digest, remove_tree, write_whole
from builders.pipeline.project import Project
from builders.pipeline.virtual_board.image import MANIFEST, Image, qemu_version
from builders.pipeline.virtual_board.machine import DISK, MACHINE, STATE, VirtualBoard, running
from builders.pipeline.virtual_board.reach import connected, free_memory, wait_until_started


def saved_state(project: Project, image: Image) -> Path:
    """Return the folder with the state of a booted board, made first if the cache has none of this image.

    It has the files `machine.STATE` and `machine.DISK`, and a readable manifest. Raises HostError if the board does not
    start.
    """
    # The host key is a different one in every image, also in one that was made again.
    document = {
        "image": image.folder.name, "host_key": " ".join(image.host_key), "qemu": qemu_version(),
        "machine": " ".join(MACHINE),
    }  # fmt: skip
    place = image.folder.with_name(f"{image.folder.name}-started-{document_digest(document)[:12]}")
    with project.workspace.locked(
        place.name, what="the saved state of virtual boards", say=project.log.note, beside=place.parent
    ):
        if not (place / MANIFEST).is_file():
            _make(project, image, place, document)
    return place


def _make(project: Project, image: Image, place: Path, document: Mapping[str, str]) -> None:
    with project.workspace.cache.scratch_folder("virtual") as scratch:
        board = VirtualBoard(image, scratch / "board")
        made = scratch / "made"
        made.mkdir()
        with project.log.step("start a virtual board, to save its state"), running(board):
            with connected(board, "virtual-board") as ssh:
                wait_until_started(board, ssh)
                free_memory(ssh)
            board.save(made / STATE)
        # Relative to its own folder, so that the cache may move.
        base = Path("..") / image.folder.name / "base.qcow2"
        process.run(["qemu-img", "rebase", "-q", "-u", "-F", "qcow2", "-b", str(base), str(board.disk)])
        board.disk.rename(made / DISK)
        remove_tree(place)
        made.rename(place)
        write_whole(place / MANIFEST, yaml.safe_dump(dict(document), sort_keys=False))
