"""A running virtual board: started from the image or resumed from a saved state, reached by ssh on loopback."""

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from builders.errors import HostError
from builders.host import process
from builders.pipeline.virtual_board.image import Image
from builders.pipeline.virtual_board.qmp import Qmp, listens

MEMORY_MB = 384
START_S = 60
SAVE_S = 600
CPU = "cortex-a53"
"""That of the Coral Dev Board and the Raspberry Pi 3."""
MACHINE = (
    "-M", "virt,gic-version=3", "-cpu", CPU, "-smp", "1", "-m", str(MEMORY_MB),
    "-accel", "tcg,thread=multi", "-nodefaults", "-display", "none",
    "-append", "console=ttyAMA0 quiet mitigations=off",
    "-drive", "if=none,id=d0,file=disk.qcow2,format=qcow2,cache=writeback,discard=unmap",
    "-device", "virtio-blk-pci,drive=d0,romfile=", "-device", "virtio-net-pci,netdev=n0,romfile=",
    "-device", "virtio-rng-pci", "-serial", "file:console", "-qmp", "unix:qmp,server=on,wait=off",
)  # fmt: skip
"""The machine; its files are relative to the board's folder. A saved state fits no other."""
STATE, DISK, SOCKET = "state.zst", "disk.qcow2", "qmp"


@dataclass
class VirtualBoard:
    """A board whose changes are in ``folder``. ``port`` is that of its ssh server, on this machine's loopback.

    If ``port`` is 0, the kernel chooses one at each start.
    """

    image: Image
    folder: Path
    offline: bool = True
    outlives: bool = False
    """Whether the board goes on after this process."""
    port: int = 0
    child: process.Companion | None = None
    _qmp: Qmp | None = None

    @property
    def console(self) -> Path:
        """The file of what the board prints."""
        return self.folder / "console"

    @property
    def console_tail(self) -> str:
        """The last lines that the board printed."""
        return self.console.read_text(errors="replace")[-2000:] if self.console.exists() else ""

    @property
    def qmp(self) -> Qmp:
        assert self._qmp
        return self._qmp

    @property
    def disk(self) -> Path:
        return self.folder / DISK

    def boot(self, saved: Path | None = None) -> None:
        """Start the board: resumed from the folder ``saved``, else from its disk; it is a copy of the image's first."""
        if not self.disk.exists():
            self.make_disk(saved / DISK if saved else self.image.folder / "base.qcow2")
        if saved:
            self.resume(saved / STATE)
        else:
            self._start()
            self.port = self._forwarded()

    def resume(self, state: Path, *, once: bool = False) -> None:
        """Start the board from a state that fits its disk. ``once``: the state is removed, as the disk changes."""
        self._start("-incoming", f"exec:zstd -dcq {shlex.quote(str(state.absolute()))}")
        self._wait("paused")  # a cont before that is lost
        if once:
            state.unlink()
        self.qmp.ask("cont")
        self.port = self._forwarded()

    def make_disk(self, base: Path) -> None:
        """Make the disk, which has what differs from the disk ``base``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = self.folder / f"{DISK}.new"
        process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base.resolve()), "-F", "qcow2", str(made)])
        made.rename(self.disk)

    def save(self, state: Path) -> None:
        """Write the state of the running board to the file ``state`` and end the board; its disk belongs to it."""
        self.qmp.ask("stop")
        unfinished = state.with_name(f"{state.name}.new")
        self.qmp.ask("migrate", uri=f"exec:zstd -1 -q >{shlex.quote(str(unfinished.absolute()))}")
        until = time.monotonic() + SAVE_S
        while (status := self.qmp.ask("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > until:
                raise HostError("the state of a virtual board cannot be saved", str(status), "free some space")
            time.sleep(0.1)
        self.stop()
        unfinished.rename(state)

    def cable(self, *, plugged: bool) -> None:
        """Plug the network cable in, or pull it."""
        self.qmp.ask("set_link", name="n0", up=plugged)

    def stop(self) -> None:
        """End the board at once, as pulled power does."""
        if self.child:
            self.child.kill()
            self.child = None
        elif self._qmp:
            self._qmp.quit()
            until = time.monotonic() + START_S
            # QEMU ends its connections before it ends itself.
            while listens(self.folder / SOCKET) and time.monotonic() < until:
                time.sleep(0.05)
        self.leave()

    def attach(self) -> bool:
        """Connect to the board that an earlier process started in ``folder``; return whether it runs."""
        if listens(self.folder / SOCKET):
            self._qmp = Qmp(self.folder / SOCKET, START_S)
            self.port = self._forwarded()
        return self._qmp is not None

    def leave(self) -> None:
        """End the connection to QEMU; a board that ``outlives`` this process goes on."""
        if self._qmp:
            self._qmp.close()
            self._qmp = None

    def go_on(self) -> None:
        """Let the board run, also after a `save` that was interrupted."""
        if self.qmp.ask("query-status")["status"] != "running":
            self.qmp.ask("migrate_cancel")
            self.qmp.ask("cont")

    def _start(self, *incoming: str) -> None:
        (self.folder / SOCKET).unlink(missing_ok=True)
        restricted = "on" if self.offline else "off"
        argv = [
            "qemu-system-aarch64", *MACHINE,
            "-kernel", str(self.image.folder.absolute() / "vmlinuz"),
            "-initrd", str(self.image.folder.absolute() / "initrd.gz"),
            "-netdev", f"user,id=n0,restrict={restricted},hostfwd=tcp:127.0.0.1:{self.port}-:22", *incoming,
        ]  # fmt: skip
        self.child = process.Companion(argv, log=self.folder / "qemu.log", cwd=self.folder, outlives=self.outlives)
        self._qmp = Qmp(self.folder / SOCKET, START_S, self.child)

    def _wait(self, status: str) -> None:
        until = time.monotonic() + SAVE_S
        while self.qmp.ask("query-status")["status"] != status:
            if time.monotonic() > until:
                raise HostError("a virtual board does not resume", fix=f"look at {self.folder / 'qemu.log'}")
            time.sleep(0.05)

    def _forwarded(self) -> int:
        """Return the port of loopback that QEMU chose for the board's ssh server."""
        text = self.qmp.ask("human-monitor-command", **{"command-line": "info usernet"})
        found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", text)
        if not found:
            raise HostError("QEMU forwards no port to the virtual board", text, "look at its log")
        return int(found[1])


@contextmanager
def running(board: VirtualBoard, saved: Path | None = None) -> Iterator[VirtualBoard]:
    """Run a board for as long as the block takes."""
    try:
        board.boot(saved)
        yield board
    finally:
        with suppress(OSError):
            board.stop()
