"""The buildx engine with the real engine of Debian 12, and with one of today's as if on another machine: the same jobs,
the same bytes, and what goes wrong. One file, so that its tests share one engine."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from builders.engines.buildx import failed
from builders.engines.buildx.builder import probe
from builders.engines.buildx.builder.nodes import here
from builders.engines.buildx.docker import daemon
from builders.engines.buildx.docker.endpoint import current
from builders.engines.buildx.engine import BuildxEngine
from builders.engines.buildx.images import Images
from builders.engines.roots import bootstrap, manifest
from builders.errors import BuildError, DiskError, HostError
from builders.host import debian_mirror
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64, ARM64
from builders.model.jobs import BuildJob, JobLimits, Root
from tests.support import dockers
from tests.support.buildkit import BuildKit
from tests.support.checkout import CHECKOUT
from tests.support.dockers import BUILDX, BUILT, JOB, Dockerd, There
from tests.support.place import INVOKE, Place, emulated_cpu, give_build, kill

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Docker engines of the tests' own need root")


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
    there.place.fetches(f"{interfaces} > interfaces")
    lines = [
        "grep -qvx lo interfaces || { echo fetch had none; exit 8; }",
        f'test "$({interfaces})" = lo || {{ cat /proc/net/dev; exit 8; }}',
        'test -z "${REEF_SECRET:-}"; test "$LC_ALL" = C.UTF-8; test -z "${SUITE:-}"; echo all seen; exit 7',
    ]
    there.place.edit("  compile: |\n", "  compile: |\n" + "".join(f"    {line}\n" for line in lines))
    output = there.run(*BUILDX, REEF_SECRET="hush", status=7)
    assert "all seen" in output
    assert output.index(f"✓ fetch {JOB}") < output.index(f"✗ run {JOB}")


@pytest.mark.parametrize("cpu", ["amd64", pytest.param("arm64", marks=pytest.mark.nightly)])
def test_installed_checked_and_published_in_containers(there: There, cpu: str) -> None:
    give_build(there.place, f"trixie/{cpu}")
    output = there.run("publish-apt", "--engine", "buildx", "--target", f"trixie/{cpu}")
    assert f"✓ run check/reef-hello/trixie-{cpu}" in output
    assert "trixie: published" in output
    [report] = (there.place.artifacts / f"builds/reef-hello/trixie-{cpu}").glob("install-report-*.json")
    verdicts = {verdict["check"]: verdict["passed"] for verdict in json.loads(report.read_text())["verdicts"]}
    assert verdicts == {"install": True, "upgrade": True, "run:greeting": True, "purge": True}


@pytest.mark.nightly
def test_emulated_programs_see_the_cpu_of_the_oldest_boards(inside: There, docker_engine: Dockerd) -> None:
    assert emulated_cpu(inside.project(), "buildx") == set()
    [root] = [tag for tag in docker_engine.tags() if tag.startswith("reef-root:trixie-arm64-arm64")]
    assert docker_engine.client().images.get(root).attrs["Architecture"] == "arm64"


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
    image = failed.image_name("reef-failed", there.project().workspace, JOB)
    assert image in docker_engine.tags()
    there.place.edit("echo mark > marker", "true")
    there.run(*BUILDX, status=7)
    assert image in docker_engine.tags()
    there.run("clean", "--what", "failed")
    assert image not in docker_engine.tags()
    assert "no root of a failed job is kept" in there.run("shell", status=3)


def test_a_time_limit_ends_the_script(inside: There) -> None:
    project = inside.project()
    job = BuildJob("try/limit", Root("trixie", AMD64, AMD64, ()), "echo began; sleep 600", limits=JobLimits(4.0))
    with pytest.raises(BuildError, match="run of try/limit failed after its time limit of 4 s") as caught:
        project.engines.get("buildx").run(job, project.workspace.path / "out", project.log)
    assert "began" in caught.value.detail


def test_a_script_without_space_is_reported_as_a_full_disk(inside: There) -> None:
    project = inside.project()
    job = BuildJob("try/space", Root("trixie", AMD64, AMD64, ()), "echo began; dd if=/dev/zero of=/dev/full count=1")
    with pytest.raises(DiskError, match="no space left on the disk of the Docker engine at unix:") as caught:
        project.engines.get("buildx").run(job, project.workspace.path / "out", project.log)
    assert "began" in caught.value.detail
    assert not failed.names(project.workspace)


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)])
def test_ended_in_a_build_nothing_runs_on(there: There, docker_engine: Dockerd, number: int) -> None:
    there.place.fetches("true")
    # Other runs on this machine may be at the same test: each sleeps for a time of its own.
    sleeping = f"sleep 612.{os.getpid()}{number}"
    there.place.edit("  compile: |\n", f"  compile: |\n    echo compiling; {sleeping}\n")
    fetched = failed.image_name("reef-fetched", there.project().workspace, JOB)
    child = there.start(*BUILDX)
    there.place.when(child, lambda: bool(processes(sleeping)))
    assert fetched in docker_engine.tags()
    status = kill(child, number)
    if number == signal.SIGINT:
        assert status == 130
        assert fetched not in docker_engine.tags()
    else:  # nobody was left to remove it, but it tells whose it is
        mine = daemon.owner(there.project().workspace)
        assert docker_engine.client().images.get(fetched).labels["reef.workspace"] == mine
        docker_engine.client().images.remove(fetched, force=True)
    until = 600
    while (left := processes(sleeping) + processes(str(there.place.folder))) and until:
        until -= 1
        subprocess.run(["sleep", "0.2"], check=True)
    assert left == []
    assert not (there.place.artifacts / BUILT).exists()
    there.run("clean")
    assert not list((there.place.artifacts / "scratch").glob("*"))


def test_an_engine_that_dies_is_reported_and_the_next_run_builds(there: There, docker_engine: Dockerd) -> None:
    there.place.edit("  compile: |\n", "  compile: |\n    echo compiling; sleep 600\n")
    child = there.start(*BUILDX)
    there.place.when(child, lambda: "\ncompiling" in there.place.log_text())
    docker_engine.kill()
    assert child.wait(timeout=300) == 5
    output = (there.place.folder / "output").read_text()
    assert f"the Docker engine at {docker_engine.host} no longer answers" in output
    assert "Traceback" not in output
    docker_engine.start()
    there.place.edit("echo compiling; sleep 600", "echo works again; exit 9")
    assert "works again" in there.run(*BUILDX, status=7)


def test_a_full_disk_of_the_engine_is_reported_as_one(there: There) -> None:
    small = Dockerd("bookworm", small="80m")
    try:
        output = there.run(*BUILDX, status=11, DOCKER_HOST=small.host)
        assert f"no space left on the disk of the Docker engine at {small.host}" in output
        assert "docker builder prune" in output
    finally:
        small.remove()


def test_a_cpu_that_the_engine_does_not_run_is_reported(inside: There, monkeypatch: pytest.MonkeyPatch) -> None:
    known = probe.program(ARM64)
    nobodys = known[:18] + b"\xff\xfe" + known[20:]
    monkeypatch.setattr(probe, "program", lambda _: nobodys)
    project = inside.project()
    runner = project.engines.get("buildx")
    assert isinstance(runner, BuildxEngine)
    with pytest.raises(HostError, match="does not run arm64 programs") as caught:
        runner.check(Root("trixie", ARM64, ARM64, ()))
    assert "/probe" in caught.value.detail
    assert "doctor --fix" in caught.value.fix


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
        images = Images(project)
        name, _ = images.root(root, here(), made)
        listed = docker_engine.client().containers.run(
            name,
            ["dpkg-query", "--show", "--showformat=${binary:Package}=${Version}\n"],
            network_mode="none",
            remove=True,
        )
        bootstrap.make(root, project)
        assert sorted(listed.decode().split()) == list(manifest.installed(root, project.workspace))
        left = ["sh", "-euc", "ls /etc/apt/apt.conf.d /etc/dpkg/dpkg.cfg.d; test -s /usr/share/doc/file/copyright"]
        assert b"docker" not in docker_engine.client().containers.run(name, left, network_mode="none", remove=True)
        logs = (project.workspace.logs / "roots" / f"{name.partition(':')[2]}.log").read_text()
        assert "Setting up file" in logs
    finally:
        registry.terminate()
        registry.wait()


OTHERWISE = """\
apt-get update; apt-get install --yes bc
echo 'path-exclude /usr/share/doc/*' >/etc/dpkg/dpkg.cfg.d/docker
echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' >/etc/apt/apt.conf.d/docker-clean
echo 'deb http://127.0.0.1:9/debian trixie main' >/etc/apt/sources.list.d/away.list
"""
"""What makes a base image as unlike Reef's own as a registry's is: more packages, no documentation, another mirror."""


def _own_base(there: There) -> str:
    project = there.project()
    images = Images(project)
    return images._bootstrapped(Root("trixie", AMD64, AMD64, ()), here(), daemon.connect(current()))


def _pushed(there: There, docker_engine: Dockerd, name: str) -> None:
    client = docker_engine.client()
    container = client.containers.run(
        _own_base(there), ["sh", "-euc", OTHERWISE], network_mode="host", detach=True
    )  # fmt: skip
    assert container.wait()["StatusCode"] == 0, container.logs().decode()
    container.commit(name, tag="trixie-slim")
    container.remove()
    output = client.images.push(name, tag="trixie-slim")
    assert "error" not in output


def test_where_no_registry_answers_the_base_is_made_here(inside: There, capsys: pytest.CaptureFixture[str]) -> None:
    inside.settings("buildx: {network: host, image: '127.0.0.1:9/debian:{suite}'}\n")
    project = inside.project()
    images = Images(replace(project, log=Log(live=False)))
    name, [step] = images.root(Root("trixie", AMD64, AMD64, ("ed",)), here(), daemon.connect(current()))
    assert step.name == "root"
    assert "127.0.0.1:9/debian:trixie cannot be fetched from its registry: making the base" in capsys.readouterr().out
    assert daemon.connect(current()).has_image(name)


def test_the_documented_command_makes_a_root_by_hand(inside: There, docker_engine: Dockerd) -> None:
    page = (CHECKOUT / "docs" / "docker.md").read_text()
    found = re.search(r"^    (docker buildx build (?:.*\\\n)*.*)$", page, re.MULTILINE)
    assert found
    words = shlex.split(found[1].replace("\\\n", ""))
    more = ["--network", "host", "--build-arg", f"BASE={_own_base(inside)}"]
    more += ["--build-arg", f"MIRROR={debian_mirror.host_mirror().url}"]
    done = subprocess.run(
        [*words[:-1], *more, words[-1]], cwd=CHECKOUT, env=os.environ | inside.environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    machine = ["aarch64-linux-gnu-gcc", "-dumpmachine"]
    client = docker_engine.client()
    assert client.containers.run("cross-root", machine, network_mode="none", remove=True) == b"aarch64-linux-gnu\n"
    client.images.remove("cross-root")


def ccaches(engine: Dockerd) -> int:
    """Return how many caches of compiled files the engine keeps."""
    kept = engine.client().df()["BuildCache"]
    return len([one for one in kept if one["Description"].startswith("cached mount /cache/ccache from ")])


@pytest.mark.nightly
def test_a_second_build_in_a_fresh_root_gives_the_same_bytes_and_leaves_no_image(
    hello_in_docker: tuple[There, str], docker_engine: Dockerd
) -> None:
    there, _ = hello_in_docker
    before = docker_engine.tags()
    output = there.run(*BUILDX, "--verify")
    assert "5 .debs and the source package byte-identical" in output
    assert output.count("✓ make root trixie, runs amd64, for arm64") == 1
    assert sorted(docker_engine.tags()) == sorted(before)
    assert ccaches(docker_engine) == 1


def test_a_registry_that_is_not_there(there: There) -> None:
    there.settings("buildx: {network: host, image: '127.0.0.1:9/debian:{suite}'}\n")
    output = there.run(*BUILDX, "--base", "registry", status=6)
    assert "the base image cannot be fetched from its registry" in output
    assert "127.0.0.1:9/debian:trixie" in output
    assert "--base bootstrap" in output


def patched(folder: Path, code: str) -> dict[str, str]:
    """Return the variable that lets the command line run ``code`` before anything else."""
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(folder)}


def test_a_missing_buildx_and_one_that_is_too_old_end_with_5(place: Place, tmp_path: Path) -> None:
    (tmp_path / "cli-plugins").mkdir()
    nowhere_else = patched(tmp_path, "from builders.engines.buildx.docker import endpoint\nendpoint.PLUGINS = ()\n")
    there = There(place, {"DOCKER_CONFIG": str(tmp_path), **nowhere_else})
    output = there.run(*BUILDX, status=5)
    assert "buildx is not installed" in output
    assert "docker-buildx" in output
    plugin = tmp_path / "cli-plugins" / "docker-buildx"
    plugin.write_text("#!/bin/sh\necho github.com/docker/buildx v0.10.4 0\n")
    plugin.chmod(0o755)
    assert "buildx is too old: 0.10.4" in there.run(*BUILDX, status=5)


# Another machine: a Docker engine of today's, reached over TCP with TLS, in a network of its own.

CCACHE = re.compile(r"^ccache +[0-9.]+[kMG]?B +yes +compiled files *$", re.MULTILINE)
"""How the compiled files that an engine keeps are shown; those of this machine are counted, too."""
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
def far_from(
    docker_engine: Dockerd, far: Dockerd, docker_config: Path, certificates: Path
) -> Callable[[Place], Within]:
    """Makes the far engine the node of a project."""

    def made(place: Place) -> Within:
        project = Within(place, dockers.environment(docker_engine, docker_config), far)
        node = f"{{name: far, endpoint: '{FAR}', certificates: '{certificates}', architectures: [amd64]}}"
        project.settings(f"buildx: {{base: bootstrap, network: host, nodes: [{node}]}}\n")
        return project

    return made


@pytest.fixture
def within(place: Place, far_from: Callable[[Place], Within]) -> Within:
    return far_from(place)


def test_the_far_node_builds_the_same_bytes_from_what_the_near_one_compiled_and_is_named(
    machines: Callable[[], Place], far_from: Callable[[Place], Within], hello_in_docker: tuple[There, str],
    docker_engine: Dockerd, far: Dockerd,
) -> None:  # fmt: skip
    near = There(machines(), hello_in_docker[0].environment)
    near.settings(dockers.SETTINGS)
    packed = near.place.folder / "caches.tar.zst"
    near.run("cache", "--export", str(packed))
    assert CCACHE.search(near.run("cache"))
    for image in docker_engine.client().images.list():  # the far engine has no mirror in its network
        if any(tag.startswith("reef-root:trixie-amd64-") for tag in image.tags):
            far.client().images.load(b"".join(image.save(named=True)))
    within = far_from(machines())
    assert not CCACHE.search(within.run("cache"))
    within.run("cache", "--import", str(packed))
    output = within.run(*BUILDX)
    assert f"{JOB}: on node far at {FAR} (amd64)" in output
    assert within.debs() == hello_in_docker[0].debs()
    record = json.loads((within.place.artifacts / BUILT / "record.json").read_text())
    assert record["ccache"] == [1, 1]
    shown = within.run("builders")
    assert "Docker 26." in shown
    assert FAR in shown


def test_a_node_that_does_not_run_the_cpu_it_is_said_to_is_reported(within: Within, tmp_path: Path) -> None:
    text = (within.place.folder / "reef.yml").read_text()
    (within.place.folder / "reef.yml").write_text(text.replace("architectures: [amd64]", "architectures: [arm64]"))
    code = """
