"""Packages that are proposed from the files of a first build."""

from builders.maintenance.new_recipe.discovered import DebianBinary, Discovered
from builders.maintenance.new_recipe.proposal import draft, patterns, propose

LIBRARY = [
    "usr/include/json/json.h", "usr/include/json/parse.h", "usr/lib/aarch64-linux-gnu/libjson.so",
    "usr/lib/aarch64-linux-gnu/libjson.so.5", "usr/lib/aarch64-linux-gnu/libjson.so.5.3.0",
    "usr/lib/aarch64-linux-gnu/libjson.a", "usr/lib/aarch64-linux-gnu/libjson.la",
    "usr/lib/aarch64-linux-gnu/pkgconfig/json.pc", "usr/share/man/man3/json.3.gz",
    "usr/share/doc/json/changelog.Debian.gz", "usr/share/doc/json/copyright",
]  # fmt: skip
LINKS = {
    "usr/lib/aarch64-linux-gnu/libjson.so": "libjson.so.5",
    "usr/lib/aarch64-linux-gnu/libjson.so.5": "libjson.so.5.3.0",
}


def installed(*paths: str) -> dict[str, str]:
    return {path: LINKS.get(path, "") for path in paths}


FACTS = Discovered(summary="JSON in C", system="cmake")


def test_programs_alone_are_one_package_that_takes_all() -> None:
    found = propose(
        "hello",
        Discovered(summary="hello is a kind greeting"),
        installed("usr/bin/hello", "usr/share/info/dir", "usr/share/man/man1/hello.1.gz"),
    )
    (package,) = found.packages
    assert (package.name, package.files, package.summary) == ("hello", (), "kind greeting")
    assert (found.programs, found.libraries, found.modules) == (("hello",), (), ())


def test_a_library_is_two_packages() -> None:
    found = propose("json", FACTS, installed(*LIBRARY))
    library, development = found.packages
    assert (library.name, library.files, library.multi_arch) == ("libjson5", ("usr/lib/*/libjson.so.5*",), "same")
    assert (development.name, development.section) == ("libjson-dev", "libdevel")
    assert development.depends == ("libjson5 (= ${binary:Version})",)
    assert development.files == (
        "usr/include", "usr/lib/*/libjson.a", "usr/lib/*/libjson.so", "usr/lib/*/pkgconfig", "usr/share/man/man3",
    )  # fmt: skip
    assert found.not_installed == ("usr/lib/*/*.la",)
    assert found.libraries == ("libjson.so.5",)


def test_programs_beside_a_library_are_a_third_package() -> None:
    found = propose(
        "json", FACTS, installed(*LIBRARY, "usr/bin/json-lint", "usr/bin/json-config", "usr/share/man/man1/json-lint.1")
    )
    tools, _, development = found.packages
    assert (tools.name, tools.files) == ("json-tools", ("usr/bin/json-lint", "usr/share/man/man1"))
    assert "usr/bin/json-config" in development.files
    assert development.multi_arch == ""  # its program is of one CPU
    assert found.programs == ("json-lint",)


def test_debians_names_and_texts_are_taken() -> None:
    binaries = (
        DebianBinary("libjson5t64", "libs", "JSON library", "It reads JSON."),
        DebianBinary("libjson-dev", "libdevel", "JSON headers", "For development."),
        DebianBinary("json-doc", "doc", "JSON documentation"),
        DebianBinary("json-utils", "utils", "JSON programs"),
    )
    facts = Discovered(summary="JSON in C", binaries=binaries)
    found = propose("json", facts, installed(*LIBRARY, "usr/bin/json-lint"))
    assert [package.name for package in found.packages] == ["json-utils", "libjson5t64", "libjson-dev"]
    assert found.packages[1].summary == "JSON library"
    assert found.packages[1].description == "It reads JSON."


def test_a_library_of_a_plain_makefile() -> None:
    paths = {
        "usr/lib/libjson.so": "libjson.so.5", "usr/lib/libjson.so.5": "libjson.so.5.3", "usr/lib/libjson.so.5.3": "",
        "usr/lib/libjson.a": "", "usr/lib/libjson.la": "", "usr/lib/pkgconfig/json.pc": "", "usr/include/json.h": "",
    }  # fmt: skip
    found = propose("json", FACTS, paths)
    library, development = found.packages
    assert (library.name, library.files, library.multi_arch) == ("libjson5", ("usr/lib/libjson.so.5*",), "")
    assert development.files == (
        "usr/include", "usr/lib/libjson.a", "usr/lib/libjson.so", "usr/lib/pkgconfig",
    )  # fmt: skip
    assert (development.multi_arch, found.not_installed) == ("", ("usr/lib/*.la",))


