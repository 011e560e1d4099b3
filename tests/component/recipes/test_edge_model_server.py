"""The recipe edge-model-server without a build: its unit as systemd judges it, its README's commands, its packages as
real apt sees them beside the recipe tensorflow-serving's.
"""

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest

from builders.deb import debian_files
from builders.model.recipe import load_recipe
from builders.model.settings import Settings
from builders.model.target import SUITES, parse_target
from builders.model.unit_file import for_systemd
from tests.support.boards import Board, package, packages_of
from tests.support.checkout import CHECKOUT

RECIPE = load_recipe(CHECKOUT / "recipes/edge-model-server")
FILES = RECIPE.folder / "files"
TARGET = parse_target("trixie/arm64")
VERSION = RECIPE.debian_version(TARGET)
SANDBOX = {
    "CapabilityBoundingSet": "", "DevicePolicy": "closed", "DynamicUser": "yes", "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes", "NoNewPrivileges": "yes", "PrivateTmp": "yes", "ProtectClock": "yes",
    "ProtectControlGroups": "yes", "ProtectHome": "yes", "ProtectHostname": "yes", "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes", "ProtectProc": "invisible",
    "ProtectSystem": "strict", "RestrictAddressFamilies": "AF_INET AF_INET6 AF_NETLINK AF_UNIX",
    "RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes",
    "SupplementaryGroups": "plugdev apex", "SystemCallArchitectures": "native", "UMask": "0077",
}  # fmt: skip
MOST_EXPOSED = "18"
"""In tenths, on systemd's scale from 0 to 10; the systemd of Debian 12 said 1.8 when this was written."""


def rendered(target: str = "trixie/arm64") -> str:
    """Return the unit as the package for ``target`` has it."""
    return debian_files(RECIPE, parse_target(target), Settings())["edge-model-server.service"]


