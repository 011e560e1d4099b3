"""The buildx engine with the real engine of Debian 12: the same jobs, the same bytes, and what goes wrong."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from builders.arch import AMD64, ARM64
from builders.engines.buildx import daemon, kept, probe
from builders.engines.buildx.endpoint import current
from builders.engines.buildx.engine import BuildxEngine
from builders.engines.buildx.images import Images
from builders.engines.buildx.nodes import here
from builders.engines.chroot import roots
from builders.errors import BuildError, HostError
from builders.products import BuildJob, Limits, Root
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
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if word in line]


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
    assert "engine: chroot" in there.run("build-arm", "--force", "--engine", "chroot")
    assert there.debs() == debs


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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_in_a_build_nothing_runs_on(there: There, number: int) -> None:
    there.place.edit("  compile: |\n", "  compile: |\n    echo compiling; sleep 612\n")
    child = there.start(*BUILDX)
    there.place.when(child, lambda: "\ncompiling" in there.place.log_text())
    assert processes("sleep 612")
    status = kill(child, number)
    if number == signal.SIGINT:
        assert status == 130
    until = 100
    while (left := processes("sleep 612") + processes("docker-buildx build")) and until:
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
