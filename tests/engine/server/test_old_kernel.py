"""The model server, its client and its workers without the system calls that came after Linux 4.9."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import native_server, old_kernel
from tests.support.model_server import serving, until

WITHIN = [sys.executable, str(Path(old_kernel.__file__))]
ASKED = {"instances": [1.0, 2.0, 5.0]}
ANSWER = {"predictions": [2.5, 3.0, 4.5]}


def test_newer_system_calls_are_hidden() -> None:
    code = "import os, ctypes; libc = ctypes.CDLL(None, use_errno=True); libc.syscall(332); print(ctypes.get_errno())"
    done = subprocess.run([*WITHIN, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "38\n"


def test_the_server_isolates_a_model_and_the_client_asks_it(tmp_path: Path, models: Path) -> None:
    programs = native_server.bundle() / "bin"
    flags = [f"--model_base_path={models / 'half_plus_two'}", "--model_name=half", "--isolate=always"]
    with serving(tmp_path, *flags, f"--worker={programs / 'edge_model_worker'}", within=WITHIN) as server:
        assert server.request("POST", "/v1/models/half:predict", ASKED).json == ANSWER
        client = programs / "edge_model_client"
        done = subprocess.run(
            [*WITHIN, str(client), "--server", f"127.0.0.1:{server.grpc_port}", "health"], capture_output=True,
            text=True, check=False, env={"PATH": os.defpath},
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "SERVING\n"), done.stderr


def test_a_new_version_is_found(tmp_path: Path, models: Path) -> None:
    model = (models / "half_plus_two" / "1" / "model.tflite").read_bytes()

    def add(version: int) -> None:
        place = tmp_path / "half" / f"new-{version}"
        place.mkdir(parents=True)
        (place / "model.tflite").write_bytes(model)
        place.rename(tmp_path / "half" / str(version))

    add(1)
    flags = [f"--model_base_path={tmp_path / 'half'}", "--model_name=half", "--file_system_poll_wait_seconds=1"]
    with serving(tmp_path, *flags, within=WITHIN) as server:
        add(2)
        until(lambda: server.request("GET", "/v1/models/half/versions/2").status == 200)