def unit(name: str = "Service") -> dict[str, list[str]]:
    """Return the settings of a section of the unit, each with all its values."""
    section = re.sub(r"\\\n\s*", "", rendered()).partition(f"[{name}]\n")[2].partition("\n[")[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_service_tells_when_it_is_ready_and_runs_in_a_sandbox(tmp_path: Path) -> None:
    service = unit()
    assert {name: service.get(name) for name in SANDBOX} == {name: [value] for name, value in SANDBOX.items()}
    assert service["DeviceAllow"] == ["char-usb_device rw", "char-apex rw"]
    assert service["SystemCallFilter"] == ["@system-service", "~@privileged"]
    assert service["SystemCallErrorNumber"] == ["ENOSYS"], "the C library would not try older calls"
    assert (service["Type"], service["Restart"]) == (["notify"], ["on-failure"])
    assert service["WatchdogSec"] == ["30"]
    assert service["OOMPolicy"] == ["continue"], "a worker that the kernel ends takes the service down"
    path = tmp_path / "edge-model-server.service"
    path.write_text(rendered())
    exposed = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(path)]
    done = subprocess.run(exposed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_loads_the_driver_whose_number_its_sandbox_names() -> None:
    service = unit("Unit")
    assert "modprobe@apex.service" in service["After"][0].split()
    assert service["Wants"] == ["modprobe@apex.service"]


def test_the_unit_runs_no_program_of_another_package() -> None:
    programs = set(re.findall(r"^Exec\w+=(\S+)", rendered(), re.MULTILINE))
    assert programs == {"/usr/bin/edge_model_server", "/bin/sh"}, "every system has a shell; others need Depends"


def test_the_folder_of_the_documented_socket_is_made() -> None:
    [folder] = unit()["RuntimeDirectory"]
    assert f"--grpc_socket_path=/run/{folder}/" in (CHECKOUT / "docs/recipes/edge-model-server.md").read_text()


def test_the_service_may_open_a_file_for_each_connection() -> None:
    [limit] = unit()["LimitNOFILE"]
    header = (CHECKOUT / "server/src/http/server.h").read_text()
    [connections] = re.findall(r"int most_connections = (\d+);", header)
    assert int(limit) >= 2 * int(connections) >= 20_000  # gRPC has as many again


def systemd_version() -> int:
    """Return the version of this machine's systemd."""
    return int(subprocess.check_output(["systemd-analyze", "--version"], text=True).split()[1])


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    copy = units / "edge-model-server.service"
    copy.write_text(for_systemd(rendered(), systemd_version()))
    for program in ("usr/bin/edge_model_server", "bin/sh"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).write_text("")
        (tmp_path / program).chmod(0o755)
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={tmp_path}", copy.name]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    copy.write_text(copy.read_text().replace("WatchdogSec=30", "WatchdogSec=thirty"))
    assert "thirty" in subprocess.run(verify, capture_output=True, text=True, check=False).stderr


LOST = {
    "buster": "RestartSteps RestartMaxDelaySec OOMPolicy ProtectClock ProtectHostname ProtectKernelLogs ProtectProc "
    "RestrictSUIDSGID",
    "bullseye": "RestartSteps RestartMaxDelaySec",
    "bookworm": "RestartSteps RestartMaxDelaySec",
    "trixie": "",
}
"""The keys of the unit that the systemd of a suite does not know; the docs list them."""


@pytest.mark.parametrize("suite", LOST)
def test_the_unit_of_an_older_suite_says_which_settings_it_lacks(suite: str) -> None:
    text = rendered(f"{suite}/arm64")
    version = SUITES[suite].systemd
    assert (
        re.findall(rf"^# (\w+)=\S+ needs systemd \d+; this system has {version}\.$", text, re.MULTILINE)
        == LOST[suite].split()
    )
    kept = [line for line in text.splitlines() if " needs systemd " not in line]
    assert kept == [line for line in rendered().splitlines() if line.partition("=")[0] not in LOST[suite].split()]
    documented = (CHECKOUT / "docs/recipes/edge-model-server.md").read_text()
    assert {key for key in LOST[suite].split() if f"`{key}`" not in documented} == set()


@pytest.mark.parametrize(("cpu", "calls"), [("arm64", "native"), ("amd64", "native"), ("armhf", "native arm")])
def test_the_package_of_another_cpu_may_make_its_own_system_calls(cpu: str, calls: str) -> None:
    """``native`` is the CPU of systemd (systemd.exec(5)), which on arm64 boards differs from an armhf package's."""
    assert f"SystemCallArchitectures={calls}" in rendered(f"trixie/{cpu}").splitlines()


def test_the_unit_has_a_default_for_each_setting_of_its_file() -> None:
    """The file may be removed: the service then runs with the settings that the package came with."""
    defaults = configparser.RawConfigParser(strict=True)
    defaults.optionxform = str  # type: ignore[assignment,method-assign]
    defaults.read_string("[file]\n" + (FILES / "edge-model-server").read_text())
    settings = {name: value.strip('"') for name, value in defaults["file"].items()}
    service = unit()
    assert dict(word.split("=", 1) for word in service["Environment"][0].split()) == settings
    assert set(re.findall(r"\$\{?([A-Z_]+)\}?", service["ExecStart"][0])) == set(settings)
    conffiles = RECIPE.packages[0].conffiles
    assert settings["MODEL_CONFIG"].lstrip("/") in conffiles


STAND_INS = {"sudo": 'exec "$@"', "systemctl": 'echo "systemctl $*"', "sleep": ":", "curl": 'echo "curl $*"'}
"""Programs of the board that the commands use and a test cannot: they only print."""


def test_the_readmes_three_commands_bring_up_a_first_model(tmp_path: Path) -> None:
    commands = re.findall(r"^    (sudo .*)$", (FILES / "README.Debian").read_text(), re.MULTILINE)
    assert len(commands) == 3
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    config = tmp_path / "etc/edge-model-server/models.config"
    config.parent.mkdir(parents=True)
    shipped = (FILES / "models.config").read_text()
    config.write_text(shipped)
    (tmp_path / "any.tflite").write_text("a model")
    script = "\n".join(commands).replace("/var/lib/", f"{tmp_path}/var/lib/").replace(" /etc/", f" {tmp_path}/etc/")
    done = subprocess.run(
        ["sh", "-eu", "-c", script.replace(" MODEL ", " any.tflite ")], cwd=tmp_path, text=True, check=True,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}, capture_output=True,
    )  # fmt: skip
    output = done.stdout.splitlines()
    assert output == [
        "systemctl reload-or-restart edge-model-server", "curl http://localhost:8501/v1/models/first"
    ]  # fmt: skip
    place = f"{tmp_path}/var/lib/edge-model-server/models/first"
    assert (Path(place) / "1/model.tflite").read_text() == "a model"
    assert (Path(place) / "1/model.tflite").stat().st_mode & 0o777 == 0o644
    comments = "".join(line for line in shipped.splitlines(keepends=True) if line.startswith("#"))
    assert config.read_text() == (
        f"{comments}model_config_list {{\n"
        f'  config {{ name: "first" base_path: "{place}" model_platform: "tensorflow" }}\n}}\n'
    )


