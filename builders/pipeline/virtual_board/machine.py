"""A running virtual board: started from the image or resumed from a saved state, reached by ssh on loopback."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from builders.errors import HostError
from builders.host import process
from builders.pipeline.virtual_board.image import Image
from builders.pipeline.virtual_board.qmp import Qmp

MEMORY_MB = 384
START_S = 60
SAVE_S = 600
CPU = "cortex-a53"
"""That of the Coral Dev Board and the Raspberry Pi 3."""
STATE, DISK = "state.zst", "disk.qcow2"


@dataclass
class VirtualBoard:
    """A board whose changes are in ``folder``. ``port`` is that of its ssh server, on this machine's loopback."""

    image: Image
    folder: Path
    offline: bool = True
    child: process.Companion | None = None
    port: int = 0
    _qmp: Qmp | None = None

    @property
    def console(self) -> Path:
        """The file of what the board prints."""
        return self.folder / "console"

    @property
    def qmp(self) -> Qmp:
        assert self._qmp
        return self._qmp

    def boot(self, saved: Path | None = None) -> None:
        """Start the board: resumed from the folder ``saved``, else from its disk; it is a copy of the image's first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        disk = self.folder / DISK
        if not disk.exists():
            base = saved / DISK if saved else self.image.folder / "base.qcow2"
            process.run(
                ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base.absolute()), "-F", "qcow2", str(disk)]
            )
        incoming = ["-incoming", f"exec:zstd -dcq {saved / STATE}"] if saved else []
        self._start(incoming)
        if saved:
            self._wait("paused")  # a cont before that is lost
            self.qmp.ask("cont")
        self.port = self._forwarded()

    def save(self, folder: Path) -> None:
        """Write the running board to ``folder`` and end it; `boot` resumes any number of boards from there."""
        self.qmp.ask("stop")
        folder.mkdir(parents=True)
        self.qmp.ask("migrate", uri=f"exec:zstd -1 -q >{folder / STATE}")
        until = time.monotonic() + SAVE_S
        while (status := self.qmp.ask("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > until:
                raise HostError("the state of a virtual board cannot be saved", str(status), "free some space")
            time.sleep(0.1)
        self.stop()
        (self.folder / DISK).rename(folder / DISK)

    def cable(self, *, plugged: bool) -> None:
        """Plug the network cable in, or pull it."""
        self.qmp.ask("set_link", name="n0", up=plugged)

    def stop(self) -> None:
        """End the board at once, as pulled power does."""
        if self._qmp:
            self._qmp.close()
            self._qmp = None
        if self.child:
            self.child.kill()
            self.child = None

    def _start(self, incoming: list[str]) -> None:
        socket = self.folder / "qmp"
        socket.unlink(missing_ok=True)
        net = f"user,id=n0,restrict={'on' if self.offline else 'off'},hostfwd=tcp:127.0.0.1:0-:22"
        argv = [
            "qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", CPU, "-smp", "1", "-m", str(MEMORY_MB),
            "-accel", "tcg,thread=multi", "-nodefaults", "-display", "none",
            "-kernel", str(self.image.folder / "vmlinuz"), "-initrd", str(self.image.folder / "initrd.gz"),
            "-append", "console=ttyAMA0 quiet mitigations=off",
            "-drive", f"if=none,id=d0,file={self.folder / DISK},format=qcow2,cache=writeback,discard=unmap",
            "-device", "virtio-blk-pci,drive=d0,romfile=", "-netdev", net,
            "-device", "virtio-net-pci,netdev=n0,romfile=", "-device", "virtio-rng-pci",
            "-serial", f"file:{self.console}", "-qmp", f"unix:{socket},server=on,wait=off", *incoming,
        ]  # fmt: skip
        self.child = process.Companion(argv, log=self.folder / "qemu.log")
        self._qmp = Qmp(socket, START_S)

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
    board.boot(saved)
    try:
        yield board
    finally:
        with suppress(OSError):
            board.stop()
