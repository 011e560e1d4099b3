"""The buildx engine with the real engine of Debian 12, and with one of today's as if on another machine: the same jobs,
the same bytes, and what goes wrong. One file, so that its tests share one engine."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from builders.arch import AMD64, ARM64
from builders.engines.buildx import daemon, kept, probe
from builders.engines.buildx.endpoint import current
from builders.engines.buildx.engine import BuildxEngine
from builders.engines.buildx.images import Images
from builders.engines.buildx.nodes import here
from builders.engines.chroot import roots
from builders.errors import BuildError, DiskError, HostError
from builders.products import BuildJob, Limits, Root
from builders.workspace import Workspace
from tests.engine import dockers
from tests.engine.conftest import CHECKOUT, INVOKE, Place, kill
from tests.engine.dockers import BUILDX, BUILT, JOB, Dockerd, There

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Docker engines of the tests' own need root")

NATIVE = ("--target", "trixie/amd64")


@pytest.fixture
def inside(there: There, monkeypatch: pytest.MonkeyPatch) -> There:
    """The same, for tests that call the engine in this process."""
    for name, value in there.environment.items():
        monkeypatch.setenv(name, value)
    return there


def processes(word: str) -> list[str]:
    lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    return [line for line in lines if word in line]


def test_the_same_bytes_as_the_chroot_engines_chosen_by_itself(
    hello_in_docker: tuple[There, str], docker_engine: Dockerd
) -> None:
    there, output = hello_in_docker
    assert "engine: buildx" in output
    assert f"{JOB}: on the Docker engine at {docker_engine.host} (amd64)" in output
    debs = there.debs()
    assert len(debs) == 5
    record = json.loads((there.place.artifacts / BUILT / "record.json").read_text())
    assert record["engine"] == "buildx"
    step = record["steps"][-1]
    assert step["name"] == "run"
    assert step["seconds"] > 1
    assert step["peak_memory_bytes"] > 10e6
    bom = json.loads((there.place.artifacts / BUILT / "reef-hello.cdx.json").read_text())
    assert {"reef-hello", "gcc-14-aarch64-linux-gnu"} <= {component["name"] for component in bom["components"]}
    assert "dpkg-buildpackage" in (there.place.artifacts / "logs" / f"{JOB}-run.log").read_text()
    assert "up to date" in there.run("build-arm")
    assert len(record["source"]) == 3
    assert "engine: chroot" in there.run("build-arm", "--force", "--engine", "chroot")
    assert there.debs() == debs
    again = json.loads((there.place.artifacts / BUILT / "record.json").read_text())
    assert [file["sha256"] for file in again["source"]] == [file["sha256"] for file in record["source"]]


def test_without_an_engine_the_choice_is_chroot(place: Place) -> None:
    place.edit("  compile: |\n", "  compile: |\n    exit 9\n")
    assert "engine: chroot" in place.run("build-arm", status=7)


def test_only_fetch_has_a_network_and_the_script_sees_what_it_left(there: There) -> None:
    interfaces = "sed -n 's/^ *\\([^:]*\\):.*/\\1/p' /proc/net/dev"
    there.place.edit("build:\n", f"build:\n  fetch: |\n    {interfaces} > interfaces\n")
    lines = [
        "grep -qvx lo interfaces || { echo fetch had none; exit 8; }",
        f'test "$({interfaces})" = lo || {{ cat /proc/net/dev; exit 8; }}',
        'test -z "${REEF_SECRET:-}"; test "$LC_ALL" = C.UTF-8; test -z "${SUITE:-}"; echo all seen; exit 7',
    ]
    there.place.edit("  compile: |\n", "  compile: |\n" + "".join(f"    {line}\n" for line in lines))
    output = there.run(*BUILDX, REEF_SECRET="hush", status=7)
    assert "all seen" in output
    assert output.index(f"✓ fetch {JOB}") < output.index(f"✗ run {JOB}")


def test_installed_checked_and_published_in_containers(there: There, docker_engine: Dockerd) -> None:
    there.run("build-arm", "--engine", "chroot", *NATIVE)
    output = there.run("publish-apt", "--engine", "buildx", *NATIVE)
    assert "✓ run check/reef-hello/trixie-amd64" in output
    assert "trixie: published" in output
    [report] = (there.place.artifacts / "builds/reef-hello/trixie-amd64").glob("install-report-*.json")
    verdicts = {verdict["check"]: verdict["passed"] for verdict in json.loads(report.read_text())["verdicts"]}
    assert verdicts == {"install": True, "upgrade": True, "run:greeting": True, "purge": True}


def test_a_failing_script_keeps_its_root_to_enter(there: There, docker_engine: Dockerd) -> None:
    there.place.edit("  compile: |\n", "  compile: |\n    echo mark > marker; echo the last words; exit 9\n")
    output = there.run(*BUILDX, status=7)
    assert f"run of {JOB} failed with status" in output
    assert "the last words" in output
    assert f"✗ run {JOB} failed" in output
    log = there.place.artifacts / "logs" / f"{JOB}-run.log"
    assert f"full log: {log}" in output
    assert f"./inv shell --job {JOB}" in output
    assert not (there.place.artifacts / BUILT).exists()
    entered = subprocess.run(
        [str(INVOKE), "--search-root", str(CHECKOUT), "shell", "--job", JOB],
        env=there.place.environment() | there.environment, capture_output=True, text=True, check=False,
        input="cat /build/reef-hello-1.2/marker; echo arch=$(dpkg --print-architecture)\n",
    )  # fmt: skip
    assert entered.returncode == 0, entered.stdout + entered.stderr
    assert "mark" in entered.stdout
    assert "arch=amd64" in entered.stdout
    image = kept.image_name("reef-failed", there.project().workspace, JOB)
    assert image in docker_engine.tags()
    there.place.edit("echo mark > marker", "true")
    there.run(*BUILDX, status=7)
    assert image in docker_engine.tags()
    there.run("clean", "--what", "failed")
    assert image not in docker_engine.tags()
    assert "no root of a failed job is kept" in there.run("shell", status=3)


def test_a_time_limit_ends_the_script(inside: There) -> None:
    project = inside.project()
    job = BuildJob("try/limit", Root("trixie", AMD64, AMD64, ()), "echo began; sleep 600", limits=Limits(4.0))
    with pytest.raises(BuildError, match="run of try/limit failed after its time limit of 4 s") as told:
        project.engine("buildx").run(job, project.workspace.path / "out", project.log)
    assert "began" in told.value.detail


def test_a_script_without_space_is_told_as_a_full_disk(inside: There) -> None:
    project = inside.project()
    job = BuildJob("try/space", Root("trixie", AMD64, AMD64, ()), "echo began; dd if=/dev/zero of=/dev/full count=1")
    with pytest.raises(DiskError, match="no space left on the disk of the Docker engine at unix:") as told:
        project.engine("buildx").run(job, project.workspace.path / "out", project.log)
    assert "began" in told.value.detail
    assert not kept.names(project.workspace)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_in_a_build_nothing_runs_on(there: There, number: int) -> None:
    # Other runs on this machine may be at the same test: each sleeps for a time of its own.
    sleeping = f"sleep 612.{os.getpid()}{number}"
    there.place.edit("  compile: |\n", f"  compile: |\n    echo compiling; {sleeping}\n")
    child = there.start(*BUILDX)
    there.place.when(child, lambda: bool(processes(sleeping)))
    status = kill(child, number)
    if number == signal.SIGINT:
        assert status == 130
    until = 100
    while (left := processes(sleeping) + processes(str(there.place.folder))) and until:
        until -= 1
        subprocess.run(["sleep", "0.2"], check=True)
    assert left == []
    assert not (there.place.artifacts / BUILT).exists()
    there.run("clean")
    assert not list((there.place.artifacts / "scratch").glob("*"))


def test_an_engine_that_dies_is_told_and_the_next_run_builds(there: There, docker_engine: Dockerd) -> None:
    there.place.edit("  compile: |\n", "  compile: |\n    echo compiling; sleep 600\n")
    child = there.start(*BUILDX)
    there.place.when(child, lambda: "\ncompiling" in there.place.log_text())
    docker_engine.kill()
    assert child.wait(timeout=60) == 5
    output = (there.place.folder / "output").read_text()
    assert f"the Docker engine at {docker_engine.host} no longer answers" in output
    assert "Traceback" not in output
    docker_engine.start()
    there.place.edit("echo compiling; sleep 600", "echo works again; exit 9")
    assert "works again" in there.run(*BUILDX, status=7)


def test_a_full_disk_of_the_engine_is_told_as_one(there: There) -> None:
    small = Dockerd("bookworm", small="80m")
    try:
        output = there.run(*BUILDX, status=11, DOCKER_HOST=small.host)
        assert f"no space left on the disk of the Docker engine at {small.host}" in output
        assert "docker builder prune" in output
    finally:
        small.remove()


def test_a_cpu_that_the_engine_does_not_run_is_told(inside: There, monkeypatch: pytest.MonkeyPatch) -> None:
    known = probe.program(ARM64)
    nobodys = known[:18] + b"\xff\xfe" + known[20:]
    monkeypatch.setattr(probe, "program", lambda _: nobodys)
    project = inside.project()
    runner = project.engine("buildx")
    assert isinstance(runner, BuildxEngine)
    with pytest.raises(HostError, match="does not run arm64 programs") as told:
        runner.check(Root("trixie", ARM64, ARM64, ()))
    assert "/probe" in told.value.detail
    assert "doctor --fix" in told.value.fix


def test_a_pinned_base_from_a_registry_gives_the_same_packages(
    inside: There, docker_engine: Dockerd, tmp_path: Path
) -> None:
    (tmp_path / "registry.yml").write_text(
        yaml.safe_dump({
            "version": "0.1", "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
            "http": {"addr": "127.0.0.1:5917"}, "log": {"level": "error"},
        })
    )  # fmt: skip
    program = dockers.rootfs("trixie") / "usr/bin/docker-registry"
    registry = subprocess.Popen([str(program), "serve", str(tmp_path / "registry.yml")], stderr=subprocess.DEVNULL)
    try:
        _pushed(inside, docker_engine, "127.0.0.1:5917/debian")
        inside.settings("buildx: {base: registry, network: host, image: '127.0.0.1:5917/debian:{suite}-slim'}\n")
        inside.run("pin", "--suite", "trixie")
        pins = yaml.safe_load((inside.place.folder / "base-images.yml").read_text())
        digest = pins["127.0.0.1:5917/debian:trixie-slim"]
        assert digest.startswith("sha256:")
        for image in docker_engine.client().images.list(name="127.0.0.1:5917/debian"):
            docker_engine.client().images.remove(str(image.id), force=True)
        project = inside.project()
        root = Root("trixie", AMD64, AMD64, ("file",))
        made = daemon.connect(current())
        images = Images(project.workspace, project.settings, project.folder, project.log)
        name, _ = images.root(root, here(), made)
        listed = docker_engine.client().containers.run(
            name,
            ["dpkg-query", "--show", "--showformat=${binary:Package}=${Version}\n"],
            network_mode="none",
            remove=True,
        )
        roots.make(root, project.workspace, project.settings, project.log)
        assert sorted(listed.decode().split()) == list(roots.installed(root, project.workspace))
        logs = (project.workspace.logs / "roots" / f"{name.partition(':')[2]}.log").read_text()
        assert "Setting up file" in logs
    finally:
        registry.terminate()
        registry.wait()


def _pushed(there: There, docker_engine: Dockerd, name: str) -> None:
    project = there.project()
    images = Images(project.workspace, project.settings, project.folder, project.log)
    made = images._bootstrapped(Root("trixie", AMD64, AMD64, ()), here(), daemon.connect(current()))
    client = docker_engine.client()
    client.images.get(made).tag(name, tag="trixie-slim")
    told = client.images.push(name, tag="trixie-slim")
    assert "error" not in told


def test_a_registry_that_is_not_there(there: There) -> None:
    there.settings("buildx: {network: host, image: '127.0.0.1:9/debian:{suite}'}\n")
    output = there.run(*BUILDX, "--base", "registry", status=6)
    assert "the base image cannot be had from its registry" in output
    assert "127.0.0.1:9/debian:trixie" in output
    assert "--base bootstrap" in output


# Another machine: a Docker engine of today's, reached over TCP with TLS, in a network of its own.

PORT = 2376
FAR = f"tcp://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dockers.certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture(scope="module")
def far(certificates: Path) -> Iterator[Dockerd]:
    """An engine that only those in its own network reach, with a certificate of the tests' authority."""
    words = [f"--host=tcp://127.0.0.1:{PORT}", "--tlsverify"]
    files = {"tlscacert": "ca.pem", "tlscert": "server-cert.pem", "tlskey": "server-key.pem"}
    words += [f"--{name}={certificates / file}" for name, file in files.items()]
    made = Dockerd("trixie", own_network=True, words=tuple(words), shared=certificates)
    yield made
    made.remove()


