"""The front and what it leans on: schemas, host needs, binfmt, sizes."""

import json
import re
from pathlib import Path

import pytest

from builders.cli import maintenance
from builders.engines.roots import binfmt
from builders.errors import HostError
from builders.host.log import size
from builders.model.arch import ARM64, ARMHF
from builders.model.schema import json_schema, key_texts
from builders.model.settings import Folder
from tests.support.checkout import CHECKOUT

AARCH64 = "7f454c460201010000000000000000000200b700"


@pytest.mark.parametrize("name", list(maintenance.SCHEMAS))
def test_the_committed_schemas_are_current(name: str) -> None:
    committed = json.loads((CHECKOUT / "recipes" / f"{name}.schema.json").read_text())
    assert committed == maintenance.schema_of(name), "run: ./inv schema"


def test_the_schema_of_a_recipe_knows_both_kinds() -> None:
    schema = maintenance.schema_of("recipe")
    assert schema["if"] == {"required": ["prebuilt"]}
    required = {word: schema["$defs"][schema[word]["$ref"].rsplit("/", 1)[-1]]["required"] for word in ("then", "else")}
    assert required["then"] == ["name", "summary", "targets", "prebuilt"]
    assert "changelog" in required["else"]


def test_editors_show_the_docstrings_of_keys() -> None:
    assert key_texts(Folder)["path"] == "The folder, absolute or relative to reef.yml; created if missing."
    folder = json_schema(maintenance.SCHEMAS["reef"])["$defs"]["Folder"]["properties"]
    assert folder["path"]["description"] == key_texts(Folder)["path"]
    assert folder["name"]["description"] == key_texts(Folder)["name"], "docstrings of a base are the model's too"


def test_files_name_their_schema_to_editors() -> None:
    for path in [CHECKOUT / "reef.yml", *(CHECKOUT / "recipes").glob("*/*.yml")]:
        [schema] = re.findall(r"^# yaml-language-server: \$schema=(.*)$", path.read_text(), re.MULTILINE)
        assert (path.parent / schema).resolve() == CHECKOUT / "recipes" / f"{path.stem}.schema.json"


def test_schemas_are_written_where_the_projects_recipes_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reef.yml").write_text("recipes: mine\n")
    monkeypatch.setenv("REEF_FOLDER", str(tmp_path))
    maintenance.write_schema()
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {
        f"{name}.schema.json" for name in maintenance.SCHEMAS
    }


def entry(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "status").write_text("enabled\n")
    (folder / "qemu").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"enabled\ninterpreter /q\nflags: PF\noffset 0\nmagic {AARCH64}\nmask ff\n", "qemu"),
        (f"enabled\ninterpreter /q\nflags: P\noffset 0\nmagic {AARCH64}\nmask ff\n", None),
        (f"disabled\ninterpreter /q\nflags: F\noffset 0\nmagic {AARCH64}\nmask ff\n", None),
        ("enabled\ninterpreter /q\nflags: F\nextension .jar\n", None),
    ],
)
def test_only_an_enabled_emulator_that_works_in_roots_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: str | None
) -> None:
    monkeypatch.setattr(binfmt, "MISC", entry(tmp_path / "misc", text))
    assert binfmt.registered(ARM64) == found
    assert binfmt.registered(ARMHF) is None
    monkeypatch.setattr(binfmt, "MISC", tmp_path / "absent")
    assert binfmt.registered(ARM64) is None


def test_registering_needs_root_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(binfmt, "MISC", tmp_path)
    monkeypatch.setattr("builders.host.process.find", lambda _name: "/usr/bin/qemu-aarch64-static")
    with pytest.raises(HostError, match="the kernel does not run arm64 programs") as caught:
        binfmt.ensure(ARM64)
    assert "sudo ./inv doctor --fix" in caught.value.fix
    monkeypatch.setattr("builders.host.process.find", lambda _name: None)
    with pytest.raises(HostError, match="no QEMU user emulator for arm64"):
        binfmt.ensure(ARM64)


def test_a_registration_is_what_the_kernel_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("builders.host.process.find", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(binfmt, "MISC", tmp_path)
    (tmp_path / "register").write_bytes(b"")
    binfmt.ensure(ARM64)
    fields = (tmp_path / "register").read_text().split(":")
    assert fields[1:4] == ["reef-qemu-aarch64", "M", ""]
    assert fields[4].replace("\\x", "") == AARCH64
    assert fields[6:] == ["/usr/bin/qemu-aarch64-static", "F"]


def test_sizes_are_for_people() -> None:
    assert [size(n) for n in (5, 1500, 2_300_000, 7_000_000_000)] == ["5 B", "1.5 kB", "2.3 MB", "7.0 GB"]
