"""The texts that clients read: golden files, with dpkg-scanpackages as the judge of entries."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from builders.apt.indices import release
from builders.apt.indices.entry import IndexEntry, ordered, parse
from builders.apt.indices.kinds import Packages
from builders.apt.publish import suite
from builders.apt.repository import layout, sources_file
from builders.apt.repository.publication import digest_of
from builders.errors import PublishError
from builders.model.packages import SOURCE
from builders.model.settings import RepositorySettings, Settings
from tests.support.golden import compare_with_golden
from tests.support.repository import DATE


class NoFiles:
    """Stands for the files of .debs, which no index of packages asks for."""

    def of(self, entries: Sequence[IndexEntry]) -> Iterator[bytes]:  # noqa: ARG002 - the protocol has it
        raise AssertionError("it asked for files")

    def ordered(self, lines: Iterable[bytes]) -> Iterator[bytes]:  # noqa: ARG002 - the protocol has it
        raise AssertionError("it asked for files")


def test_release_text() -> None:
    settings = Settings(repository=RepositorySettings(origin="Lab", label="Lab boards"))
    entries = [
        IndexEntry(name, "1", "arm64", f"pool/{component}/r/reef/{name}_1_arm64.deb", 1, "0" * 64, f"{name}\n".encode())
        for name, component in (("reef-tool", "main"), ("reef-tool-dbgsym", "debug"))
    ]
    new = suite.next_suite(settings, "trixie", None, entries, date=DATE)
    indices = [index for index in new.indices() if index.path.endswith("Packages")]
    contents = {one.path: b"".join(text for _, text in one.whole(new.entries, NoFiles())) for one in indices}
    text = new.release({path: digest_of(content) for path, content in contents.items()})
    compare_with_golden("apt/Release", text.decode())


def test_sources_text() -> None:
    settings = Settings(repository=RepositorySettings(label="Lab boards", url="https://apt.example.org/lab"))
    assert sources_file.sources_name(settings, "trixie") == "lab-boards-trixie.sources"
    compare_with_golden(
        "apt/lab-boards-trixie.sources",
        sources_file.sources_text(settings, Path("/srv/apt"), "trixie", ("arm64", "armhf")),
    )
    at_home = sources_file.sources_text(Settings(), Path("/srv/my apt"), "trixie", ("arm64",))
    assert "URIs: file:///srv/my%20apt\n" in at_home


@pytest.mark.parametrize("url", ["no url", "https://a b", "https://a\nSigned-By: x", "https://\u00e4.example", ""])
def test_url_must_be_one(url: str) -> None:
    with pytest.raises(ValidationError, match="not a URL for apt"):
        RepositorySettings(url=url)


@pytest.mark.parametrize(
    ("package", "source", "version", "place"),
    [
        ("libtensorflow-lite2.14.1", "tensorflow-lite", "2.14.1-1~deb13", "t/tensorflow-lite"),
        ("libedgetpu1", "libedgetpu", "1:16.0-1", "libe/libedgetpu"),
        ("lib", "lib", "1", "l/lib"),
        ("g++-x", "g++-x (3)", "1", "g/g++-x"),
    ],
)
def test_pool_path(package: str, source: str, version: str, place: str) -> None:
    fields = {"Package": package, "Source": source, "Version": version, "Architecture": "arm64"}
    file = f"{package}_{version.rpartition(':')[2]}_arm64.deb"
    assert layout.pool_path(fields, "main", "x.deb") == f"pool/main/{place}/{file}"


@pytest.mark.parametrize(
    ("version", "source", "path"),
    [
        ("1.0-1", "", "pool/main/r/reef-demo/reef-demo_1.0-1.changelog"),
        ("2:1.0+b1", "Source: reef-demo (2:1.0)\n", "pool/main/r/reef-demo/reef-demo_1.0.changelog"),
        ("1~rc1+x", "Source: reef\n", "pool/main/r/reef-demo/reef_1~rc1+x.changelog"),
        ("1", "Source: reef (../x)\n", ""),
        (f"1.{'0' * 300}", "", ""),
    ],
)
def test_changelogs_are_called_as_apt_asks_for_them(version: str, source: str, path: str) -> None:
    """As pkgAcqChangelog::URI does (apt-pkg/acquire-item.cc): without epoch and without a rebuild's number."""
    stanza = f"Package: reef-demo\n{source}Version: {version}\n".encode()
    file = "pool/main/r/reef-demo/reef-demo_x_arm64.deb"
    assert IndexEntry("reef-demo", version, "arm64", file, 5, "a" * 64, stanza).changelog == path
    assert IndexEntry("reef-demo", version, SOURCE, file, 5, "a" * 64, stanza).changelog == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"Package": "../evil"},
        {"Package": "UPPER"},
        {"Package": "a b"},
        {"Source": "../../etc"},
        {"Source": "..", "Package": "ok-name"},
        {"Version": "1/../../x"},
        {"Version": ""},
        {"Version": "1\n2"},
        {"Architecture": "arm64/../x"},
    ],
)
def test_unsafe_names_are_refused(wrong: dict[str, str]) -> None:
    fields = {"Package": "reef-demo", "Version": "1", "Architecture": "arm64", **wrong}
    with pytest.raises(PublishError, match="unsafe"):
        layout.pool_path(fields, "main", "x.deb")


