"""The miniature built under QEMU: what comes out is what the cross build gives."""

import json
from pathlib import Path

from builders.debfile import control_of, members
from tests.engine.conftest import Place

BUILT = "builds/reef-hello/trixie-arm64"
SAME = ("Package", "Version", "Architecture", "Multi-Arch", "Section", "Depends", "Pre-Depends")


def facts(folder: Path) -> dict[str, tuple[list[str | None], list[str]]]:
    """Return what tells one package from another, and its files; those of -dbgsym are named after compilers' bits."""
    found = {}
    for path in sorted(folder.glob("*.deb")):
        control = control_of(path)
        names = [] if "-dbgsym" in path.name else sorted(str(entry.name) for entry, _ in members(path))
        found[control["Package"]] = [control.get(name) for name in SAME], names
    return found


def test_an_emulated_build_gives_the_packages_of_the_cross_build(place: Place) -> None:
    folder = place.artifacts / BUILT
    place.run("build-arm")
    crossed = facts(folder)
    assert {fields[2] for fields, _ in crossed.values()} == {"arm64"}
    place.run("build-arm", "--strategy", "emulate")
    record = json.loads((folder / "record.json").read_text())
    assert record["fingerprint"]["root"]["build"] == "arm64"
    assert facts(folder) == crossed
