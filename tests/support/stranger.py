"""A project with the checkout's recipes and settings, and the real command line on it, as a stranger would use it.

It shares the checkout's builds and publishes into a folder of its own: what the user published stays.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders.host.files import remove_tree
from tests.support.checkout import CHECKOUT, project_like

NATIVE = "trixie/arm64"
PACKAGES: Mapping[str, Sequence[str]] = {
    "tensorflow-lite": ("libtensorflow-lite2.14.1", "libtensorflow-lite-dev", "tflite-tools"),
    "edge-model-server": ("edge-model-server", "edge-model-client", "edge-model-server-tfs"),
}
"""The packages of the recipes that are built by default for `NATIVE`."""


@dataclass
class Stranger:
    """A project, and the real command line on it, run from a folder that has nothing to do with either.

    ``output`` is what the README's two commands printed.
    """

    project: Path
    elsewhere: Path
    apt: Path
    output: str = field(default="", repr=False)

    def built(self, recipe: str, target: str = NATIVE) -> Path:
        """Return the folder of a build."""
        return self.project / "artifacts" / "builds" / recipe / target.replace("/", "-")

    def record(self, recipe: str, target: str = NATIVE) -> Any:
        """Return the record of a build, as a document."""
        return json.loads((self.built(recipe, target) / "record.json").read_text())

    def deb(self, package: str, recipe: str, target: str = NATIVE) -> Path:
        """Return the .deb of a package that is built for one CPU."""
        [path] = self.built(recipe, target).glob(f"{package}_*_{target.partition('/')[2]}.deb")
        return path

    def verdicts(self, recipe: str, target: str = NATIVE) -> dict[tuple[str, str], bool]:
        """Return whether each check passed on the emulated board, by its name and the name of what it checked."""
        [path] = self.built(recipe, target).glob("install-report-*.json")
        found = json.loads(path.read_text())["verdicts"]
        return {(verdict["check"], verdict["subject"]): verdict["passed"] for verdict in found}

    def forget_verdicts(self, recipes: Sequence[str], target: str = NATIVE) -> None:
        """Remove the verdicts of the emulated board on earlier builds: the next command makes them again."""
        for recipe in recipes:
            for report in self.built(recipe, target).glob("install-report-*.json"):
                report.unlink()

    def inv(self, *words: str, status: int = 0) -> str:
        """Run a command line, which must end with ``status``, and return what it printed."""
        kept = {name: value for name, value in os.environ.items() if name != "CI"}
        done = subprocess.run(
            [str(CHECKOUT / "inv"), *words],
            cwd=self.elsewhere,
            env=kept
            | {"REEF_FOLDER": str(self.project), "REEF_GNUPGHOME": str(CHECKOUT / "artifacts" / "tests" / "key")}
            # A Docker engine of the machine's user is none of the tests' business.
            | {"DOCKER_HOST": "unix:///nonexistent"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout


@contextmanager
def two_commands(elsewhere: Path) -> Iterator[Stranger]:
    """Run the README's two commands in a new project, and yield it; it is removed at the end.

    A build of an earlier run may stay; this run makes the board's verdicts on it and the repository.
    """
    folder = CHECKOUT / "artifacts" / "tests" / f"acceptance-{os.urandom(3).hex()}"
    made = Stranger(folder, elsewhere, project_like(CHECKOUT, folder))
    try:
        made.forget_verdicts([*PACKAGES])
        made.output = made.inv("build-arm", "publish-apt")
        yield made
    finally:
        remove_tree(folder)