from builders.engines.buildx.builder import probe
known = probe.program
probe.program = lambda cpu: known(cpu)[:18] + bytes([255, 254]) + known(cpu)[20:]
"""
    output = within.run(*BUILDX, status=5, **patched(tmp_path, code))
    assert f"node far at {FAR} does not run arm64 programs" in output
    assert "name a node of that CPU under buildx: in reef.yml" in output


def test_a_node_that_cannot_be_reached_is_reported(within: Within) -> None:
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


@pytest.fixture
def kit(there: There, tmp_path: Path) -> Iterator[Dockerd]:
    """An engine of today's whose BuildKit alone is a builder of the project's, and where no registry answers.

    With images kept by containerd it is a whole BuildKit, which also hands out images.
    """
    (tmp_path / "daemon.json").write_text('{"features": {"containerd-snapshotter": true}}')
    words = (f"--config-file={tmp_path / 'daemon.json'}", "--storage-driver=overlayfs")
    made = Dockerd("trixie", shared=tmp_path, words=words)
    inner = BuildKit(Path(made.host.removeprefix("unix://")))
    node = f"{{name: kit, driver: remote, endpoint: '{inner.address}', architectures: [amd64]}}"
    image = "127.0.0.1:9/debian:{suite}"
    try:
        there.settings(f"buildx: {{base: auto, image: '{image}', network: host, nodes: [{node}]}}\n")
        assert "not created: ./inv builders --create" in there.run("builders", status=5)
        assert "created builder reef-kit (remote)" in there.run("builders", "--create")
        yield made
        assert "removed builder reef-kit (remote)" in there.run("builders", "--remove")
        assert "not created" in there.run("builders", status=5)
    finally:
        inner.close()
        made.remove()


@pytest.mark.nightly
def test_a_builder_on_its_own_builds_the_same_bytes_keeps_failed_roots_and_makes_fresh_ones(
    kit: Dockerd, inside: There, hello_in_docker: tuple[There, str], docker_engine: Dockerd
) -> None:
    output = inside.run(*BUILDX)
    assert f"{JOB}: on the builder reef-kit" in output
    assert "127.0.0.1:9/debian:trixie cannot be fetched from its registry: making the base with mmdebstrap" in output
    assert inside.debs() == hello_in_docker[0].debs()
    assert CCACHE.search(inside.run("cache"))

    inside.place.edit("  compile: |\n", "  compile: |\n    echo the last words; exit 9\n")
    output = inside.run(*BUILDX, status=7)
    assert "the last words" in output
    image = failed.image_name("reef-failed", inside.project().workspace, JOB)
    assert f"./inv shell --job {JOB}" in output
    assert image in docker_engine.tags()
    inside.run("clean", "--what", "failed")
    assert image not in docker_engine.tags()

    job = BuildJob("try/when", Root("trixie", AMD64, AMD64, ()), "stat --format=%y /etc/apt/apt.conf.d/99reef >out/at")
    project = inside.project()

    def made_at(*, fresh: bool) -> str:
        runner = project.engines.get("buildx", project.workspace if fresh else None)
        output = project.workspace.path / os.urandom(3).hex()
        return (runner.run(job, output, project.log).output / "at").read_text()

    assert made_at(fresh=False) == made_at(fresh=False) != made_at(fresh=True)


def test_a_context_that_leads_nowhere_is_reported(place: Place, docker_config: Path) -> None:
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


def test_no_engine_and_no_permission_are_reported(place: Place, docker_engine: Dockerd, docker_config: Path) -> None:
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
