"""The plan is pure: build targets with their records in, actions with reasons out."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from builders.deb import plan_job
from builders.host.files import document_digest, sha256_of
from builders.model.arch import AMD64
from builders.model.jobs import StepRecord
from builders.model.packages import SOURCE, DebFile, SourcePackage
from builders.model.recipe import load_recipe
from builders.model.source_tree import FetchedSource
from builders.model.target import parse_target
from builders.pipeline.planning.plan import BuildTarget, Difference, differences, plan
from builders.pipeline.planning.records import RECORD, Record, read_record, write_record
from builders.pipeline.reproduce import compare_sources
from tests.support.checkout import HELLO

MINIATURE = load_recipe(HELLO)
DOCUMENT: dict[str, Any] = {
    "sources": {"tensorflow": {"sha256": "aa"}},
    "debian": {"rules": "1", "control": "2"},
    "root": {"packages": ["a", "b"]},
}


def build_target(document: dict[str, Any], record: Record | None = None) -> BuildTarget:
    job = plan_job(MINIATURE, parse_target("trixie/arm64"), strategy="cross", machine=AMD64, debian={})
    return BuildTarget(job, document, record)


def record(folder: Path, document: dict[str, Any]) -> Record:
    path = folder / "x_1_arm64.deb"
    path.write_bytes(b"deb")
    debs = (DebFile("x", "1", "arm64", 3, sha256_of(path), path),)
    return Record(
        document,
        debs,
        (FetchedSource("s", "archive", "u", "sha256:aa"),),
        (StepRecord("run", 2.0, 5),),
        (1, 2),
        "chroot",
        ("libc6:arm64=2.41-12",),
    )


def reasons(before: dict[str, Any], after: dict[str, Any], tmp_path: Path) -> tuple[str, ...]:
    [action] = plan([build_target(after, record(tmp_path, before))])
    assert (action.action == "keep") == (action.reasons == ("up to date",))
    return action.reasons


def test_never_built() -> None:
    [action] = plan([build_target(DOCUMENT)])
    assert (action.action, action.reasons) == ("build", ("never built",))


def test_up_to_date_unless_forced(tmp_path: Path) -> None:
    assert reasons(DOCUMENT, DOCUMENT, tmp_path) == ("up to date",)
    [action] = plan([build_target(DOCUMENT, record(tmp_path, DOCUMENT))], force=True)
    assert (action.action, action.forced) == ("build", True)


def test_each_change_has_its_reason(tmp_path: Path) -> None:
    changed = DOCUMENT | {"sources": {"tensorflow": {"sha256": "bb"}}, "debian": {"rules": "9", "control": "2"}}
    assert reasons(DOCUMENT, changed, tmp_path) == (
        "packaging changed (rules)",
        "source digest changed (tensorflow.sha256)",
    )
    assert reasons(DOCUMENT, DOCUMENT | {"root": {"packages": ["a"]}}, tmp_path) == ("build root changed",)
    assert reasons(DOCUMENT, DOCUMENT | {"new": 1}, tmp_path) == ("new changed",)


def test_differences_name_paths_and_values() -> None:
    assert differences({"a": {"b": 1, "c": [1]}}, {"a": {"b": 2, "c": [1]}, "d": 3}) == [
        Difference("a.b", 1, 2),
        Difference("d", None, 3),
    ]
    assert differences({"a": (1, 2)}, {"a": [1, 2]}) == []


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    one = record(tmp_path, DOCUMENT)
    write_record(tmp_path, one)
    assert read_record(tmp_path) == one


def test_a_record_is_as_absent_when_anything_under_it_changed(tmp_path: Path) -> None:
    one = record(tmp_path, DOCUMENT)
    assert read_record(tmp_path) is None
    write_record(tmp_path, one)
    document = (tmp_path / RECORD).read_text()
    for broken in (document[:-20], "[]", json.dumps(json.loads(document) | {"format": 0})):
        (tmp_path / RECORD).write_text(broken)
        assert read_record(tmp_path) is None
    (tmp_path / RECORD).write_text(document)
    assert read_record(tmp_path) == one
    one.debs[0].path.write_bytes(b"dex")
    assert read_record(tmp_path) is None
    one.debs[0].path.unlink()
    assert read_record(tmp_path) is None


def test_a_source_package_is_recorded_with_all_its_files(tmp_path: Path) -> None:
    one = record(tmp_path, DOCUMENT)
    write_record(tmp_path, one)
    assert "source" not in json.loads((tmp_path / RECORD).read_text()), "as records were before"
    names = ("x_1.dsc", "x_1.orig.tar.gz", "x_1-1.debian.tar.gz")
    for name in names:
        (tmp_path / name).write_text(name)
    dsc, *parts = (
        DebFile("x", "1-1", SOURCE, path.stat().st_size, sha256_of(path), path)
        for path in (tmp_path / name for name in names)
    )
    kept = replace(one, source=SourcePackage(dsc, tuple(parts)))
    write_record(tmp_path, kept)
    assert read_record(tmp_path) == kept
    assert kept.published == (*one.debs, dsc)
    (tmp_path / names[1]).write_text("X_1.orig.tar.gz")
    assert read_record(tmp_path) is None
    (tmp_path / names[1]).unlink()
    assert read_record(tmp_path) is None


def test_sources_of_two_builds_are_compared_by_file(tmp_path: Path) -> None:
    def source(**content: str) -> SourcePackage:
        files = [DebFile("x", "1", SOURCE, 1, digest, tmp_path / name) for name, digest in content.items()]
        return SourcePackage(files[0], tuple(files[1:]))

    assert compare_sources(None, None) == []
    assert compare_sources(source(a="1", b="2"), source(a="1", b="2")) == []
    assert compare_sources(source(a="1", b="2"), source(a="1", c="3")) == [
        "b: sha256 2 and absent", "c: sha256 absent and 3",
    ]  # fmt: skip
    assert compare_sources(source(a="1"), None) == ["a: sha256 1 and absent"]


def test_digest_ignores_the_order_of_keys() -> None:
    assert document_digest({"a": 1, "b": 2}) == document_digest({"b": 2, "a": 1})
    assert document_digest({"a": 1}) != document_digest({"a": 2})


def test_a_deb_whose_time_alone_changed_is_the_one_that_was_built(tmp_path: Path) -> None:
    made = record(tmp_path, DOCUMENT)
    write_record(tmp_path, made)
    [deb] = made.debs
    recorded = deb.path.stat().st_mtime_ns
    os.utime(deb.path, ns=(1, 1))
    assert read_record(tmp_path) == made
    assert deb.path.stat().st_mtime_ns == recorded
    deb.path.write_bytes(b"bed")
    assert read_record(tmp_path) is None