def test_libraries_in_a_private_folder_belong_to_the_programs() -> None:
    (package,) = propose("json", FACTS, installed("usr/bin/json", "usr/lib/json/libplugin.so.1")).packages
    assert (package.name, package.files) == ("json", ())


def test_no_two_packages_have_the_same_name() -> None:
    binaries = (
        DebianBinary("libjson5", "net", "JSON library"),
        DebianBinary("libjson4", "net", "JSON library before"),
        DebianBinary("gir1.2-json", "introspection", "JSON introspection"),
        DebianBinary("libjson-common", "localization", "JSON translations"),
        DebianBinary("json-headers", "libdevel", "JSON headers"),
    )
    facts = Discovered(summary="JSON in C", binaries=binaries)
    found = propose("libjson", facts, installed(*LIBRARY, "usr/bin/json-lint"))
    assert [package.name for package in found.packages] == ["json-tools", "libjson5", "json-headers"]
    facts = Discovered(summary="JSON in C", binaries=(DebianBinary("libjson", "net", "JSON headers"),))
    paths = [path for path in LIBRARY if "/libjson." not in path]
    assert [package.name for package in propose("libjson", facts, installed(*paths, "usr/bin/x")).packages] == [
        "libjson", "libjson-dev",
    ]  # fmt: skip


def test_libraries_whose_names_differ_in_case_are_one_package() -> None:
    folder = "usr/lib/aarch64-linux-gnu"
    paths = [f"{folder}/libGreet.so.5", f"{folder}/libgreet.so.5", "usr/include/json.h"]
    library, development = propose("json", FACTS, installed(*paths)).packages
    assert library.files == ("usr/lib/*/libGreet.so.5*", "usr/lib/*/libgreet.so.5*")
    assert development.depends == ("libgreet5 (= ${binary:Version})",)


def test_a_library_whose_name_ends_in_a_digit_gets_a_hyphen() -> None:
    path = "usr/lib/aarch64-linux-gnu/libusb-1.0.so.0.4"
    found = propose("libusb", FACTS, installed(path, "usr/include/usb.h"), {path: "libusb-1.0.so.0"})
    assert found.packages[0].name == "libusb-1.0-0"
    # ldconfig makes the link after the installation; until then the check has the file alone.
    assert (found.packages[0].files, found.libraries) == (("usr/lib/*/libusb-1.0.so.0*",), ("libusb-1.0.so.0.4",))


def test_python_modules_are_one_package_for_all_cpus_unless_one_is_compiled() -> None:
    path = "usr/lib/python3/dist-packages/"
    facts = Discovered(summary="greets", system="python")
    assert draft("python-greet", facts).name == "python3-greet"
    found = propose(
        "greet", facts, installed(path + "greet/__init__.py", path + "greet/x.py", path + "greet-1.dist-info/METADATA")
    )
    (package,) = found.packages
    assert (package.name, package.architecture, package.section) == ("python3-greet", "all", "python")
    assert found.modules == ("greet",)
    assert draft("greet", Discovered(system="python", pure=False)).architecture == "any"


def test_patterns_name_whole_folders_where_nothing_else_is_in_them() -> None:
    own = ["usr/bin/a", "usr/share/a/x", "usr/share/a/y/z", "etc/a/b.conf"]
    assert patterns(own, []) == ("etc/a", "usr/bin", "usr/share/a")
    assert patterns(own, ["usr/bin/b", "usr/share/a/y/w"]) == ("etc/a", "usr/bin/a", "usr/share/a/x", "usr/share/a/y/z")


def test_a_summary_of_one_word_is_left_to_fill_in() -> None:
    assert draft("json", Discovered(summary="JSON: parser")).summary == "FILL-IN"
    assert draft("json", Discovered(summary="JSON - the parser in C")).summary == "parser in C"
    assert draft("json", Discovered(summary="jsonrpc in C")).summary == "jsonrpc in C"


def test_descriptions_have_no_tab_and_no_leading_full_stop() -> None:
    binary = DebianBinary("json", "utils", "parser in C", "It has\ta tab.\n.NET is not used.")
    assert draft("json", Discovered(binaries=(binary,))).description == "It has  a tab.\nNET is not used."


