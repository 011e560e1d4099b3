"""The build of a runtime: what it says where Debian's security updates are not at hand."""

import subprocess
from pathlib import Path

from builders.deb.build_systems import build_system
from builders.deb.results import warnings
from builders.model.recipe import load_recipe
from tests.support.checkout import CHECKOUT


def test_a_machine_whose_apt_has_no_security_updates(tmp_path: Path) -> None:
    """The step that fetches them does nothing then, and the run shows the sentence."""
    [fetch] = build_system(load_recipe(CHECKOUT / "recipes" / "reef-portable-runtime")).fetch()
    environment = {"PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-eu", "-c", fetch], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert warnings(tmp_path / "debian" / "reef" / "out") == [
        "the bundled packages may lack security updates of trixie: this machine's apt has no source of them "
        "(label Debian-Security); ./inv list does not see them either"
    ]


def test_most_builds_warn_of_nothing(tmp_path: Path) -> None:
    assert warnings(tmp_path) == []
