"""Odd but legal packages, built and published: names, places, texts, and data that looks like programs."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.model.deb_file import control_of, members
from tests.support.checkout import CHECKOUT
from tests.support.place import Place

ODD = CHECKOUT / "tests" / "fixtures" / "odd" / "reef-odd"
SHARE = "usr/share/reef-odd"


@dataclass(frozen=True)
class Built:
    """The published packages, and the output of the run."""

    place: Place
    output: str

    def deb(self, package: str) -> Path:
        [found] = (self.place.artifacts / "builds/reef-odd/trixie-amd64").glob(f"{package}_*.deb")
        return found

    def files(self, package: str) -> dict[str, bytes]:
        entries = members(self.deb(package))
        return {str(entry.name)[2:]: content or b"" for entry, content in entries if not entry.isdir()}


@pytest.fixture(scope="module")
def built(module_place: Place) -> Built:
    shutil.rmtree(module_place.recipe)
    shutil.copytree(ODD, module_place.folder / "recipes" / "reef-odd")
    # The check of the recipe compares the digests on the board; the upgrade and the purge see the odd conffile.
    return Built(module_place, module_place.run("build-arm", "--target", "trixie/amd64", "publish-apt"))


def test_names_with_any_character(built: Built) -> None:
    found = built.files("reef-odd")
    assert {path.removeprefix(f"{SHARE}/") for path in found if path.startswith(SHARE)} == {
        "My Model v2.tflite", "Überblick 漢字.txt", "a[1].txt", "cost $5.txt", "${HOME}.txt", "it's.txt",
        'quoted "name".txt', "tab\tbed.txt", "#hash.txt", "{{name}}.txt", " leading.txt", "a new folder/share.txt",
        "My Link",
    }  # fmt: skip
    assert found[f"{SHARE}/My Model v2.tflite"] == b"edited\n"
    assert "usr/share/man/man7/reef odd.7.gz" in found
    # The braces of another program stay in a conffile.
    assert found["etc/reef odd/My {{Settings}} [1].conf"] == b'{{ states("x") }} ${HOME} %i $env{x}\n'


def test_descriptions_are_published_as_they_are_written(built: Built) -> None:
    assert control_of(built.deb("reef-odd"))["Description"].split("\n") == [
        "odd names, ${HOME} and 100% signs",
        " Reads ${XDG_CONFIG_HOME}/odd.conf or ${HOME}/.odd.conf; see ${binary:Version} and {{ version }}.",
        " .",
        " A list:",
        "  * verbatim line",
        "  .NET is not needed. Umlauts: äöü, 漢字.",
    ]
    index = (built.place.artifacts / "apt/dists/trixie/main/i18n/Translation-en").read_text()
    assert "Description-en: odd names, ${HOME} and 100% signs\n Reads ${XDG_CONFIG_HOME}/odd.conf" in index


def test_places_and_accepted_faults(built: Built) -> None:
    places = {"boot/overlays/reef-odd.dtbo", "opt/reef-odd/hello", "usr/games/reef-odd-game"}
    assert places <= set(built.files("reef-odd-places"))
    assert "1 accepted ('/opt/reef-odd': the place of a vendor)" in built.output
    modes = {str(entry.name)[2:]: entry.mode for entry, _ in members(built.deb("reef-odd-places"))}
    assert modes["usr/libexec/reef-odd/My Helper"] == 0o4755
    assert modes["usr/libexec/reef-odd/plain"] == 0o755
    assert "usr/local/share/reef-odd/notes" in modes


def test_data_that_looks_like_programs_is_not_stripped(built: Built) -> None:
    found, others = built.files("reef-odd"), built.files("reef-odd-places")
    core = found["usr/lib/firmware/reef-odd/core.elf"]
    assert b".debug_info" in core
    assert b".debug_info" in found["usr/lib/reef-odd/prog.bpf.o"]
    assert b".debug_info" not in found["usr/lib/reef-odd/My Plugin.so"]
    copies = (found["usr/lib/reef-odd/cores/other core.elf"], others["usr/lib/firmware/reef-odd-places.elf"])
    assert {core, *copies} == {core, others["usr/share/reef-odd-places/cores/1/core@2.elf"]}
    assert not any("cores" in path for path in built.files("reef-odd-dbgsym"))
