"""A board with fake Edge TPUs, for a model server to run on."""

from pathlib import Path

from tests.support import native_server
from tests.support.model_server import ModelServer


class Board:
    """Fake Edge TPUs: a folder with a file for each device (server/tests/fake_edgetpu)."""

    def __init__(self, folder: Path, *devices: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.devices = devices
        for device in devices:
            self.set(device, "ok 1000")

    def set(self, device: str, behaviour: str) -> None:
        with (self.folder / device).open("r+" if (self.folder / device).exists() else "w") as file:
            file.write(f"{behaviour}\n")
            file.truncate()

    def start_journal(self) -> None:
        """Let the devices write down their runs from now on."""
        (self.folder / ".journal").touch()

    def has_begun(self, runs: int = 1) -> bool:
        """Return whether so many runs have begun since the journal started."""
        return (self.folder / ".journal").read_text().count("begin") >= runs

    def flags(self, models: Path, model: str = "edgetpu") -> list[str]:
        bundle = native_server.bundle()
        return [
            f"--model_name={model}", f"--model_base_path={models / model}",
            f"--delegate={bundle / 'lib' / 'libfake_edgetpu.so.1'}", f"--device={','.join(self.devices)}",
            f"--worker={bundle / 'bin' / 'edge_model_worker'}",
        ]  # fmt: skip


EDGE = "/v1/models/edgetpu:predict"
EDGE_ASKED = {"instances": [[0.0, 2.0, 4.0, 6.0], [2.0, 2.0, 2.0, 2.0]]}
EDGE_ANSWER = {"predictions": [[2.0, 3.0, 4.0, 5.0], [3.0, 3.0, 3.0, 3.0]]}


def workers(server: ModelServer) -> list[int]:
    """Return the process ids of a server's workers."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    return sorted({int(pid) for path in [children, *tasks] for pid in path.read_text().split()})
