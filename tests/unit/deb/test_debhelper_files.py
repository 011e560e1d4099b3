"""Paths of recipes as words of debhelper's files."""

import pytest

from builders.deb.debhelper_files import install_line, link_line, own_file, own_pattern, pattern_line, shell_patterns


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
        ("usr/bin/[^a]* usr/lib/\\[^a]", "usr/bin/[!a]* usr/lib/\\[^a]"),
        # Variables of the recipe are expanded later.
        ("usr/lib/{{ triplet }}/a b usr/lib/{{ triplet }}", "usr/lib/{{ triplet }}/a${Space}b usr/lib/{{ triplet }}"),
        ("{{ triplet }}/a", "{{ triplet }}/a"),
    ],
)
def test_entries_of_files(entry: str, line: str) -> None:
    assert install_line(entry) == line


@pytest.mark.parametrize(
    ("pattern", "line", "words"),
    [
        ("usr/lib/*/*.la", "usr/lib/*/*.la", "usr/lib/*/*.la"),
        ("usr/a b", "usr/a${Space}b", r"usr/a\ b"),
        ("usr/bin/[!a-c$]*", "usr/bin/[!a-c$]*", r"usr/bin/[!a-c\$]*"),
        ("usr/bin/[^a]*!^", "usr/bin/[!a]*!^", r"usr/bin/[!a]*\!\^"),
        ("usr/bin/[", "usr/bin/[", "usr/bin/["),
        ("usr/bin/[]!]", "usr/bin/[]!]", r"usr/bin/[]\!]"),
        ("usr/{bin/{a,b},lib}/c", "usr/{bin/{a,b},lib}/c", "usr/bin/a/c usr/bin/b/c usr/lib/c"),
        ("a{,.1}", "a{,.1}", "a a.1"),
        ("a{}{b[{]", "a{}{b[{]", r"a\{\}\{b[\{]"),
        ("{{ triplet }}/{a,b}", "{{ triplet }}/{a,b}", "{{ triplet }}/a {{ triplet }}/b"),
    ],
)
def test_patterns_of_files_that_no_package_takes(pattern: str, line: str, words: str) -> None:
    assert pattern_line(pattern) == line
    assert shell_patterns(pattern) == words


def test_links_have_two_words() -> None:
    assert (
        link_line("usr/lib/{{ triplet }}/a b", "etc/c d/${x}")
        == "usr/lib/{{ triplet }}/a${Space}b etc/c${Space}d/${Dollar}{x}"
    )


def test_files_of_reef_are_taken_literally() -> None:
    assert own_pattern("etc/my [1]*?{a}.conf") == "etc/my${Space}\\[1\\]\\*\\?\\{a\\}.conf"
    assert own_pattern("etc/${DEB_HOST_ARCH}") == "etc/${Dollar}\\{DEB_HOST_ARCH\\}"
    assert own_file("etc/a b/{{c}}") == 'etc/a${Space}b/{{ "{{" }}c}}'