def test_index_is_read_as_it_was_written() -> None:
    names = ["1:1.0", "1.10-1", "1.9-1", "1.9~rc1-1"]
    entries = [
        IndexEntry("reef-demo", v, "all", f"pool/main/r/reef/reef-demo_{i}_all.deb", 5, "a" * 64,
              f"Package: reef-demo\nVersion: {v}\nArchitecture: all\nFilename: pool/main/r/reef/reef-demo_{i}_all.deb\n"
              f"Size: 5\nSHA256: {'a' * 64}\n".encode())
        for i, v in enumerate(names)
    ]  # fmt: skip
    in_order = ordered(entries)
    assert [entry.version for entry in in_order] == ["1.9~rc1-1", "1.9-1", "1.10-1", "1:1.0"]
    named = Packages("main", "armhf").whole(in_order, NoFiles())
    assert list(parse(b"".join(text for _, text in named), "x")) == in_order


@pytest.mark.parametrize(
    "filename", ["pool/../../etc/passwd.deb", "/pool/main/a.deb", "dists/a.deb", "pool/main/a", "pool/.a/b.deb"]
)
def test_index_paths_stay_in_the_pool(filename: str) -> None:
    text = f"Package: aa\nVersion: 1\nArchitecture: all\nFilename: {filename}\nSize: 1\nSHA256: {'a' * 64}\n"
    with pytest.raises(PublishError, match="unsafe path"):
        list(parse(text.encode(), "Packages"))


def test_release_is_read_as_it_was_written() -> None:
    fields = release.release_fields(
        origin="O", label="L", suite="trixie", date=DATE, architectures=["arm64"], components=["main"]
    )
    written = release.Release(fields, {"main/binary-arm64/Packages": digest_of(b"x")})
    read = release.parse_release(written.render(), "Release")
    assert (dict(read.fields), dict(read.files)) == (fields, dict(written.files))
    assert read.date == DATE


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"nonsense\n", "not a line"),
        (b"Suite: x\n", "the field Date is missing"),
        (b"Suite: x\nDate: never\nArchitectures: a\nComponents: b\nSHA256:\n", "not a date"),
        (b"Suite: x\n " + b"a" * 64 + b" 1 ../x\n", "not a line"),
    ],
)
def test_release_that_is_none(content: bytes, told: str) -> None:
    with pytest.raises(PublishError, match=told):
        release.parse_release(content, "Release")


@pytest.mark.parametrize("origin", ["", "a\nb", "  "])
def test_origin_must_be_a_line(origin: str) -> None:
    with pytest.raises(PublishError, match="origin"):
        release.release_fields(origin=origin, label="L", suite="s", date=0, architectures=[], components=[])
