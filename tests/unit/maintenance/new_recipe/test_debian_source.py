"""A source package of Debian: which files are upstream's, which packages its build needs, what its packaging says."""

from pathlib import Path
from typing import Any

import pytest
from debian.deb822 import Sources

from builders.errors import HostError, SourceError
from builders.host.log import Log
from builders.maintenance import debian_index
from builders.maintenance.new_recipe.debian_source import DebianSource, debian_source, hints, packaging_facts
from builders.maintenance.new_recipe.discovered import DebianBinary, Discovered
from builders.model.target import parse_target
from builders.pipeline.project import Project

STANZA = """Package: greet
Binary: libgreet2, libgreet-dev, greet-udeb
Version: 1:2.4-rc1+ds-3
Build-Depends: debhelper-compat (= 13), cmake, bison, libfoo-dev (>= 1.2) | libfoo1-dev, libtool, python3:any,
 nasm [amd64], libarm-dev [arm64 armhf], libnot-dev [!arm64], libtest-dev <!nocheck>, gcc-x <!cross>,
 libnative-dev:native, python3-sphinx-rtd-theme, libmanual-dev <!nodoc>
Build-Depends-Indep: bison, xmlto
Package-List:
 libgreet2 deb libs optional arch=any
 greet-data deb misc optional arch=all
 greet-udeb udeb debian-installer optional arch=any
Checksums-Sha256:
 aa 10 greet_2.4-rc1+ds.orig.tar.xz
 bb 10 greet_2.4-rc1+ds.orig-Extra.tar.xz
 cc 10 greet_2.4-rc1+ds-3.debian.tar.xz
 dd 10 greet_2.4-rc1+ds.orig.tar.xz.asc
 ee 10 greet_2.4-rc1+ds-3.dsc
Directory: pool/main/g/greet
Homepage: https://example.org/greet
"""
TARGET = parse_target("trixie/arm64")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "reef.yml").write_text("maintainer: Reef <reef@example.org>\n")
    monkeypatch.setattr(debian_index, "summaries", lambda *_: {"libgreet2": "Library that greets"})
    return Project.open(tmp_path, Log(quiet=True), without_recipes=True)


def source(text: str = STANZA) -> DebianSource:
    return DebianSource(next(Sources.iter_paragraphs(text, use_apt_pkg=False)), "trixie")


def test_upstreams_files_are_the_sources() -> None:
    assert source().sources == (
        {"name": "greet", "debian": {"path": "pool/main/g/greet/greet_2.4-rc1+ds.orig.tar.xz", "sha256": "aa"}},
        {
            "name": "greet-extra", "unpack": "Extra",
            "debian": {"path": "pool/main/g/greet/greet_2.4-rc1+ds.orig-Extra.tar.xz", "sha256": "bb"},
        },
    )  # fmt: skip
    packaging = source().packaging
    assert packaging is not None
    assert packaging["debian"] == {
        "path": "pool/main/g/greet/greet_2.4-rc1+ds-3.debian.tar.xz", "sha256": "cc", "strip": 0
    }  # fmt: skip


def test_a_native_package_is_its_own_source() -> None:
    text = STANZA.replace("1:2.4-rc1+ds-3", "2.4").replace("greet_2.4-rc1+ds.orig.tar.xz", "greet_2.4.tar.xz")
    assert source(text).native
    assert source(text).sources[0]["name"] == "greet"


def test_build_dependencies_are_tools_or_libraries_of_the_target(project: Project) -> None:
    found = source().facts(TARGET, project)
    assert found.tools == ("cmake", "bison", "python3", "libnative-dev")
    assert found.libraries == ("libfoo-dev", "libarm-dev")
    assert found.notes == (
        "Debian's tools for documentation are left out: python3-sphinx-rtd-theme, libmanual-dev, xmlto.",
    )
    assert source().facts(parse_target("trixie/amd64"), project).tools[1:4] == ("bison", "python3", "nasm")
    assert (found.epoch, found.revision) == (1, 4)
    assert (found.version, found.homepage) == ("2.4.rc1+ds", "https://example.org/greet")
    assert found.binaries == (
        DebianBinary("libgreet2", "libs", "Library that greets"), DebianBinary("greet-data", "misc", "", "", "all"),
    )  # fmt: skip


