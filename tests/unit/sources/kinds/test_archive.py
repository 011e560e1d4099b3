"""Archives: every packing gives the same tree, and nothing leaves it."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from builders.errors import DiskError, ReefError, SourceError
from builders.sources.tree import TREE_TIME_S, TreeWriter, stamp
from tests.support.git import pointer
from tests.support.sources import Bench, Members, archive, header, link, pack_tar, pack_zip, sha256, write_recipe


def zst(data: bytes) -> bytes:
    """Compress as pzstd does: a frame to skip, then the data in two frames."""
    half = len(data) // 2
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00size"
    return skipped + b"".join(zstandard.ZstdCompressor().compress(part) for part in (data[:half], data[half:]))


MEMBERS = {"top/run.sh": b"#!/bin/sh\n", "top/folder/data.bin": bytes(3_000_000)}
PACKED = {
    "tar": pack_tar(MEMBERS, "w"),
    "gz": pack_tar(MEMBERS, "w:gz"),
    "bz2": pack_tar(MEMBERS, "w:bz2"),
    "xz": pack_tar(MEMBERS, "w:xz"),
    "zst": zst(pack_tar(MEMBERS, "w")),
    "zip": pack_zip(MEMBERS),
}

BZ2 = pack_tar({"noise": os.urandom(2_000_000)}, "w:bz2")


def refused(bench: Bench, data: bytes, **more: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        bench.fetch_archive(data, **more)
    assert bench.nothing_made()
    return caught.value


@pytest.mark.parametrize("kind", PACKED)
def test_every_packing_gives_the_same_tree(bench: Bench, kind: str) -> None:
    tree = bench.fetch_archive(PACKED[kind], strip=1, unpack="third_party/./demo").path
    demo = tree / "third_party" / "demo"
    assert (demo / "run.sh").read_bytes() == b"#!/bin/sh\n"
    assert (demo / "folder/data.bin").stat().st_size == 3_000_000
    modes = {str(p.relative_to(tree)): oct(p.stat().st_mode & 0o7777) for p in tree.rglob("*")}
    assert modes == {
        "third_party": "0o755", "third_party/demo": "0o755", "third_party/demo/folder": "0o755",
        "third_party/demo/run.sh": "0o755", "third_party/demo/folder/data.bin": "0o644",
    }  # fmt: skip
    assert {p.lstat().st_mtime for p in [tree, *tree.rglob("*")]} == {TREE_TIME_S}


def test_order_and_umask_do_not_matter(tmp_path: Path) -> None:
    backwards = pack_tar(dict(reversed(MEMBERS.items())), "w:xz")
    stamps = set()
    for number, (data, umask) in enumerate(((PACKED["gz"], 0o022), (backwards, 0o077), (PACKED["zip"], 0o000))):
        before = os.umask(umask)
        try:
            (tmp_path / str(number)).mkdir(mode=0o755)
            stamps.add(stamp(Bench(tmp_path / str(number)).fetch_archive(data).path))
        finally:
            os.umask(before)
    assert len(stamps) == 1


def test_links_inside_the_tree_are_kept(bench: Bench) -> None:
    data = pack_tar({
        "a/b/file.sh": b"text",
        "a/up": link("a/up", "../a/b/file.sh"),
        "a/dangling": link("a/dangling", "none"),
        "hard": header("hard", tarfile.LNKTYPE, "a/b/file.sh"),
        "a/second": header("a/second", tarfile.LNKTYPE, "a/up"),
    })  # fmt: skip
    tree = bench.fetch_archive(data).path
    assert os.readlink(tree / "a/up") == os.readlink(tree / "a/second") == "../a/b/file.sh"
    assert (tree / "hard").read_text() == "text"
    assert (tree / "hard").stat().st_nlink == 1
    assert (tree / "hard").stat().st_mode & 0o777 == 0o755


OUTSIDE: dict[str, Members] = {
    "parent": {"../evil": b"x"},
    "deep parent": {"a/../../evil": b"x"},
    "absolute": {"/tmp/evil": b"x"},
    "hard link outside": {"h": header("h", tarfile.LNKTYPE, "../../etc/passwd")},
    "absolute hard link": {"h": header("h", tarfile.LNKTYPE, "/etc/passwd")},
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_member_outside_its_folder_is_refused(bench: Bench, case: str) -> None:
    error = refused(bench, pack_tar(OUTSIDE[case]))
    assert error.what == "source 'main' is refused: it would write outside its folder"
    assert "path: " in error.detail
    assert not (bench.workspace.cache.scratch / "evil").exists()


def test_zip_member_outside_its_folder_is_refused(bench: Bench) -> None:
    assert "'../evil'" in refused(bench, pack_zip({"../evil": b"x"})).detail


LEADING_OUT: dict[str, Members] = {
    "absolute": {"l": link("l", "/etc/passwd")},
    "parent": {"a/l": link("a/l", "../../x")},
    "over another link": {"a/b/c/f": b"", "a/b/c/d": link("a/b/c/d", "../../.."), "l": link("l", "a/b/c/d/../x")},
    "hard link to a link": {"a/l": link("a/l", "../f"), "h": header("h", tarfile.LNKTYPE, "a/l")},
}


@pytest.mark.parametrize("case", LEADING_OUT)
def test_link_out_of_the_tree_is_refused(bench: Bench, case: str) -> None:
    error = refused(bench, pack_tar({"f": b"x", **LEADING_OUT[case]}))
    assert error.what == "source 'main' is refused: a symbolic link leads out of the tree"
    assert " -> " in error.detail


def test_zip_link_out_of_the_tree_is_refused(bench: Bench) -> None:
    assert "'l' -> '/etc'" in refused(bench, pack_zip({"f": b"x"}, {"l": "/etc"})).detail


def test_nothing_is_written_through_a_link(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    error = refused(bench, pack_tar({"d": link("d", str(tmp_path / "victim")), "d/evil": b"x"}))
    assert "a folder and a file have the same path" in error.what
    assert list((tmp_path / "victim").iterdir()) == []


def test_link_is_replaced_by_the_file_of_its_name(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("safe")
    members: Members = {"l": link("l", str(tmp_path / "victim")), "./l": b"mine"}
    assert (bench.fetch_archive(pack_tar(members)).path / "l").read_bytes() == b"mine"
    assert (tmp_path / "victim").read_text() == "safe"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(bench: Bench, kind: bytes) -> None:
    error = refused(bench, pack_tar({"f": b"x", "dev/thing": header("dev/thing", kind)}))
    assert "a device or a pipe" in error.what
    assert "'dev/thing'" in error.detail


def test_hard_link_to_nothing_is_refused(bench: Bench) -> None:
    error = refused(bench, pack_tar({"h": header("h", tarfile.LNKTYPE, "gone")}))
    assert error.detail == "'h' is a hard link to 'gone'"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no archive" * 100, "neither a tar nor a zip archive"),
        (b"\n <!DOCTYPE html>" * 100, "a web page or XML"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(2000), "a 7z archive"),
        (b"LZIP" + bytes(2000), "an lzip archive"),
        (pointer(b"x").encode(), "a Git LFS pointer"),
        (PACKED["zst"][:200], "ended before"),
        (b"", "neither a tar nor a zip archive"),
        (PACKED["gz"][:2000], "ended before"),
        (PACKED["xz"][:300], "ended before"),
        (BZ2[: len(BZ2) // 2] + bytes(999) + BZ2[len(BZ2) // 2 + 999 :], "Invalid data stream"),
        (PACKED["zip"][:-40], "not a zip file"),
    ],
    ids=["text", "html", "7z", "lzip", "pointer", "cut zst", "empty", "cut gz", "cut xz", "broken bz2", "cut zip"],
)
def test_broken_archive_is_refused(bench: Bench, data: bytes, said: str) -> None:
    error = refused(bench, data)
    assert error.what == "source 'main' cannot be unpacked"
    assert said in error.detail
    assert "tar (plain, gz, bz2, xz, zst) or zip" in error.fix


def test_tar_that_ends_in_a_zip_is_a_tar(bench: Bench) -> None:
    tree = bench.fetch_archive(pack_tar({"a": b"1", "z.zip": pack_zip({"inner": b"x"})}, "w")).path
    assert sorted(p.name for p in tree.iterdir()) == ["a", "z.zip"]


def test_strip_that_leaves_nothing_is_refused(bench: Bench) -> None:
    error = refused(bench, PACKED["gz"], strip=3)
    assert "no member remains after strip: 3" in error.detail


def test_unpack_folder_outside_the_tree_is_refused(bench: Bench) -> None:
    with pytest.raises(ReefError, match="unpack"):
        bench.fetch_archive(PACKED["gz"], unpack="../elsewhere")
    assert bench.nothing_made()


def test_later_sources_lie_on_top(bench: Bench) -> None:
    sources = []
    for name, content in (("base", {"a": b"1", "b": b"1"}), ("over", {"b": b"2"})):
        data = pack_tar(content)
        (bench.folder / name).write_bytes(data)
        sources.append(archive(f"file://{bench.folder / name}", sha256=sha256(data), name=name))
    tree = bench.fetch(write_recipe(bench.folder, sources)).path
    assert ((tree / "a").read_bytes(), (tree / "b").read_bytes()) == (b"1", b"2")


def test_file_in_the_place_of_a_folder_is_refused(bench: Bench) -> None:
    error = refused(bench, pack_tar({"a/b": b"x", "a": b"y"}))
    assert error.detail == "path: 'a'"
    assert "unpack: in the recipe" in error.fix


def test_disk_that_fills_up_while_unpacking_is_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr(TreeWriter, "file", full)
    with pytest.raises(DiskError, match="no space left on the disk of /somewhere"):
        bench.fetch_archive(PACKED["gz"])
    assert bench.nothing_made()


EXCLUDE = [{"path": "a", "reason": "not needed"}]


@pytest.mark.parametrize(
    "member",
    [link("a", "/etc/passwd"), link("a/b", "../../x"), header("a", tarfile.CHRTYPE), header("a/b", tarfile.FIFOTYPE)],
    ids=["absolute link", "link out", "device", "pipe"],
)
def test_member_can_be_left_out(bench: Bench, member: tarfile.TarInfo) -> None:
    tree = bench.fetch_archive(pack_tar({"f": b"x", member.name: member}), exclude=EXCLUDE).path
    assert [path.name for path in tree.iterdir()] == ["f"]


def test_refusal_of_a_link_names_them_all_and_the_way_out(bench: Bench) -> None:
    error = refused(bench, pack_tar({"f": b"x", "l": link("l", "/etc"), "m": link("m", "../..")}))
    assert error.detail == "'l' -> '/etc'\n'm' -> '../..'"
    assert "exclude:" in error.fix


def test_patterns_of_what_is_left_out(bench: Bench) -> None:
    names = ["a.x", "a.y", "d/a.x", "d/e/a.x", "d/e/b", "dd/b", "[1].z", "1.z"]
    patterns = ["*.x", "d/**/*.x", "./d?/", "[1].z", "none"]
    exclude = [{"path": pattern, "reason": "r"} for pattern in patterns]
    tree = bench.fetch_archive(pack_tar({f"top/{name}": b"" for name in names}), strip=1, exclude=exclude).path
    assert sorted(str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()) == ["1.z", "a.y", "d/e/b"]
    assert "source 'main': exclude: matches nothing: none" in bench.said.getvalue()


def test_hard_link_to_what_is_left_out_is_refused(bench: Bench) -> None:
    error = refused(bench, pack_tar({"a": b"x", "h": header("h", tarfile.LNKTYPE, "a")}), exclude=EXCLUDE)
    assert error.detail == "'h' is a hard link to 'a'"
    assert "exclude:" in error.fix


def test_files_that_strip_leaves_out_are_named(bench: Bench) -> None:
    bench.fetch_archive(pack_tar({"package.xml": b"", "top/f": b"", "./README": b""}), strip=1)
    said = bench.said.getvalue()
    assert "source 'main': strip: 1 leaves out files at the archive's top: 'package.xml', './README'" in said


def zip_of(*names: str, system: int = 0) -> bytes:
    """Pack a zip with these names, each of which is its file's content, as a system's programs do."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            member = zipfile.ZipInfo(name)
            member.create_system = system
            archive.writestr(member, name)
    return packed.getvalue()


