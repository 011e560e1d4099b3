"""recipes/tensorflow-serving rehearsed: real Bazel fetches and builds a miniature, which is packaged and run."""

import configparser
import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from builders.model.deb_file import control_of, members
from tests.support.place import Place
from tests.support.serving import Upstream, rehearsed, tree, upstream, words

BUILT = "builds/tensorflow-serving/trixie-arm64"
OLDEST = "builds/tensorflow-serving/bullseye-arm64"
SANDBOX = {
    "CapabilityBoundingSet": "", "LockPersonality": "yes", "NoNewPrivileges": "yes", "PrivateDevices": "yes",
    "PrivateTmp": "yes", "ProtectClock": "yes", "ProtectControlGroups": "yes", "ProtectHome": "yes",
    "ProtectHostname": "yes", "ProtectKernelLogs": "yes", "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes", "ProtectSystem": "strict",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_NETLINK AF_UNIX", "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service",
}  # fmt: skip
MOST_EXPOSED = "25"
"""In tenths, on systemd's scale from 0 to 10; the systemd of Debian 12 said 1.9 when this was written."""


@pytest.fixture(scope="module")
def hosts(module_place: Place) -> Iterator[Upstream]:
    with upstream(module_place.folder / "upstream") as held:
        yield held


@pytest.fixture(scope="module")
def built(module_place: Place, hosts: Upstream) -> str:
    rehearsed(module_place)
    return module_place.run(*words(tree(module_place.folder / "tree", hosts.url), "--target", "bullseye/arm64"))


def test_bazel_says_how_it_works(built: str, module_place: Place, hosts: Upstream) -> None:
    assert re.search(r"Bazel runs \d+ jobs at once: \d+ cores, [\d.]+ GB of memory free, up to 2.5 GB for each", built)
    assert re.search(r"Bazel ran \d+ actions", built)
    assert len(hosts.asked) <= 1  # none where an earlier run of the tests left its download
    log = module_place.log_text()
    assert re.search(r"^\[\d+/\d+\] ", log, re.MULTILINE)


def test_the_package_is_a_proper_one(built: str, module_place: Place) -> None:
    folder = module_place.artifacts / BUILT
    fields = {path.name.split("_")[0]: control_of(path) for path in folder.glob("*.deb")}
    assert set(fields) == {"tensorflow-model-server", "tensorflow-model-server-dbgsym"}
    server = fields["tensorflow-model-server"]
    assert (server["Version"], server["Architecture"]) == ("1:2.16.1-1~deb13", "arm64")
    assert "adduser" in server["Depends"]
    [deb] = folder.glob("tensorflow-model-server_*.deb")
    names = {entry.name.removeprefix("./").rstrip("/") for entry, _ in members(deb)}
    assert names >= {
        "etc/default/tensorflow-model-server",
        "etc/tensorflow-serving/models.config",
        "usr/bin/tensorflow_model_server",
        "usr/share/man/man1/tensorflow_model_server.1.gz",
        "var/lib/tensorflow-serving/models",
    }
    assert any(name.startswith("usr/share/doc/tensorflow-model-server/README.Debian") for name in names)
    output = (folder / "lintian.log").read_text().splitlines()
    # Bazel compiles with -g0: of what is stripped off, only the symbols are left.
    assert [line for line in output if "-dbgsym: debug-file-with-no-debug-symbols" not in line] == ["lintian-exit=0"]
    notices = next(content for entry, content in members(deb) if entry.name.endswith("/NOTICES"))
    assert b"======== org_tensorflow/LICENSE\n\nThe licence of the miniature's library" in (notices or b"")
    conffiles = subprocess.run(
        ["dpkg-deb", "--info", str(deb), "conffiles"], capture_output=True, text=True, check=True
    ).stdout
    assert conffiles.split() == ["/etc/default/tensorflow-model-server", "/etc/tensorflow-serving/models.config"]


def program(place: Place, built: str = BUILT) -> bytes:
    [deb] = (place.artifacts / built).glob("tensorflow-model-server_*.deb")
    content = next(content for entry, content in members(deb) if entry.name.endswith("bin/tensorflow_model_server"))
    assert content
    return content


def test_each_suite_gets_the_same_program(built: str, module_place: Place) -> None:
    assert program(module_place) == program(module_place, OLDEST)
    [deb] = (module_place.artifacts / OLDEST).glob("tensorflow-model-server_*.deb")
    assert control_of(deb)["Version"] == "1:2.16.1-1~deb11"


def test_the_program_runs_on_the_oldest_suite(built: str, module_place: Place) -> None:
    elf = ELFFile(io.BytesIO(program(module_place)))
    assert elf["e_machine"] == "EM_AARCH64"
    assert elf.get_section_by_name(".symtab") is None
    expected = elf.get_section_by_name(".gnu.version_r")
    assert isinstance(expected, GNUVerNeedSection)
    versions = [aux.name for _, auxes in expected.iter_versions() for aux in auxes]
    glibc = [tuple(map(int, name.removeprefix("GLIBC_").split("."))) for name in versions if name.startswith("GLIBC_")]
    assert glibc
    assert max(glibc) <= (2, 31)


@pytest.fixture
def unpacked(built: str, module_place: Place, tmp_path: Path) -> Path:
    [deb] = (module_place.artifacts / BUILT).glob("tensorflow-model-server_*.deb")
    subprocess.run(["dpkg-deb", "-x", str(deb), str(tmp_path)], check=True)
    return tmp_path


def test_the_service_is_its_own_users_in_a_sandbox_and_comes_back(unpacked: Path) -> None:
    [path] = unpacked.rglob("tensorflow-model-server.service")
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    service = dict(unit["Service"])
    assert (service["User"], service["Group"]) == ("tensorflow-serving", "tensorflow-serving")
    assert service["Restart"] == "on-failure"
    assert {name: service.get(name) for name in SANDBOX} == SANDBOX
    assert {"GRPC_PORT=8500", "REST_PORT=8501"} <= set(service["Environment"].split())
    defaults = (unpacked / "etc/default/tensorflow-model-server").read_text().splitlines()
    assert {"GRPC_PORT=8500", "REST_PORT=8501"} <= set(defaults)
    exposed = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(path)]
    done = subprocess.run(exposed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_is_sound(unpacked: Path) -> None:
    [unit] = unpacked.rglob("tensorflow-model-server.service")
    # The program is for another CPU, which the verification does not mind; that it is there it wants to see.
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={unpacked}", unit.name]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("Restart=on-failure", "Restart=on-failre"))
    assert "on-failre" in subprocess.run(verify, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize(
    ("target", "place"), [("trixie/arm64", BUILT), pytest.param("bullseye/arm64", OLDEST, marks=pytest.mark.nightly)]
)
def test_it_is_installed_and_answers_on_an_emulated_board(
    built: str, module_place: Place, target: str, place: str
) -> None:
    output = module_place.run("publish-apt", "--recipe", "tensorflow-serving", "--target", target)
    assert "was built from folders given with --source (serving), not from the recipe's pinned sources" in output
    [report] = (module_place.artifacts / place).glob("install-report-*.json")
    verdicts = {v["check"]: v for v in json.loads(report.read_text())["verdicts"]}
    assert all(verdict["passed"] for verdict in verdicts.values()), verdicts
    assert "run:server" in verdicts
