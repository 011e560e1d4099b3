"""The script of models on boards, run by this machine's shell: digests, configurations, and an end at every moment."""

import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.boards.facts import BoardFacts, models_on
from builders.boards.model_folder import model_versions
from builders.boards.scripts import FOLDER, script
from tests.support.fake_model_server import answering

EMPTY = "# models\nmodel_config_list {\n}\n"
KILL = """
step() {
    count=$(($(cat "$counter") + 1))
    echo "$count" >"$counter"
    [ "$count" -ne "$deadly" ] || kill -9 $$
}
mv() { step; command mv "$@"; step; }
cp() { step; command cp "$@"; }
rm() { step; command rm "$@"; }
"""
"""The power fails before or after a change of a file."""


@dataclass
class Board:
    """A board's files in a folder: receipts, configuration, models."""

    folder: Path

    def __post_init__(self) -> None:
        for path in (self.base, self.folder / "receipts" / "S"):
            path.mkdir(parents=True)
        self.config.write_text(EMPTY)

    @property
    def base(self) -> Path:
        return self.folder / "srv" / "digits"

    @property
    def config(self) -> Path:
        return self.folder / "models.config"

    def end(self, commands: str, deadly: int = 0, models: str = "") -> "subprocess.CompletedProcess[str]":
        """Run commands after the scripts' functions; the power fails at the ``deadly``-th change of a file."""
        (self.folder / "counter").write_text("0")
        text = f"{script('common', models=models, stamp='S')}\n{(FOLDER / 'models.sh').read_text()}\n"
        text += f"state={self.folder} here={self.folder}/receipts/S counter={self.folder}/counter deadly={deadly}\n"
        text += f"model_server() {{ config={self.config} root={self.folder}/srv server=none; }}; model_server\n"
        text += f"disks() {{ :; }}\n{KILL if deadly else ''}\n{commands}\n"
        return subprocess.run(["sh"], input=text, text=True, capture_output=True, check=False)

    def run(self, commands: str, models: str = "") -> str:
        done = self.end(commands, models=models)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def receive(self, number: int, content: str) -> str:
        """Let a version wait for its place, and return its line."""
        source = version(self.folder / "sent" / content, number, content)
        shutil.copytree(source, self.base / ".reef" / "S" / "new" / str(number))
        digest = model_versions(source.parent)[number].digest
        line = f"place digits {number} {digest} {self.base}"
        self.run("each_model place model_came", models=line)
        return line

    def line(self, verb: str, number: int) -> str:
        return f"{verb} digits {number} - {self.base}"

    @property
    def contents(self) -> dict[str, str]:
        """The content of each version; one that is not whole fails."""
        found = {}
        for folder in self.base.glob("[0-9]*"):
            content = (folder / "model.tflite").read_text()
            assert (folder / "assets" / "labels.txt").read_text() == content
            found[folder.name] = content
        return found


def version(base: Path, number: int, content: str) -> Path:
    folder = base / str(number)
    (folder / "assets").mkdir(parents=True)
    for name in ("model.tflite", "assets/labels.txt"):
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


def test_board_and_machine_agree_about_a_manifest(tmp_path: Path, board: Board) -> None:
    folder = tmp_path / "digits" / "3"
    (folder / "a b").mkdir(parents=True)
    for name in ("model.tflite", "a b/ two  spaces ", "a b/back\\slash", "a b.txt", "umlaut-ü", "Z", "-n", "$(x)"):
        (folder / name).write_text(name)
    (folder / "empty").touch()
    version = model_versions(folder.parent)[3]
    assert board.run(f"version_manifest {folder}") == version.manifest
    assert board.run(f"version_digest digits 3 {folder}").strip() == version.digest
    (folder / "link").symlink_to("Z")
    assert board.run(f"version_digest digits 3 {folder}").strip() != version.digest


def test_what_reef_placed_is_hashed_again_only_after_a_change(board: Board) -> None:
    line = board.receive(3, "three")
    board.run("models_forward", models=line)
    ask = f"sha256sum() {{ echo hashed >>$state/hashed; command sha256sum; }}; version_digest digits 3 {board.base}/3"
    assert board.run(ask).strip() == line.split()[3]
    quick = len((board.folder / "hashed").read_text().splitlines())
    (board.base / "3" / "model.tflite").write_text("eerht")  # of the same size
    assert board.run(ask).strip() != line.split()[3]
    assert len((board.folder / "hashed").read_text().splitlines()) > 2 * quick


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EMPTY, ""),
        ('model_config_list { config { name: "digits" base_path: "/m/digits" } }', "digits\t/m/digits\tlatest 1\n"),
        (
            "model_config_list: <\n config: < base_path: '/m' name: 'a' model_version_policy: < all: < > > >\n"
            ' config { name: "b", base_path: "/b"; model_version_policy { latest { num_versions: 2 } } } >',
            "a\t/m\tall\nb\t/b\tlatest 2\n",
        ),
        (
            'model_config_list {\n config { name: "s" base_path: "/s" # name: "wrong"\n'
            "  model_version_policy { specific { versions: 3 versions: [4, 5] } }\n"
            '  version_labels { key: "name" value: 3 } } }',
            "s\t/s\tspecific 3 4 5\n",
        ),
    ],
)
def test_models_config(board: Board, text: str, expected: str) -> None:
    board.config.write_text(text)
    assert board.run("configured") == expected


