"""The plan for a board's models: what is sent, what steps aside, what is told."""

import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts, VersionPolicy
from builders.boards.inventory import Board
from builders.boards.inventory.keys import BoardKeys
from builders.boards.rollout.models import Archives, PlannedModel, model_lines, model_notes, models_asked, plan_models

BASE = "/var/lib/edge-model-server/models/digits"
ROOMY = "1000000 - /"


def board(folder: Path, *numbers: int) -> Board:
    for number in numbers:
        (folder / "digits" / str(number)).mkdir(parents=True)
        (folder / "digits" / str(number) / "model.tflite").write_text(str(number))
    return Board("a", (), BoardKeys(reef_models={"digits": "digits"}), folder)


def facts(
    found: Board, there: Mapping[int, str], policy: str = "latest 1", known: str = "yes", disk: str = ROOMY
) -> BoardFacts:
    """Return facts of a board with versions of these owners."""
    here = found.models["digits"]
    lines = [
        f"{number} {here[number].digest if number in here and owner != 'damaged' else 'f00'} "
        f"{'other' if owner == 'other' else 'reef'}"
        for number, owner in there.items()
    ]
    return BoardFacts(
        {
            "model_folder": [f"digits {known} {BASE}"], "model_policy:digits": [policy], "model_version:digits": lines,
            "disk_model:digits": [disk], "model_server": ["edge-model-server"],
        }, 0, 0,
    )  # fmt: skip


def planned(found: Board, answer: BoardFacts) -> PlannedModel:
    (model,) = plan_models(found, answer, [])
    return model


@pytest.mark.parametrize(
    ("policy", "there", "expected"),
    [
        ("latest 1", {}, ("model digits - -> 4", [4], [])),
        ("latest 1", {3: "reef"}, ("model digits 3 -> 4", [4], [])),
        ("latest 1", {3: "reef", 4: "reef"}, ("model digits 4", [], [])),
        ("latest 2", {3: "reef"}, ("model digits 3 -> 3 4", [4], [])),
        ("all", {1: "reef"}, ("model digits 1 -> 3 4", [3, 4], [1])),
        ("specific 3", {3: "reef"}, ("model digits 3", [], [])),
        ("specific 3 4", {3: "reef"}, ("model digits 3 -> 3 4", [4], [])),
        ("latest 1", {9: "reef"}, ("model digits 9 -> 4", [4], [9])),
        ("latest 1", {9: "other"}, ("model digits 9", [], [])),
        ("latest 1", {3: "damaged"}, ("model digits 3 -> 4", [4], [])),
    ],
)
def test_plan(tmp_path: Path, policy: str, there: dict[int, str], expected: tuple[str, list[int], list[int]]) -> None:
    found = board(tmp_path, 3, 4)
    model = planned(found, facts(found, there, policy))
    assert (str(model), [version.number for version in model.sent], list(model.left)) == expected
    assert model.changes == (" -> " in str(model))


def test_a_model_that_the_server_does_not_know_is_registered(tmp_path: Path) -> None:
    found = board(tmp_path, 4)
    model = planned(found, facts(found, {4: "reef"}, known="no"))
    assert (model.before, model.after, model.sent, model.changes) == ((), (4,), (), True)
    assert model_lines([model]).splitlines() == [f"serve digits 4 - {BASE}", f"register digits 0 - {BASE}"]


def test_lines_for_the_script(tmp_path: Path) -> None:
    found = board(tmp_path, 4)
    digest = found.models["digits"][4].digest
    assert model_lines([planned(found, facts(found, {3: "reef"}))]).splitlines() == [
        f"place digits 4 {digest} {BASE}", f"serve digits 4 - {BASE}", f"served digits 3 - {BASE}",
    ]  # fmt: skip
    assert models_asked(found) == "digits:4"


def test_another_content_under_the_same_number_is_refused(tmp_path: Path) -> None:
    found = board(tmp_path, 4)
    with pytest.raises(BoardError, match="model digits 4 is another on it") as caught:
        planned(found, facts(found, {4: "damaged"}))
    assert "a number of its own" in caught.value.fix


@pytest.mark.parametrize(("disk", "words"), [("50000 - /", "MB are free on /"), ("1000000 2000 /", "2000 inodes")])
def test_a_full_disk_is_seen_before(tmp_path: Path, disk: str, words: str) -> None:
    found = board(tmp_path, 4)
    (tmp_path / "digits/4/weights").write_bytes(b"x" * 2_000_000)
    with pytest.raises(BoardError, match="no room for its models") as caught:
        planned(found, facts(found, {}, disk=disk))
    assert words in caught.value.detail
    assert planned(found, facts(found, {4: "reef"}, disk=disk)).sent == ()


def test_a_board_without_a_server(tmp_path: Path) -> None:
    found, nothing = board(tmp_path, 4), BoardFacts({}, 0, 0)
    with pytest.raises(BoardError, match="it has no model server for digits"):
        plan_models(found, nothing, ["demo"])
    assert plan_models(found, nothing, ["edge-model-server"])[0].after == (4,)


def test_frozen_models_stay_and_must_be_served(tmp_path: Path) -> None:
    found = board(tmp_path, 4)
    (model,) = plan_models(found, facts(found, {3: "reef"}), [], frozen=True)
    assert (model.before, model.after, model.changes) == ((3,), (3,), False)


def test_drift_is_told(tmp_path: Path) -> None:
    found = board(tmp_path, 4)

    def notes(there: dict[int, str], policy: str = "latest 1") -> str:
        answer = facts(found, there, policy)
        return "\n".join(map(str, model_notes(found, answer, plan_models(found, answer, []))))

    assert "model digits 9 on it is not from digits" in notes({9: "other"})
    assert "model digits 4 is not served: its policy there is specific 3" in notes({3: "reef"}, "specific 3")
    assert notes({4: "reef"}) == ""
    other = Board("a", (), BoardKeys(), tmp_path)
    assert "not in boards.yml" in str(next(model_notes(other, facts(found, {4: "reef"}), ())))


def test_an_archive_is_made_once_and_readable_for_all(tmp_path: Path) -> None:
    found = board(tmp_path, 4)
    (tmp_path / "digits/4/model.tflite").chmod(0o600)
    (tmp_path / "archives").mkdir()
    archives, model = Archives(tmp_path / "archives"), planned(found, facts(found, {}))
    path = archives.of([model], "S")
    assert path
    with tarfile.open(path) as archive:
        (member,) = archive.getmembers()
    assert member.name == f"{BASE[1:]}/.reef/S/new/4/model.tflite"
    assert (member.mode, member.uid, member.gid) == (0o644, 0, 0)
    assert archives.of([model], "S") == path
    assert archives.of([planned(found, facts(found, {4: "reef"}))], "S") is None


def test_policies() -> None:
    assert VersionPolicy().chosen([3, 10, 2]) == (10,)
    assert VersionPolicy("latest", (0,)).chosen([3, 10]) == (10,)
    assert VersionPolicy("specific", (1, 3)).chosen([3, 10]) == (3,)
    assert VersionPolicy("all", ()).chosen([]) == ()