def test_what_packages_for_every_cpu_need_is_in_their_own_field(project: Project) -> None:
    text = STANZA.replace("libs optional arch=any", "libs optional arch=all")
    assert source(text).facts(TARGET, project).tools[-1] == "xmlto"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("gret", "did you mean 'greet'?"), ("libgreet2", "the source of libgreet2 is 'greet'"),
     ("hello", "the source of python3-hello is 'python-hello'")],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_the_nearest(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setattr(debian_index, "source_stanzas", lambda *_: "")
    names = {"greet": ["libgreet2", "libgreet-dev"], "python-hello": ["python3-hello"]}
    monkeypatch.setattr(debian_index, "source_names", lambda *_: names)
    with pytest.raises(SourceError, match="is no source package of Debian trixie") as caught:
        debian_source(name, "trixie", project)
    assert caught.value.detail == hint


def test_the_newest_of_several_versions_is_taken(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = STANZA.replace("1:2.4-rc1+ds-3", "1:2.4-rc1+ds-3+deb13u1")
    monkeypatch.setattr(debian_index, "source_stanzas", lambda *_: f"{newer}\n{STANZA}")
    assert str(debian_source("greet", "trixie", project).version) == "1:2.4-rc1+ds-3+deb13u1"


def test_hints_are_what_holds_of_another_release_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_index, "source_stanzas", lambda *_: STANZA)
    found = hints("greet", TARGET, project)
    assert (found.sources, found.version, found.revision, found.epoch) == ((), "", 1, 1)
    assert found.libraries == ("libfoo-dev", "libarm-dev")

    def away(*_: object) -> str:
        raise HostError("no mirror answers")

    monkeypatch.setattr(debian_index, "source_stanzas", away)
    assert hints("greet", TARGET, project) == Discovered()


CONTROL = """Source: greet
Section: libs

Package: greet
Section: utils
Architecture: any
Description: greets its user
 It greets.
 .
 Politely.

Package: greet-udeb
Package-Type: udeb
Architecture: any
Description: greets
"""
RULES = """override_dh_auto_configure:
\tdh_auto_configure -- -DTESTS=OFF \\
\t    -DLIBDIR=lib/$(DEB_HOST_MULTIARCH) -DX=on
"""
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: Copyright (C) 2020  Ada
           © 2021 Grace
           2022 Ada.
License: Expat

Files: debian/*
Copyright: 2022 Debian
License: GPL-2+

License: Expat
 Permission is hereby granted
 .
 as it is.
"""


def test_debians_own_files_say_what_a_package_is(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    (tmp_path / "control").write_text(CONTROL)
    (tmp_path / "copyright").write_text(COPYRIGHT)
    (tmp_path / "rules").write_text("%:\n\tdh $@ --buildsystem=cmake+ninja --sourcedirectory=build/cmake/\n\n" + RULES)
    (tmp_path / "patches" / "series").write_text("# why\nfix.patch -p1\n\n")
    found = packaging_facts(tmp_path, source())
    assert found.binaries == (DebianBinary("greet", "utils", "greets its user", "It greets.\n\nPolitely.", "any"),)
    assert (found.summary, found.description, found.system) == ("greets its user", "It greets.\n\nPolitely.", "cmake")
    assert found.folder == "build/cmake"
    assert found.options == ("-DTESTS=OFF", "-DX=on")
    assert found.rights.license == "MIT"
    assert found.rights.text == "Permission is hereby granted\n\nas it is."
    assert found.rights.statements == ("2020, 2022 Ada", "2021 Grace")
    patches: Any = found.sources[0]
    assert (patches["unpack"], patches["debian"]["strip"]) == ("debian", 1)
    assert [part["path"] for part in patches["exclude"]] == ["control", "copyright", "rules"]
    assert found.notes == ("Debian's patches are applied: fix.patch",)


def test_of_many_patches_some_are_named(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / "series").write_text("".join(f"{name}\n" for name in "abcdefg"))
    found = packaging_facts(tmp_path, source())
    assert found.notes[0] == "Debian's patches are applied: a, b, c, d, e and 2 more"


def test_what_debians_packages_do_and_those_of_the_recipe_do_not_is_named(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / "series").write_text("fix.patch\n")
    untaken = [
        "NEWS", "bubblewrap.conf", "bubblewrap.links", "bubblewrap.postinst", "bubblewrap.service", "libx1.symbols",
        "triggers",
    ]  # fmt: skip
    for name in (*untaken, "control", "rules", "bubblewrap.install", "watch", "salsa-ci.yml", "x.lintian-overrides"):
        (tmp_path / name).touch()
    found = packaging_facts(tmp_path, source())
    patches: Any = found.sources[0]
    reasons = {part["path"]: part["reason"] for part in patches["exclude"]}
    assert [name for name, reason in reasons.items() if reason.startswith("Not taken")] == untaken
    assert reasons["control"] == "Reef writes its own, or needs none."
    assert f"Debian's packages do more: {', '.join(untaken)} are not taken" in found.notes[1]


def test_without_patches_there_is_no_source_of_them(tmp_path: Path) -> None:
    assert packaging_facts(tmp_path, source()).sources == ()


def test_the_package_of_documentation_does_not_say_what_the_source_is(tmp_path: Path) -> None:
    manual = "Package: greet-manual-doc\nSection: doc\nDescription: manual\n Read it.\n\nPackage: python3-greet\n"
    text = CONTROL.replace("Package: greet\nSection: utils\n", manual)
    (tmp_path / "control").write_text(text)
    assert packaging_facts(tmp_path, source()).description == "It greets.\n\nPolitely."


def test_a_copyright_file_for_people_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "copyright").write_text("This package was debianized by Ada.\n\nIt is free.\n")
    assert packaging_facts(tmp_path, source()).rights.license == ""
