"""The README's main command of this checkout, and what a stranger would find afterwards.

The project is the checkout's recipes and settings in a folder of the test's own: what the user published stays.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.apt.verify.verify import verify
from builders.host.files import remove_tree
from builders.model.deb_file import control_of
from tests.support.checkout import CHECKOUT, project_like

PACKAGES = {
    "tensorflow-lite": ("libtensorflow-lite2.14.1", "libtensorflow-lite-dev", "tflite-tools"),
    "edge-model-server": ("edge-model-server", "edge-model-client", "edge-model-server-tfs"),
}
"""What the recipes that are built by default build."""


@dataclass
class Stranger:
    """A project, and the real command line on it, run from a folder that has nothing to do with either."""

    project: Path
    elsewhere: Path
    apt: Path
    output: str = ""

    def built(self, recipe: str) -> Path:
        return self.project / "artifacts" / "builds" / recipe / "trixie-arm64"

    def verdicts(self, recipe: str) -> dict[str, bool]:
        """Return whether each check of the recipe's packages passed on the emulated board, by its name."""
        [path] = self.built(recipe).glob("install-report-*.json")
        return {verdict["check"]: verdict["passed"] for verdict in json.loads(path.read_text())["verdicts"]}

    def inv(self, *words: str) -> str:
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
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    folder = CHECKOUT / "artifacts" / "tests" / f"acceptance-{os.urandom(3).hex()}"
    made = Stranger(folder, tmp_path_factory.mktemp("elsewhere"), project_like(CHECKOUT, folder))
    try:
        # A build that is there already may stay, the board's verdicts on it and the repository are made by this run.
        for recipe in PACKAGES:
            for report in made.built(recipe).glob("install-report-*.json"):
                report.unlink()
        made.output = made.inv("build-arm", "publish-apt")
        yield made
    finally:
        remove_tree(folder)


def test_the_packages_are_built_and_published(stranger: Stranger) -> None:
    assert "trixie: published" in stranger.output
    for recipe, packages in PACKAGES.items():
        assert f"▸ run check/{recipe}" in stranger.output
        for package in packages:
            [deb] = stranger.built(recipe).glob(f"{package}_*_arm64.deb")
            assert control_of(deb)["Version"].endswith("~deb13")


def test_an_int8_model_ran_to_the_expected_answers_on_arm64(stranger: Stranger) -> None:
    verdicts = stranger.verdicts("tensorflow-lite")
    assert {"install", "upgrade", "purge", "run:inference"} <= set(verdicts)
    assert all(verdicts.values())


def test_the_model_server_answered_on_arm64(stranger: Stranger) -> None:
    verdicts = stranger.verdicts("edge-model-server")
    assert {"install", "upgrade", "purge", "run:server"} <= set(verdicts)
    assert all(verdicts.values())


def test_the_repository_is_sound_as_a_stranger_sees_it(stranger: Stranger) -> None:
    found = verify(stranger.apt, "trixie")
    assert found.debs >= sum(map(len, PACKAGES.values()))


def test_a_second_run_finds_nothing_to_do(stranger: Stranger) -> None:
    again = stranger.inv("build-arm", "publish-apt")
    assert "up to date" in again
    assert "trixie: unchanged" in again
    assert "▸ run" not in again
