"""One command that builds, publishes and installs, over light boards; and what a canary decides."""

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from builders.apt.keys.signing import SigningKey
from tests.support.board_project import BoardProject, installed
from tests.support.checkout import CACHE
from tests.support.light_board import LightBoard
from tests.support.ports import free_port
from tests.support.repository import Publisher

RECIPE = """\
name: reef-tool
version: "{version}"
summary: tool for boards
description: A script, to try a deployment on.
homepage: https://example.org/reef-tool
license: Apache-2.0
changelog: [{{revision: 1, date: 2026-01-01T00:00:00Z, changes: [Packaged.]}}]
copyright: [{{files: ["*"], copyright: ["2026 Reef"], license: Apache-2.0}}]
sources: [{{name: reef-tool, local: {{path: source}}}}]
targets: {{suites: [trixie], architectures: [amd64]}}
build:
  install: |
    install -D -m 755 tool "$DESTDIR/usr/bin/reef-tool"
packages:
  - {{name: reef-tool, summary: tool for boards - script, files: [usr/bin/reef-tool]}}
checks:
  - {{name: tells, packages: [reef-tool], script: checks/tells.sh, expect: ["{version}"]}}
"""
GATE = "reef-tool | grep -qv bad"


class Deployment(BoardProject):
    """A project with the recipe of a tool, and two boards without it."""

    def write_recipe(self, version: str, says: str = "fine") -> None:
        folder = self.folder / "recipes" / "reef-tool"
        for name in ("source", "checks"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "recipe.yml").write_text(RECIPE.format(version=version))
        (folder / "source" / "tool").write_text(f"#!/bin/sh\necho {version} {says}\n")
        (folder / "checks" / "tells.sh").write_text("reef-tool | cut -c 1-3\n")

    def release(self, suite: str = "trixie") -> str:
        return (self.folder / "apt" / "dists" / suite / "InRelease").read_text()

    def packages(self, suite: str = "trixie") -> list[str]:
        """Return the versions of the tool in a suite."""
        return re.findall(r"Package: reef-tool\n(?:.+\n)*?Version: (.+)\n", self.index(suite))

    def index(self, suite: str = "trixie") -> str:
        path = self.folder / "apt" / "dists" / suite / "main" / "binary-amd64" / "Packages.gz"
        return gzip.decompress(path.read_bytes()).decode()

    def sources(self) -> list[str]:
        """Return the sources of each board's apt, with their digests."""
        return [board.shell("sha256sum /etc/apt/sources.list.d/* || :") for board in self.boards.values()]

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serve the repository, from its first publication on, at the address that boards know."""
        port = free_port()
        with (self.folder / "reef.yml").open("a") as file:
            file.write(f"repository: {{url: 'http://127.0.0.1:{port}/'}}\n")
        (self.folder / "apt").mkdir()
        child = self.start("serve-apt", "--host", "127.0.0.1", "--port", str(port))
        try:
            yield
        finally:
            child.terminate()
            child.communicate()

    def tools(self) -> list[str | None]:
        """Return the version of the tool on each board."""
        return [installed(board).get("reef-tool") for board in self.boards.values()]


@pytest.fixture
def deployment(
    publisher: Publisher, key: SigningKey, boards: dict[str, LightBoard], monkeypatch: pytest.MonkeyPatch
) -> Deployment:
    monkeypatch.setenv("REEF_GNUPGHOME", str(key.home))
    found = Deployment(publisher, boards, {"reef_packages": ["reef-tool"], "reef_gate": "./gate.sh"}, canary="one")
    (found.folder / "reef.yml").write_text(f"artifacts: .\ncache: {CACHE}\nmaintainer: Reef <reef@example.org>\n")
    (found.folder / "gate.sh").write_text(GATE)
    found.write_recipe("1.0")
    found.trust()
    return found


def test_deploy_builds_publishes_and_installs(deployment: Deployment) -> None:
    output = deployment.inv("deploy", "--plan")
    assert re.search(r"build +reef-tool for trixie/amd64 +1.0-1~deb13 +trixie ", output), output
    assert re.search(r"batch 1 +two +change +reef-tool - -> 1.0-1~deb13", output), output
    assert not (deployment.folder / "apt").exists()

    output = deployment.inv("deploy")
    assert deployment.tools() == ["1.0-1~deb13", "1.0-1~deb13"], output
    again = deployment.inv("deploy")
    assert re.search(r"two +good +unchanged", again), again

    deployment.write_recipe("1.1")
    (deployment.folder / "recipes" / "reef-tool" / "checks" / "tells.sh").write_text("exit 1\n")
    deployment.inv("deploy", status=9)
    assert deployment.tools() == ["1.0-1~deb13", "1.0-1~deb13"]
    assert deployment.packages() == ["1.0-1~deb13"]


@pytest.mark.nightly
def test_what_a_canary_refuses_is_not_promoted(deployment: Deployment) -> None:
    with deployment.served():
        deployment.inv("deploy")
        sources = deployment.sources()
        assert any("/reef-trixie.sources" in line for line in sources)
        deployment.write_recipe("1.1", "bad")
        output = deployment.inv("deploy", "--testing", status=15)
        assert "1 of 1 boards failed; nothing was promoted" in output
        assert deployment.tools() == ["1.0-1~deb13", "1.0-1~deb13"]
        assert (deployment.packages(), deployment.packages("trixie-testing")) == (["1.0-1~deb13"], ["1.1-1~deb13"])
        assert deployment.sources() == sources

        deployment.write_recipe("1.2")
        output = deployment.inv("deploy", "--testing", "--soak", "1s")
        assert output.index("soak") < output.index("promoted from trixie-testing to trixie")
        assert deployment.tools() == ["1.2-1~deb13", "1.2-1~deb13"]
        assert deployment.packages() == ["1.0-1~deb13", "1.2-1~deb13"]  # and not what failed
        assert deployment.sources() == sources
    # The second rollout changed nothing on the canary, so its way back is that of the first.
    deployment.inv("rollback-boards")
    assert deployment.tools() == ["1.0-1~deb13", "1.0-1~deb13"]


@pytest.mark.nightly
def test_a_phase_ends_after_the_rollout(deployment: Deployment) -> None:
    deployment.inv("deploy")
    deployment.write_recipe("1.1", "bad")
    output = deployment.inv("deploy", "--phase", "20", status=15)
    assert "1 of 2 boards failed; the phase stays at 20" in output
    assert "Phased-Update-Percentage: 20" in deployment.index()

    deployment.write_recipe("1.2")
    output = deployment.inv("deploy", "--phase", "20")
    assert "the phase of reef-tool is raised from 20 to 100" in output
    newest = deployment.index().partition("Version: 1.2-1~deb13")[2].partition("\n\n")[0]
    assert "Phased-Update-Percentage" not in newest
    assert deployment.tools() == ["1.2-1~deb13", "1.2-1~deb13"]
