"""Reef as pip installs it: a project of one's own is built and published with no checkout of Reef beside it."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from builders import __version__
from builders.apt.repository.publication import published
from tests.support.checkout import CHECKOUT
from tests.support.installed import Installed, install
from tests.support.place import Place


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("a place with spaces"))


def run(installed: Installed, folder: Path, *words: str, status: int | None = 0, **variables: str) -> str:
    """Run ``reef`` as found on PATH in ``folder`` and return what it printed; its status must be ``status``, if
    given."""
    kept = {name: os.environ[name] for name in ("HOME", "REEF_CACHE") if name in os.environ}
    done = subprocess.run(
        ["reef", *words], cwd=folder, env=kept | variables
        | {"PATH": f"{installed.reef.parent}:/usr/bin:/bin", "DOCKER_HOST": "unix:///nonexistent/docker.sock"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=1800,
    )  # fmt: skip
    assert status in (None, done.returncode), done.stdout
    assert "Traceback" not in done.stdout
    assert "./inv" not in done.stdout
    return done.stdout


def test_the_wheel_holds_every_file_of_the_package(installed: Installed) -> None:
    expected = {path for path in files(CHECKOUT / "builders") if path != "layers.toml"}  # which the tests alone read
    packed = zipfile.ZipFile(installed.wheel).namelist()
    assert {name.removeprefix("builders/") for name in packed if name.startswith("builders/")} == expected


def test_a_folder_without_a_project(installed: Installed, tmp_path: Path) -> None:
    assert "no project here" in run(installed, tmp_path, "list", status=3)
    assert "mmdebstrap" in run(installed, tmp_path, "doctor", status=None)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "reef.yml").touch()
    assert "a copy of Reef's own recipe" in run(installed, tmp_path, "new", "reef-portable-runtime")
    assert "reef-portable-runtime" in run(installed, tmp_path, "list")
    assert f"Reef {__version__} " in run(installed, tmp_path, "--version")
    assert "did you mean 'list'? reef --list shows all commands" in run(installed, tmp_path, "lst", status=1)
    assert "--target" in run(installed, tmp_path, "--complete", "--", "reef build-arm --ta")
    assert "reef --complete" in run(installed, tmp_path, "--print-completion-script", "bash")


def test_a_project_is_built_and_published(installed: Installed, place: Place) -> None:
    (place.folder / "reef.yml").write_text("maintainer: Reef <reef@example.org>\ntargets: [trixie/amd64]\n")
    before = files(installed.packages)
    assert "reef-hello" in run(installed, place.folder, "list")
    output = run(installed, place.folder / "recipes", "build-arm", "publish-apt", REEF_GNUPGHOME=str(place.gnupg))
    assert f"project: {place.folder}" in output
    assert "published" in output
    assert published(place.artifacts / "apt", "trixie") is not None
    # The checkout's own Reef finds nothing to do: what is rendered does not depend on where Reef is.
    assert "up to date" in place.run("build-arm", "--plan")
    refused = run(installed, place.folder, "ci-files", status=3)
    assert f"no file inv is in {place.folder}" in refused
    assert "name it as pip takes it: --reef" in refused
    shutil.copy(installed.wheel, place.folder)
    run(installed, place.folder, "ci-files", "--reef", f"./{installed.wheel.name}")
    assert "reef build-arm" in (place.folder / "ci" / "gitlab-ci.yml").read_text()
    assert files(installed.packages) == before


def files(folder: Path) -> set[str]:
    """Return the files in ``folder`` but those that Python and Jinja2 compile."""
    names = (Path(place) / name for place, _, found in os.walk(folder, followlinks=True) for name in found)
    return {str(path.relative_to(folder)) for path in names if "__pycache__" not in path.parts}