def test_a_library_with_another_soname_than_debians_has_a_name_of_its_own() -> None:
    binaries = (
        DebianBinary("libjson6", "libs", "JSON library"),
        DebianBinary("libjson-dev", "libdevel", "JSON headers"),
    )
    library = propose("json", Discovered(summary="JSON in C", binaries=binaries), installed(*LIBRARY)).packages[0]
    assert (library.name, library.summary) == ("libjson5", "JSON library")


def test_the_link_that_leads_to_a_library_is_its_soname() -> None:
    folder = "usr/lib/aarch64-linux-gnu"
    paths = {f"{folder}/libini.so.1": "libini.so.58", f"{folder}/libini.so.58": "", "usr/include/ini.h": ""}
    found = propose("ini", FACTS, paths)
    assert (found.packages[0].name, found.libraries) == ("libini1", ("libini.so.1",))
    assert found.packages[0].files == ("usr/lib/*/libini.so.1*", "usr/lib/*/libini.so.58")
    paths = {f"{folder}/libini.so.1.2": "libini.so.1.2.3", f"{folder}/libini.so.1.2.3": "", "usr/include/ini.h": ""}
    assert propose("ini", FACTS, paths).packages[0].name == "libini1.2"


def test_the_soname_inside_the_file_counts() -> None:
    folder = "usr/lib/aarch64-linux-gnu"
    real = f"{folder}/libcmark.so.0.30.2"
    paths = {real: "", f"{folder}/libcmark.so": "libcmark.so.0.30.2", "usr/include/cmark.h": ""}
    found = propose("cmark", FACTS, paths, {real: "libcmark.so.0.30.2"})
    library, development = found.packages
    assert (library.name, library.files) == ("libcmark0.30.2", ("usr/lib/*/libcmark.so.0.30.2*",))
    assert found.libraries == ("libcmark.so.0.30.2",)
    assert development.files == ("usr/include", "usr/lib/*/libcmark.so")
    # Also without DT_SONAME: the loader finds no name but that of the file.
    assert propose("cmark", FACTS, paths).libraries == ("libcmark.so.0.30.2",)


def test_a_library_whose_soname_has_no_version_after_so() -> None:
    folder = "usr/lib/aarch64-linux-gnu"
    real = f"{folder}/libdb-5.3.so"
    paths = {real: "", f"{folder}/libdb.so": "libdb-5.3.so", "usr/include/db.h": ""}
    library, development = propose("db", FACTS, paths, {real: "libdb-5.3.so"}).packages
    assert (library.name, library.files) == ("libdb-5.3", ("usr/lib/*/libdb-5.3.so*",))
    assert development.files == ("usr/include", "usr/lib/*/libdb.so")
    real = f"{folder}/libdb.so.5.3"
    paths = {real: "", f"{folder}/libdb.so": "libdb.so.5.3", "usr/include/db.h": ""}
    found = propose("db", FACTS, paths, {real: "libdb.so"})  # programs ask for the link
    assert (found.packages[0].name, found.packages[0].files) == ("libdb", ("usr/lib/*/libdb.so*",))
    assert found.libraries == ("libdb.so",)


def test_every_link_with_a_version_is_in_the_package_of_its_library() -> None:
    folder = "usr/lib/aarch64-linux-gnu"
    real, link = f"{folder}/libini.so.1.2.3", f"{folder}/libini.so.1"
    paths = {real: "", f"{folder}/libini.so.1.2": "libini.so.1.2.3", link: "libini.so.1.2", "usr/include/ini.h": ""}
    library = propose("ini", FACTS, paths, {real: "libini.so.1.2"}).packages[0]
    assert (library.name, library.files) == ("libini1.2", ("usr/lib/*/libini.so.1", "usr/lib/*/libini.so.1.2*"))


def test_what_the_source_says_of_one_package_is_not_said_of_another() -> None:
    facts = Discovered(summary="JSON in C", description="It is fast.\n\nThis package contains the shared libraries.")
    tools = propose("json", facts, installed(*LIBRARY, "usr/bin/json-lint")).packages[0]
    assert tools.description == "It is fast.\n\nThis package contains the programs."
    (package,) = propose("json", Discovered(summary="JSON in C"), installed("usr/bin/lint", "usr/bin/fmt")).packages
    assert package.description == "This package contains the programs fmt and lint."
