"""The packaged model server in a root of another CPU, whose programs QEMU runs: the .debs that boards get.

It listens on this machine's loopback and sees the tests' folders, so that clients of this machine ask it as they ask
the native server.
"""

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from builders.checks.static.relations import relations
from builders.engines.chroot.entry import ChrootEntry, Overlay, enter_words
from builders.engines.environment import BASE_ENVIRONMENT
from builders.engines.roots import bootstrap, namespaces
from builders.model.arch import ARCHITECTURES
from builders.model.deb_file import control_of
from builders.model.jobs import Root
from tests.support import native_server
from tests.support.checkout import RUN
from tests.support.model_server import ModelServer, running, until

PACKAGES = {native_server.LITE: "libtensorflow-lite[0-9]*[0-9]", native_server.SERVER: "edge-model-server"}
"""The package of each recipe that is installed, as a pattern."""


class Board:
    """A root with the server's package and all that it depends on."""

    def __init__(self, architecture: str) -> None:
        self.architecture = ARCHITECTURES[architecture]
        self.folder = RUN / f"board-{architecture}"
        RUN.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.folder}.lock"):
            self.layers = self._layers()

    def entry(self, folder: Path, layers: Sequence[str], script: str = "", **more: str) -> Path:
        """Write what enters the root, its changes kept in ``folder``, and return the file."""
        described = ChrootEntry(
            mountpoint=str(folder / "mnt"), overlays=[Overlay("/", list(layers), str(folder / "root"))],
            binds={path: path for path in more.pop("binds", "").split(":") if path}, network=True, mirror=None,
            environment={**BASE_ENVIRONMENT, **self.architecture.emulation, **more}, workdir="/", script=script,
        )  # fmt: skip
        (folder / "mnt").mkdir(parents=True, exist_ok=True)
        described.write(folder / "entry.json")
        return folder / "entry.json"

    def _layers(self) -> list[str]:
        project = native_server.project()
        target = f"trixie/{self.architecture}"
        debs = [
            next(folder.glob(f"{name}_*_{self.architecture}.deb"))
            for folder, name in zip(native_server.built(project, target, *PACKAGES), PACKAGES.values(), strict=True)
        ]
        controls = [control_of(deb) for deb in debs]
        ours = {control["Package"] for control in controls}
        needs = {relation.name for control in controls for relation in relations(control, "Depends")} - ours
        root = Root("trixie", self.architecture, self.architecture, tuple(sorted(needs)))
        project.engines.get("chroot").check(root)
        rootfs, _ = bootstrap.make(root, project)
        changes = self.folder / "root" / "upper"
        if not changes.exists():
            self._install(rootfs, debs)
        return [str(rootfs), str(changes)]

    def _install(self, rootfs: Path, debs: Sequence[Path]) -> None:
        binds = ":".join(str(deb.parent) for deb in debs)
        script = "dpkg --install " + " ".join(f"'{deb}'" for deb in debs)
        entry = self.entry(self.folder, [str(rootfs)], script, binds=binds)
        words = [*namespaces.prefix(network=False), *enter_words(entry)]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


class EmulatedServer(ModelServer):
    """A server process on a board; the folder ``shared`` of this machine is there too, under the same path."""

    def __init__(
        self, board: Board, shared: Path, arguments: Sequence[str], folder: Path, **environment: str
    ) -> None:  # fmt: skip
        self._entry = board.entry(folder / "board", board.layers, binds=str(shared), **environment)
        super().__init__(arguments, folder)

    def program(self) -> list[str]:
        words = enter_words(self._entry)
        return [*namespaces.prefix(network=True), *words, "/usr/bin/edge_model_server"]

    def pid(self) -> int:
        """Return the id of the process that became the server: the first in its namespace."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        until(lambda: bool(children.read_text().split()))
        return int(children.read_text().split()[0])


def serving(
    board: Board, shared: Path, folder: Path, *arguments: str, **environment: str
) -> contextlib.AbstractContextManager[ModelServer]:
    """Run the packaged server on a board; it is ready, and must end well."""
    return running(EmulatedServer(board, shared, arguments, folder, **environment))
