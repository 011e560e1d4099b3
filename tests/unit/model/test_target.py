import pytest

from builders.errors import InputError, nearest
from builders.model.arch import ARM64, by_machine
from builders.model.target import SUITES, parse_target


def test_a_target_is_read() -> None:
    target = parse_target("trixie/arm64")
    assert (target.suite, target.architecture) == (SUITES["trixie"], ARM64)
    assert (str(target), target.slug) == ("trixie/arm64", "trixie-arm64")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trixie", "SUITE/ARCHITECTURE"),
        ("trixi/arm64", "did you mean 'trixie'?"),
        ("trixie/aarch64", "did you mean 'arm64'?"),
        ("trixie/zzz", "known: amd64, arm64, armhf"),
    ],
)
def test_a_wrong_target_is_reported_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_target(text)
    assert message in str(caught.value)
    assert caught.value.exit_code == 3


def test_machines_are_known_by_the_kernels_name() -> None:
    assert by_machine("aarch64") == ARM64
    with pytest.raises(InputError, match="riscv64"):
        by_machine("riscv64")


def test_nearest_lists_all_where_nothing_is_near() -> None:
    assert nearest("q", ["b", "a"]) == "known: a, b"
