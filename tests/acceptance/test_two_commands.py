"""The README's main command of this checkout, and what a stranger would find afterwards."""

from builders.apt.verify.verify import verify
from builders.model.deb_file import control_of
from tests.support.stranger import PACKAGES, Stranger


def test_the_packages_are_built_and_published(stranger: Stranger) -> None:
    assert "trixie: published" in stranger.output
    for recipe, packages in PACKAGES.items():
        assert f"▸ run check/{recipe}" in stranger.output
        for package in packages:
            assert control_of(stranger.deb(package, recipe))["Version"].endswith("~deb13")


def test_an_int8_model_ran_to_the_expected_answers_on_arm64(stranger: Stranger) -> None:
    verdicts = stranger.verdicts("tensorflow-lite")
    assert {"install", "upgrade", "purge", "run:inference"} <= {check for check, _ in verdicts}
    assert all(verdicts.values())


def test_the_model_server_answered_on_arm64(stranger: Stranger) -> None:
    verdicts = stranger.verdicts("edge-model-server")
    assert {"install", "upgrade", "purge", "run:server"} <= {check for check, _ in verdicts}
    assert all(verdicts.values())


def test_the_repository_is_sound_as_a_stranger_sees_it(stranger: Stranger) -> None:
    found = verify(stranger.apt, "trixie")
    assert found.debs >= sum(map(len, PACKAGES.values()))


def test_a_second_run_finds_nothing_to_do(stranger: Stranger) -> None:
    again = stranger.inv("build-arm", "publish-apt")
    assert "up to date" in again
    assert "trixie: unchanged" in again
    assert "▸ run" not in again
