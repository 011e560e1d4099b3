"""The README's main command on this checkout, and what a stranger would find afterwards."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from builders.apt import verify
from builders.debfile import control_of
from builders.workspace import remove_tree

CHECKOUT = Path(__file__).parents[2]
BUILT = CHECKOUT / "artifacts" / "builds" / "tensorflow-lite" / "trixie-arm64"


def inv(*words: str, folder: Path = CHECKOUT) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [str(CHECKOUT / "inv"), *words],
        cwd=folder,
        # A Docker engine of the machine's user is none of the tests' business.
        env=kept
        | {"REEF_GNUPGHOME": str(CHECKOUT / "artifacts" / "tests" / "key"), "DOCKER_HOST": "unix:///nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    # A build that is there already may stay, the board's verdicts on it and the repository are made by this run.
    for report in BUILT.glob("install-report-*.json"):
        report.unlink()
    remove_tree(CHECKOUT / "artifacts" / "apt")
    return inv("build-arm", "publish-apt", folder=tmp_path_factory.mktemp("elsewhere"))


def test_the_packages_are_built_and_published(output: str) -> None:
    assert "trixie: published" in output
    assert "▸ run check/tensorflow-lite" in output
    for package in ("libtensorflow-lite2.14.1", "libtensorflow-lite-dev", "tflite-tools"):
        [deb] = BUILT.glob(f"{package}_*_arm64.deb")
        assert control_of(deb)["Version"].endswith("~deb13")


def test_an_int8_model_ran_to_the_expected_answers_on_arm64(output: str) -> None:
    [report] = [json.loads(path.read_text()) for path in BUILT.glob("install-report-*.json")]
    verdicts = {verdict["check"]: verdict["passed"] for verdict in report["verdicts"]}
    assert {"install", "upgrade", "purge", "run:inference"} <= set(verdicts)
    assert all(verdicts.values())


def test_the_repository_is_sound_as_a_stranger_sees_it(output: str) -> None:
    found = verify(CHECKOUT / "artifacts" / "apt", "trixie")
    assert found.debs >= 3


def test_a_second_run_finds_nothing_to_do(output: str) -> None:
    again = inv("build-arm", "publish-apt")
    assert "up to date" in again
    assert "trixie: unchanged" in again
    assert "▸ run" not in again