def test_backslashes_of_windows_separate_folders(bench: Bench) -> None:
    data = zip_of("top\\sub\\", "top\\sub\\a.c", "top\\b.c")
    tree = bench.fetch_archive(data, strip=1).path
    assert sorted(str(p.relative_to(tree)) for p in tree.rglob("*")) == ["b.c", "sub", "sub/a.c"]
    assert "have \\ between folders" in bench.said.getvalue()


def test_mixed_separators(bench: Bench) -> None:
    assert (bench.fetch_archive(zip_of("top/sub\\a.c", "top/b")).path / "top/sub/a.c").is_file()


def test_backslash_in_a_name_of_unix_stays(bench: Bench) -> None:
    assert (bench.fetch_archive(zip_of("top/sub\\a.c", "top/b", system=3)).path / "top/sub\\a.c").is_file()


@pytest.mark.parametrize("name", ["..\\evil", "C:\\evil", "\\evil", "/evil"])
def test_windows_path_outside_is_refused(bench: Bench, name: str) -> None:
    assert "it would write outside its folder" in refused(bench, zip_of(name)).what


def test_name_in_a_zip_without_the_flag_of_utf8(bench: Bench) -> None:
    data = bytearray(zip_of("ä", system=3))
    for flags in (6, data.index(b"PK\x01\x02") + 8):
        assert data[flags : flags + 2] == b"\x00\x08"
        data[flags : flags + 2] = b"\0\0"
    assert (bench.fetch_archive(bytes(data)).path / "ä").read_text() == "ä"


def test_odd_members_of_a_tar(bench: Bench) -> None:
    """Read long names, names that are not UTF-8, a label, and names that differ in case only."""
    long = "/".join(["n" * 90] * 5)
    label = header("label", b"V")
    members: Members = {"V": label, long: b"1", "b\udcff": b"2", "Case": b"3", "case": b"4"}
    tree = bench.fetch_archive(pack_tar(members, "w")).path
    assert (tree / long).read_bytes() == b"1"
    assert (tree / os.fsdecode(b"b\xff")).read_bytes() == b"2"
    assert ((tree / "Case").read_bytes(), (tree / "case").read_bytes()) == (b"3", b"4")
    assert not (tree / "label").exists()


@pytest.mark.parametrize("name", ["n" * 300, "d/" * 1500 + "f"], ids=["long", "deep"])
def test_name_that_no_disk_takes_is_refused(bench: Bench, name: str) -> None:
    error = refused(bench, pack_tar({"f": b"", name: b""}))
    assert error.what == "source 'main' contains a path that is too long"