class Within(There):
    """The command line inside the far engine's network."""

    def __init__(self, place: Place, environment: dict[str, str], far: Dockerd) -> None:
        super().__init__(place, environment)
        self._far = far

    def run(self, *words: str, status: int = 0, **extra: str) -> str:
        done = subprocess.run(
            self._far.inside(str(INVOKE), "--search-root", str(CHECKOUT), *words),
            env=self.place.environment() | self.environment | extra,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout


@pytest.fixture
def within(place: Place, docker_engine: Dockerd, far: Dockerd, docker_config: Path, certificates: Path) -> Within:
    made = Within(place, dockers.environment(docker_engine, docker_config), far)
    node = f"{{name: far, endpoint: '{FAR}', certificates: '{certificates}', architectures: [amd64]}}"
    made.settings(f"buildx: {{base: bootstrap, network: host, nodes: [{node}]}}\n")
    return made


def test_the_far_node_builds_the_same_bytes_and_is_named(
    within: Within, hello_in_docker: tuple[There, str], docker_engine: Dockerd, far: Dockerd
) -> None:
    for image in docker_engine.client().images.list():  # the far engine has no mirror in its network
        if any(tag.startswith("reef-root:trixie-amd64-arm64") for tag in image.tags):
            far.client().images.load(b"".join(image.save(named=True)))
    output = within.run(*BUILDX)
    assert f"{JOB}: on the Docker engine at {FAR} (amd64)" in output
    assert within.debs() == hello_in_docker[0].debs()
    shown = within.run("builders")
    assert "Docker 26." in shown
    assert FAR in shown


def test_a_node_that_cannot_be_reached_is_told(within: Within) -> None:
    text = (within.place.folder / "reef.yml").read_text()
    (within.place.folder / "reef.yml").write_text(text.replace(f":{PORT}", ":9"))
    output = within.run(*BUILDX, status=5)
    assert "no Docker engine answers at tcp://127.0.0.1:9" in output
    assert "no Docker engine answers at tcp://127.0.0.1:9" in within.run("builders", status=5)


def test_a_stranger_without_our_certificate_is_refused(within: Within, tmp_path: Path) -> None:
    strangers = dockers.certificates(tmp_path / "strangers")
    text = (within.place.folder / "reef.yml").read_text()
    before = text.split("certificates: '")[1].split("'")[0]
    (within.place.folder / "reef.yml").write_text(text.replace(before, str(strangers)))
    output = within.run(*BUILDX, status=5)
    assert f"no Docker engine answers at {FAR}" in output
    assert "certificate" in output.lower()


def test_a_context_that_leads_nowhere_is_told(place: Place, docker_config: Path) -> None:
    environment = {"DOCKER_CONFIG": str(docker_config), "DOCKER_HOST": ""}
    docker = str(docker_config / "bin" / "docker")
    subprocess.run(
        [docker, "--config", str(docker_config), "context", "create", "nowhere", "--docker", "host=tcp://127.0.0.1:9"],
        check=True, capture_output=True,
    )  # fmt: skip
    there = There(place, environment)
    output = there.run(*BUILDX, status=5, DOCKER_CONTEXT="nowhere")
    assert "no Docker engine answers at tcp://127.0.0.1:9 (context nowhere)" in output
    assert "docker context ls" in output
    assert "no docker context is called 'gone'" in there.run(*BUILDX, status=5, DOCKER_CONTEXT="gone")


def test_no_engine_and_no_permission_are_told(place: Place, docker_engine: Dockerd, docker_config: Path) -> None:
    there = There(place, dockers.environment(docker_engine, docker_config))
    output = there.run(*BUILDX, status=5, DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert "no Docker engine answers at unix:///nonexistent/docker.sock" in output
    assert "systemctl start docker" in output
    # The socket is somebody else's for the time of this test, and root may not overrule that.
    path = Path(docker_engine.host.removeprefix("unix://"))
    before = path.stat()
    lesser = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]
    try:
        os.chown(path, 1, 1)
        path.chmod(0o600)
        done = subprocess.run(
            [*lesser, str(INVOKE), "--search-root", str(CHECKOUT), *BUILDX],
            env=place.environment() | there.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        os.chown(path, before.st_uid, before.st_gid)
        path.chmod(before.st_mode & 0o777)
    assert done.returncode == 5, done.stdout + done.stderr
    assert f"no permission to talk to the Docker engine at {docker_engine.host}" in done.stderr
    assert "usermod --append --groups docker" in done.stderr
    assert BUILT not in done.stdout


def test_clean_removes_our_images_and_nothing_else(within: Within, far: Dockerd) -> None:
    client = far.client()
    mine = {"reef.kind": "shell", "reef.workspace": daemon.owner(Workspace(within.place.folder / "artifacts"))}
    empty = bytes(1024)  # a tar archive without a file
    client.api.import_image_from_data(empty, repository="reef-root", tag="ours", changes=["LABEL reef.kind=root"])
    client.api.import_image_from_data(empty, repository="somebodys", tag="own")
    client.containers.create("reef-root:ours", "true", network_mode="none", labels=mine)
    other = client.containers.create("somebodys:own", "true", network_mode="none")
    assert "removed image reef-root:ours" in within.run("clean", "--what", "images")
    assert far.tags() == ["somebodys:own"]
    assert [one.id for one in client.containers.list(all=True)] == [other.id]
