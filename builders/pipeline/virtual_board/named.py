"""The virtual boards of a project, each with a name and a folder; they go on between commands."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from builders.errors import HostError
from builders.host.files import remove_tree, write_whole
from builders.pipeline.project import Project
from builders.pipeline.virtual_board.image import MANIFEST, Image, image, qemu_version, require_programs
from builders.pipeline.virtual_board.machine import DISK, SOCKET, STATE, VirtualBoard
from builders.pipeline.virtual_board.qmp import listens
from builders.pipeline.virtual_board.reach import connected, find_router, make_own, set_clock, wait_until_started
from builders.pipeline.virtual_board.saved import saved_state

PORTS = range(2222, 2322)
"""Ports of loopback for the boards' ssh servers, below those that Linux gives to clients (ip(7))."""
RECORD = "board.yml"
COPIED = ("identity", "host_key.pub", "vmlinuz", "initrd.gz")


@dataclass
class NamedBoard:
    """A virtual board of a project. Its folder has its own copies of the image's files but for the disk below its own.

    The record is written last: a folder without one is that of a start that was interrupted.
    """

    project: Project
    name: str

    @property
    def folder(self) -> Path:
        return self.project.workspace.virtual_boards / self.name

    @property
    def exists(self) -> bool:
        return (self.folder / RECORD).is_file()

    @property
    def running(self) -> bool:
        return listens(self.folder / SOCKET)

    @property
    def state(self) -> Path:
        """The file with the state of a board that was stopped."""
        return self.folder / STATE

    @cached_property
    def machine(self) -> VirtualBoard:
        return VirtualBoard(Image(self.folder), self.folder, offline=False, outlives=True, port=self.port)

    @property
    def port(self) -> int:
        """The port of loopback at which the board is reached; 0 if there is no board."""
        return int(self._record["port"]) if self.exists else 0

    def start(self) -> str:
        """Let the board run, and return in words how it came to run.

        Raises HostError if it does not start; it is off then.
        """
        require_programs()
        with self._locked():
            runs = self.machine.attach()
            try:
                if runs and self.exists:
                    self.machine.go_on()
                    return "it runs already"
                self.machine.stop()  # one without a record
                return self._start_again() if self.exists else self._make()
            except BaseException:
                self.machine.stop()
                raise
            finally:
                self.machine.leave()

    def stop(self) -> bool:
        """Save the board's state and end it; return whether it ran. The next start resumes it."""
        with self._locked():
            if not self.machine.attach():
                return False
            self.machine.go_on()
            self.machine.save(self.state)
            return True

    def remove(self) -> None:
        """End the board, and forget all that is on it."""
        with self._locked():
            self.machine.attach()
            self.machine.stop()
            (self.folder / RECORD).unlink(missing_ok=True)
            remove_tree(self.folder)

    def _make(self) -> str:
        remove_tree(self.folder)
        found = image(self.project)
        saved = saved_state(self.project, found)
        self.folder.mkdir(parents=True)
        for name in COPIED:
            shutil.copy2(found.folder / name, self.folder / name)
        self.machine.port = _free_port({board.port for board in named_boards(self.project)})
        self.machine.make_disk(saved / DISK)
        self.machine.resume(saved / STATE)
        self._settle(new=True)
        record = {"port": self.machine.port, "disk": str((saved / DISK).resolve()), "qemu": qemu_version()}
        write_whole(self.folder / RECORD, yaml.safe_dump(record, sort_keys=False))
        return "it is new"

    def _start_again(self) -> str:
        self._require_disk()
        if not _is_free(self.port):
            raise HostError(
                f"{self.name} cannot start: another program has its port {self.port}",
                fix=f"end that program (ss -tlnp), or give {self.name} up: "
                f"./inv virtual-board --board {self.name} --remove",
            )
        if self._record["qemu"] != qemu_version():
            self.state.unlink(missing_ok=True)  # of another QEMU: the disk is whole without it
        resumes = self.state.exists()
        if resumes:
            self.machine.resume(self.state, once=True)
        else:
            self.machine.boot()
        self._settle(new=False)
        return "it goes on where it was stopped" if resumes else "it started from its disk"

    def _settle(self, *, new: bool) -> None:
        with connected(self.machine, self.name) as ssh:
            wait_until_started(self.machine, ssh)
            set_clock(ssh)
            if new:
                make_own(ssh)
                find_router(ssh)

    def _require_disk(self) -> None:
        """Raise HostError if the disk below the board's own is gone, or is another one under the same name."""
        below = Path(self._record["disk"])
        manifest = below.with_name(MANIFEST)
        known = yaml.safe_load(manifest.read_text())["host_key"] if manifest.is_file() else ""
        if known != " ".join(self.machine.image.host_key):
            raise HostError(
                f"{self.name} cannot start: its image is no longer in the cache", f"it was {below}",
                f"give it up: ./inv virtual-board --board {self.name} --remove; then start another",
            )  # fmt: skip

    @property
    def _record(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.folder / RECORD).read_text())
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.project.workspace.locked(
            f"virtual-board-{self.name}", what=f"the virtual board {self.name}", say=self.project.log.note
        ):
            yield


def named_boards(project: Project) -> list[NamedBoard]:
    """Return a project's virtual boards, in the order of their names."""
    found = sorted(path.parent.name for path in project.workspace.virtual_boards.glob(f"*/{RECORD}"))
    return [NamedBoard(project, name) for name in found]


def _free_port(taken: set[int]) -> int:
    for port in PORTS:
        if port not in taken and _is_free(port):
            return port
    raise HostError(f"all ports from {PORTS[0]} to {PORTS[-1]} are in use", fix="remove a virtual board")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
