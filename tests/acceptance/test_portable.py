"""Portable packages for the Coral Dev Board's own system, from the packages of the README's two commands."""

import platform
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.apt.verify.verify import verify
from builders.model.deb_file import control_of
from builders.model.recipe.recipe import MENDEL_KERNEL
from tests.support.checkout import untouched
from tests.support.stranger import PACKAGES, Stranger

TARGET = "buster/arm64"
COMMANDS = ("build-arm", "--target", TARGET, "publish-apt")
RUNTIME, RUNTIME_PACKAGE = "reef-portable-runtime", "reef-portable-runtime13.1"
PORTABLE = {
    "tensorflow-lite": ("libtensorflow-lite2.14.1", "tflite-tools"),
    "edge-model-server": PACKAGES["edge-model-server"],
}
LARGEST_RUNTIME = 35_000_000
"""Bytes, installed."""


@dataclass(frozen=True)
class Published:
    """A project whose portable packages are published: what the command printed, and the native builds before it."""

    stranger: Stranger
    output: str
    natives: dict[Path, tuple[int, bytes]]

    def log(self, recipe: str, step: str) -> str:
        """Return the log of a step of the emulated board's check."""
        logs = self.stranger.project / "artifacts" / "logs" / "check" / recipe
        return (logs / f"{TARGET.replace('/', '-')}-{step}.log").read_text()


def natives(stranger: Stranger) -> dict[Path, tuple[int, bytes]]:
    """Return time and content of the records of the native builds."""
    paths = [stranger.built(recipe) / "record.json" for recipe in PACKAGES]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


@pytest.fixture(scope="module")
def published(stranger: Stranger) -> Published:
    stranger.forget_verdicts([RUNTIME, *PORTABLE], TARGET)
    before = natives(stranger)
    with untouched(stranger.apt / "dists" / "trixie"), untouched(stranger.apt / "snapshots" / "trixie"):
        output = stranger.inv(*COMMANDS)
    return Published(stranger, output, before)


def test_nothing_is_compiled_again(published: Published) -> None:
    stranger = published.stranger
    assert natives(stranger) == published.natives
    for recipe in PORTABLE:
        assert f"▸ run {recipe}/trixie" not in published.output
        record = stranger.record(recipe, TARGET)
        assert record["fingerprint"]["strategy"] == "repack"
        assert record["ccache"] == [0, 0]


def test_they_are_checked_in_a_root_that_is_as_near_as_can_be(published: Published) -> None:
    """No mirror holds buster; an emulated root reports the kernel of Mendel, the board's own machine its own."""
    release = platform.release() if platform.machine() == "aarch64" else MENDEL_KERNEL
    assert f"kernel release: {release}\n" in published.log(RUNTIME, "run")
    for recipe in (RUNTIME, *PORTABLE):
        assert f"▸ run check/{recipe}/buster-arm64" in published.output
        assert " bullseye InRelease" in published.log(recipe, "fetch")


@pytest.mark.parametrize(("recipe", "run"), [("tensorflow-lite", "run:inference"), ("edge-model-server", "run:server")])
def test_every_verdict_is_good(published: Published, recipe: str, run: str) -> None:
    verdicts = published.stranger.verdicts(recipe, TARGET)
    each = {(check, package) for check in ("install", "upgrade", "alone") for package in PORTABLE[recipe]}
    assert each | {(run, recipe), ("purge", recipe)} <= set(verdicts)
    assert all(verdicts.values())


def test_the_runtime_is_installed_upgraded_and_purged(published: Published) -> None:
    verdicts = published.stranger.verdicts(RUNTIME, TARGET)
    checks = {("install", RUNTIME_PACKAGE), ("upgrade", RUNTIME_PACKAGE), ("run:runtime", RUNTIME), ("purge", RUNTIME)}
    assert checks <= set(verdicts)
    assert all(verdicts.values())


def test_the_runtime_comes_as_a_dependency_and_is_small_enough(published: Published) -> None:
    stranger = published.stranger
    for recipe, packages in PORTABLE.items():
        for package in packages:
            control = control_of(stranger.deb(package, recipe, TARGET))
            assert control["Version"].endswith("~deb10~portable13.1")
            if package == "edge-model-server-tfs":  # a link to the server, with no program of its own
                assert "Pre-Depends" not in control
                assert control["Depends"] == f"edge-model-server (= {control['Version']})"
            else:
                assert re.fullmatch(rf"{RUNTIME_PACKAGE} \(>= 13\.1-\d+~deb10\)", control["Pre-Depends"])
        if recipe == "edge-model-server":
            # By a name that the native library, whose version is higher, does not have.
            control = control_of(stranger.deb("edge-model-server", recipe, TARGET))
            assert "libtensorflow-lite2.14.1-portable13.1 (>= " in control["Depends"]
        additional = published.log(recipe, "fetch").partition("The following additional packages will be installed:\n")
        assert RUNTIME_PACKAGE in additional[2].partition(":\n")[0].split()
    runtime = control_of(stranger.deb(RUNTIME_PACKAGE, RUNTIME, TARGET))
    assert "Depends" not in runtime
    assert int(runtime["Installed-Size"]) * 1024 <= LARGEST_RUNTIME


def test_both_suites_are_published(published: Published) -> None:
    assert "buster: published" in published.output
    expected = {RUNTIME_PACKAGE, *(package for packages in PORTABLE.values() for package in packages)}
    index = (published.stranger.apt / "dists/buster/main/binary-arm64/Packages").read_text()
    assert expected <= {line.partition(" ")[2] for line in index.splitlines() if line.startswith("Package: ")}
    for suite in ("trixie", "buster"):
        assert verify(published.stranger.apt, suite).debs


def test_a_second_run_finds_nothing_to_do(published: Published) -> None:
    with untouched(published.stranger.apt / "dists"), untouched(published.stranger.apt / "snapshots"):
        again = published.stranger.inv(*COMMANDS)
    assert "up to date" in again
    assert "buster: unchanged" in again
    assert "▸ run" not in again


def test_the_list_shows_them_beside_the_native_ones(published: Published) -> None:
    rows = [line.split() for line in published.stranger.inv("list").splitlines()]
    found = {(row[0], row[2]): row[3:6] for row in rows if len(row) > 5}
    for recipe in PORTABLE:
        assert found[recipe, TARGET] == ["repack", "yes", "yes"]
        assert found[recipe, "trixie/arm64"][1:] == ["yes", "yes"]
    assert found[RUNTIME, TARGET][1:] == ["yes", "yes"]
