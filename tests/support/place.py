"""Real projects for tests, in folders with an odd name, and the real command line on them.

They lie under the checkout's ``artifacts/tests``, on the disk that real runs use.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from builders.host.files import remove_tree
from builders.model.arch import ARM64
from builders.model.jobs import BuildJob, Root
from builders.pipeline.project import Project
from tests.support.checkout import CACHE, CHECKOUT, HELLO, RUN

INVOKE = Path(sys.executable).with_name("invoke")


class Place:
    """One project on disk, and the real command line on it."""

    def __init__(self, folder: Path, caches: Path | None) -> None:
        self.folder = folder
        self.artifacts = folder / "artifacts"
        self.artifacts.mkdir(parents=True)
        self.within: list[str] = []
        """What the command is started by, as ``unshare --net`` for one without a network."""
        self.recipe = folder / "recipes" / "reef-hello"
        self.gnupg = Path(tempfile.mkdtemp(prefix="reef-gnupg-"))  # gpg's sockets want a short, plain path
        shutil.copytree(HELLO, self.recipe)
        (folder / "reef.yml").write_text("maintainer: Reef <reef@example.org>\n")
        if caches:
            caches.mkdir(parents=True, exist_ok=True)
            (self.artifacts / "cache").symlink_to(caches)

    def edit(self, before: str, after: str, file: str = "recipe.yml") -> None:
        path = self.recipe / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("CI", "GITHUB_ACTIONS", "GITLAB_CI")}
        # A Docker engine of the machine's user is none of the tests' business.
        away = {"DOCKER_HOST": "unix:///nonexistent/docker.sock", "DOCKER_CONTEXT": ""}
        return kept | away | {"REEF_FOLDER": str(self.folder), "REEF_GNUPGHOME": str(self.gnupg)}

    def start(self, *words: str, **extra: str) -> "subprocess.Popen[str]":
        """Start ``invoke`` on this project, its output going to the file ``output``."""
        with (self.folder / "output").open("w") as output:
            # A shell starts what it puts in the background deaf to Ctrl-C, and tests inherit that.
            return subprocess.Popen(
                [*self.within, "env", "--default-signal=INT", str(INVOKE), "--search-root", str(CHECKOUT), *words],
                env=self.environment() | extra, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                text=True, start_new_session=True, cwd="/",
            )  # fmt: skip

    def run(self, *words: str, status: int = 0, **extra: str) -> str:
        """Run ``invoke`` on this project and return what it printed; its status must be ``status``."""
        child = self.start(*words, **extra)
        child.wait(timeout=1800)
        output = (self.folder / "output").read_text()
        assert child.returncode == status, output
        assert "Traceback" not in output
        return output

    def fetches(self, script: str) -> None:
        """Let the build fetch first, which a recipe that keeps its source may not."""
        self.edit("keep_source: true\n", "")
        self.edit("build:\n", f"build:\n  fetch: |\n    {script}\n")

    def log_text(self) -> str:
        return "".join(path.read_text(errors="replace") for path in (self.artifacts / "logs").rglob("*.log"))

    def when(self, child: "subprocess.Popen[str]", there: Callable[[], bool], timeout_s: float = 600) -> None:
        """Wait until ``there()``; the child must still be running then."""
        until = time.monotonic() + timeout_s
        while not there():
            assert child.poll() is None, (self.folder / "output").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)

    def left_behind(self) -> list[str]:
        """Return mounts of this machine and processes that still have to do with this project."""
        mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(self.folder) in line]
        listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
        return mounts + [line for line in listed.splitlines() if str(self.artifacts) in line]


def emulated_cpu(project: Project, engine: str) -> set[str]:
    """Return which of two abilities that no board of ours has a program finds in an emulated arm64 root."""
    script = "od -A n -t u8 -w16 /proc/self/auxv >/build/out/auxv"
    job = BuildJob("try/cpu", Root("trixie", ARM64, ARM64, ()), script)
    result = project.engines.get(engine).run(job, project.workspace.path / "cpu", project.log)
    words = (result.output / "auxv").read_text().split()
    found = dict(zip(map(int, words[::2]), map(int, words[1::2]), strict=True))
    # asm/hwcap.h of Linux: what AT_HWCAP (16) says.
    return {name for name, bit in (("atomics", 8), ("paca", 30)) if found[16] >> bit & 1}


def gone(place: Place, timeout_s: float = 120) -> list[str]:
    """Return what is left behind after a moment in which the kernel may still end it."""
    until = time.monotonic() + timeout_s
    while (left := place.left_behind()) and time.monotonic() < until:
        time.sleep(0.1)
    return left


@contextmanager
def project_of_test(name: str, caches: Path | None) -> Iterator[Place]:
    """Make a project with these caches, none without; it is removed at the end."""
    short = re.sub(r"\W+", "-", name.removesuffix(".py").rsplit("/", maxsplit=1)[-1])[:30]
    folder = CHECKOUT / "artifacts" / "tests" / f"é: {short}, {os.urandom(3).hex()}"
    made = Place(folder, caches)
    yield made
    if (made.artifacts / "cache").is_symlink():
        (made.artifacts / "cache").unlink()
    remove_tree(folder)
    remove_tree(made.gnupg)


def kill(child: "subprocess.Popen[str]", number: int = signal.SIGKILL) -> int:
    """Send one signal to the started process alone, as a user's kill does, and return its status."""
    os.kill(child.pid, number)
    return child.wait(timeout=300)


def give_build(place: Place, target: str = "trixie/arm64") -> None:
    """Put a finished build of the miniature into ``place``, with its logs, as if ``place`` had made it.

    The first test of the run that asks for ``target`` builds it, whichever process that runs in.
    """
    first = RUN / target.replace("/", "-")
    RUN.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{first}.lock"):
        if not (first / "built").exists():
            remove_tree(first)  # of a test that was interrupted
            Place(first, CACHE).run("build-arm", "--target", target)
            (first / "built").touch()
    for part in ("builds", "logs"):
        shutil.copytree(first / "artifacts" / part, place.artifacts / part, dirs_exist_ok=True)
