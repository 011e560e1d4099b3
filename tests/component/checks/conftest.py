"""Real ELF files, compiled once per session with the machine's own compiler."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Compiled:
    """Bytes of an executable, a shared library, a static library and separate debugging symbols."""

    program: bytes
    library: bytes
    archive: bytes
    debug: bytes


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    if not shutil.which("gcc"):
        pytest.fail("gcc is not installed: ./inv test installs it")
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "program.c").write_text("int main(void) { return 0; }\n")
    (folder / "answer_with_a_long_name.c").write_text('#include <stdio.h>\nint answer(void) { return puts("42"); }\n')
    for command in (
        "gcc -g -o program program.c",
        "objcopy --only-keep-debug program program.debug",
        "gcc -shared -fPIC -o library.so answer_with_a_long_name.c",
        "gcc -c answer_with_a_long_name.c",
        "ar rcs library.a answer_with_a_long_name.o",
    ):
        subprocess.run(command.split(), cwd=folder, check=True)
    return Compiled(*(Path(folder, n).read_bytes() for n in ("program", "library.so", "library.a", "program.debug")))
