"""Facts of several places, put together."""

from builders.maintenance.new_recipe.discovered import DebianBinary, Discovered, Rights


def test_what_is_unknown_is_taken_from_the_next_place() -> None:
    first = Discovered(version="1", sources=({"name": "a"},), notes=("x",), binaries=(DebianBinary("a", "utils"),))
    second = Discovered(
        version="2", summary="s", sources=({"name": "b"},), notes=("y",), rights=Rights("MIT"),
        binaries=(DebianBinary("a", "libs", "known"), DebianBinary("b")), pure=False,
    )  # fmt: skip
    found = first.completed(second)
    assert (found.version, found.summary, found.notes, found.rights.license) == ("1", "s", ("x", "y"), "MIT")
    assert [source["name"] for source in found.sources] == ["a", "b"]
    assert found.binaries == (DebianBinary("a", "libs", "known"),)
    assert not found.pure
    assert not found.completed(Discovered()).pure