def test_facts_of_models(board: Board) -> None:
    board.config.write_text(f'model_config_list {{ config {{ name: "digits" base_path: "{board.base}/" }} }}')
    version(board.base, 2, "two")
    board.run("models_forward", models=board.receive(3, "three"))
    (board.base / "10x").mkdir()
    values: dict[str, list[str]] = {}
    for line in board.run("tell_model digits 1,2; tell_model cats 1").splitlines():
        name, _, value = line.partition("\t")
        values.setdefault(name, []).append(value)
    found = models_on(BoardFacts(values, 0, 0))
    assert found["digits"].versions.keys() == {2, 3}
    assert all(found["digits"].versions.values())
    assert found["digits"].placed == {3}
    assert (found["digits"].base, found["digits"].served) == (str(board.base), (3,))
    assert (found["cats"].known, found["cats"].served) == (False, ())


def test_what_did_not_arrive_whole_is_not_placed(board: Board) -> None:
    line = board.receive(4, "four")
    (board.base / ".reef/S/new/4/assets/labels.txt").write_text("fo")
    told = board.run('each_model place model_came; echo "$reason"', models=line)
    assert "did not arrive whole" in told


@pytest.mark.parametrize("way", ["forward", "back"])
def test_an_end_at_any_moment_leaves_whole_versions_and_the_next_run_completes(tmp_path: Path, way: str) -> None:
    for deadly in range(1, 100):
        board = Board(tmp_path / str(deadly))
        board.run("models_forward", models=board.receive(9, "nine"))
        lines = [board.receive(4, "four"), board.line("serve", 4), board.line("served", 9), board.line("leave", 9)]
        models = "\n".join([*lines, board.line("register", 0)])
        if way == "back":
            board.run("models_forward", models=models)
        done = board.end(f"models_{way}", deadly, models)
        assert set(board.contents.items()) <= {("4", "four"), ("9", "nine")}
        assert board.contents  # the old version, the new one, or both
        assert board.config.read_text() in (EMPTY, registered(board))
        board.run(f"models_{way}", models=models)
        assert board.contents == ({"4": "four"} if way == "forward" else {"9": "nine"})
        assert board.config.read_text() == (registered(board) if way == "forward" else EMPTY)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert 5 < deadly < 99


def registered(board: Board) -> str:
    line = f'  config {{ name: "digits" base_path: "{board.base}" model_platform: "tensorflow" }}  # Reef\n'
    return EMPTY.replace("{\n", f"{{\n{line}")


def test_a_version_that_somebody_else_made_meanwhile_is_not_replaced(board: Board) -> None:
    line = board.receive(4, "four")
    version(board.base, 4, "theirs")
    told = board.run('models_forward || echo "$reason"; models_back', models=f"{line}\n{board.line('serve', 4)}")
    assert "somebody else made" in told
    assert board.contents == {"4": "theirs"}


def test_only_versions_that_nothing_needs_are_removed(board: Board) -> None:
    for number in (2, 3, 4, 5):
        board.run("models_forward", models=board.receive(number, str(number)))
    version(board.base, 1, "mine")
    (board.folder / "receipts" / "S" / "models.txt").write_text(board.line("served", 4) + "\n")
    board.run("models_pruned", models=f"{board.line('serve', 5)}\n{board.line('served', 4)}")
    assert sorted(board.contents) == ["1", "4", "5"]
    assert not (board.base / ".reef").exists()


def test_a_configuration_without_a_list_is_not_touched(board: Board) -> None:
    board.config.write_text("model_config_list { config { name: 'other' base_path: '/other' } }")
    told = board.run('models_forward || echo "$reason"', models=board.line("register", 0))
    assert "add it by hand" in told
    assert board.config.read_text().startswith("model_config_list { config { name: 'other'")


ANSWER = """
{
 "model_version_status": [
  {"version": "10", "state": "END", "status": {"error_code": "INTERNAL", "error_message": "no op \\"X\\": C:\\\\"}},
  {
   "version": "3",
   "state": "AVAILABLE",
   "status": { "error_code": "OK", "error_message": "" }
  }
 ]
}
"""


@pytest.mark.parametrize("state", ["END", "LOADING"])
def test_an_error_that_stays_ends_the_wait(board: Board, state: str) -> None:
    with answering(lambda _: ANSWER.replace("END", state)) as port:
        asked = board.run(
            f"sleep() {{ echo again; }}; rest_port={port} gate_timeout_s=600\n"
            'model_answers digits 10 - - || echo "$reason"'
        )
    *waits, reason = asked.splitlines()
    assert len(waits) == 9
    assert reason == f'model digits 10 is not available: {state} no op "X": C:\\'


def test_states_of_versions_over_rest(board: Board) -> None:
    with answering(lambda path: ANSWER if path == "/v1/models/digits" else "") as port:
        asked = board.run(f"rest_port={port}; model_states digits; model_states cats")
    assert asked.splitlines() == ['10 END no op "X": C:\\', "3 AVAILABLE "]


def test_states_of_versions_by_the_client(board: Board) -> None:
    client = "edge_model_client() { printf 'digits version 3: AVAILABLE\\ndigits version 10: END: no such op\\n'; }"
    assert board.run(f"{client}; rest_port=0 grpc_port=1; model_states digits") == "3 AVAILABLE \n10 END no such op\n"
