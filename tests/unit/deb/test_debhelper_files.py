"""Paths of recipes as words of debhelper's files."""

import pytest

from builders.deb.debhelper_files import install_line, link_line, own_file, own_pattern


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("usr/lib/*/lib*.so.*", "usr/lib/*/lib*.so.*"),
        ("usr/share/My Model v2.tflite", "usr/share/My${Space}Model${Space}v2.tflite"),
        ("usr/share/Überblick 漢字.txt", "usr/share/Überblick${Space}漢字.txt"),
        ("usr/share/a\tb  c", "usr/share/a${Tab}b${Space}${Space}c"),
        (" usr/bin ", "usr/bin"),
        # Another path begins with a folder of the root.
        ("usr/lib/std/lib*.so usr/lib", "usr/lib/std/lib*.so usr/lib"),
        ("README.md usr/share/doc/My Folder", "README.md usr/share/doc/My${Space}Folder"),
        ("usr/bin/a  usr/bin/b /opt/My Tools", "usr/bin/a usr/bin/b /opt/My${Space}Tools"),
        ("usr/share/kept\\ usr/x", "usr/share/kept${Space}usr/x"),
        ("usr/share/my usrfile", "usr/share/my${Space}usrfile"),
        # Debhelper's own variables stay; others would end the build.
        ("usr/lib/${DEB_HOST_MULTIARCH}/a${Space}b", "usr/lib/${DEB_HOST_MULTIARCH}/a${Space}b"),
        ("usr/share/${HOME}/$x", "usr/share/${Dollar}{HOME}/$x"),
        ("usr/share/${}", "usr/share/${Dollar}{}"),
        ("#a", "./#a"),
        # Variables of the recipe are expanded later.
        ("usr/lib/{{ triplet }}/a b usr/lib/{{ triplet }}", "usr/lib/{{ triplet }}/a${Space}b usr/lib/{{ triplet }}"),
        ("{{ triplet }}/a", "{{ triplet }}/a"),
    ],
)
def test_entries_of_files(entry: str, line: str) -> None:
    assert install_line(entry) == line


def test_links_have_two_words() -> None:
    assert (
        link_line("usr/lib/{{ triplet }}/a b", "etc/c d/${x}")
        == "usr/lib/{{ triplet }}/a${Space}b etc/c${Space}d/${Dollar}{x}"
    )


def test_files_of_reef_are_taken_literally() -> None:
    assert own_pattern("etc/my [1]*?{a}.conf") == "etc/my${Space}\\[1\\]\\*\\?\\{a\\}.conf"
    assert own_pattern("etc/${DEB_HOST_ARCH}") == "etc/${Dollar}\\{DEB_HOST_ARCH\\}"
    assert own_file("etc/a b/{{c}}") == 'etc/a${Space}b/{{ "{{" }}c}}'