def test_the_packages_have_the_programs_version() -> None:
    project = re.search(
        r"^project\(edge-model-server VERSION (\S+)", (CHECKOUT / "server/CMakeLists.txt").read_text(), re.MULTILINE
    )
    assert project
    assert project[1] == RECIPE.version
    for page in ("edge_model_client.1", "edge_model_server.1", "tensorflow_model_server.1"):
        assert f'"edge-model-server {RECIPE.version}"' in (FILES / page).read_text()
    [check] = RECIPE.checks
    assert f"edge-model-server {RECIPE.version}" in check.expect


def flags(text: str) -> set[str]:
    """Return the flags that a text names, with underscores as in the program's own help."""
    return {name.replace("-", "_") for name in re.findall(r"(?<![\w-])--([a-z][a-z_-]*[a-z])", text.replace("\\", ""))}


@pytest.mark.parametrize(
    "path",
    ["docs/recipes/edge-model-server.md", *(f"recipes/edge-model-server/files/{name}" for name in (
        "README.Debian", "edge-model-server", "edge-model-server.service", "edge_model_server.1"
    ))],
)  # fmt: skip
def test_the_flags_in_texts_are_known_to_the_server(path: str) -> None:
    sources = [*(CHECKOUT / "server/src/app").glob("*.cc"), *(CHECKOUT / "server/src/client").glob("*.cc")]
    known = flags("".join(file.read_text() for file in sources)) | {"help"}
    # Options of the other commands that the page shows.
    known |= {"recipe", "num_segments"}
    found = flags((CHECKOUT / path).read_text())
    assert found
    assert found <= known


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """A board that reaches this recipe's packages, TensorFlow Lite's and TensorFlow Serving's."""
    folders = []
    for name in ("edge-model-server", "tensorflow-lite", "tensorflow-serving"):
        (tmp_path / name).mkdir()
        folders.append(packages_of(load_recipe(CHECKOUT / "recipes" / name), TARGET, tmp_path / name))
    (tmp_path / "debian").mkdir()
    return Board(tmp_path / "board", [*folders, package(tmp_path / "debian", "adduser", "3.152", "all")], "arm64")


def test_the_server_can_be_installed_beside_tensorflow_serving(board: Board) -> None:
    plan = board.plan("install", "edge-model-server", "tensorflow-model-server")
    assert plan["edge-model-server:arm64"] == VERSION
    assert plan["tensorflow-model-server:arm64"].startswith("1:")


def test_its_other_name_takes_the_place_of_tensorflow_serving(board: Board) -> None:
    board.has("tensorflow-model-server", "1:2.16.1-1~deb13", "arm64")
    board.has("adduser", "3.152", "all")
    plan = board.plan("install", "edge-model-server-tfs")
    assert plan["edge-model-server-tfs:arm64"] == VERSION
    assert plan["tensorflow-model-server"] == "remove"
