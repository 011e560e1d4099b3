"""What the buildx engine decides before it asks any engine: which, where, in which words; and how it reads answers."""

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock, create_autospec

import pytest

from builders.engines.buildx import dockerfile, failed
from builders.engines.buildx.builder import client, failures, mounts, nodes
from builders.engines.buildx.builder.client import BuildFailed
from builders.engines.buildx.builder.progress import JobProgress, Progress
from builders.engines.buildx.docker import daemon, endpoint, ping
from builders.engines.buildx.engine import BuildxEngine
from builders.engines.buildx.images import DOCKERFILES, PINS, Images, pins
from builders.errors import DiskError, HostError, InputError, RootError
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64, ARM64, ARMHF
from builders.model.context import Context
from builders.model.jobs import APT_CACHE, BuildJob, CacheMount, Input, JobLimits, Root
from builders.model.settings import BuildxNode, Settings
from builders.pipeline.project import Project
from tests.support.docker import no_docker, plugin

ROOT = Root("trixie", AMD64, ARM64, ())


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return no_docker(tmp_path, monkeypatch)


def context(config: Path, name: str, host: str) -> None:
    folder = config / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))


def test_the_engine_is_found_as_dockers_own_tools_find_it(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert endpoint.current().host == "unix:///var/run/docker.sock"
    context(alone, "board", "ssh://me@board")
    (alone / "config.json").write_text('{"currentContext": "board"}')
    assert endpoint.current() == endpoint.Endpoint("ssh://me@board", "board")
    context(alone, "other", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    assert endpoint.current().host == "tcp://127.0.0.1:1"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(alone))
    with pytest.raises(HostError, match="no certificates for the Docker engine at tcp://127") as caught:
        endpoint.current()
    assert f"there is no ca.pem, cert.pem, key.pem in {alone}" in caught.value.detail
    assert not ping.answers()
    for name in endpoint.TLS_FILES:
        (alone / name).touch()
    assert endpoint.current() == endpoint.Endpoint("tcp://127.0.0.1:2376", None, alone)


def test_an_unknown_context_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(HostError, match="no docker context is called 'gone'"):
        endpoint.current()
    assert not ping.answers()


def test_buildx_is_chosen_only_where_an_engine_answers_and_buildx_is_there(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "s"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}")
    (tmp_path / "project" / "recipes").mkdir(parents=True)
    project = Project(tmp_path, Settings(), None, AMD64, Log(quiet=True), {})  # type: ignore[arg-type]

    def chosen() -> str:
        ping.answers.cache_clear()
        return project.engines.name()

    plugin(alone, "v0.13.1")
    assert chosen() == "chroot"  # no socket
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        assert chosen() == "chroot"  # nobody listens
        server.listen()

        def answer() -> None:
            for _ in range(2):
                with server.accept()[0] as peer:
                    if peer.recv(1000):
                        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

        thread = threading.Thread(target=answer)
        thread.start()
        assert chosen() == "buildx"
        (alone / "cli-plugins" / "docker-buildx").unlink()
        assert chosen() == "chroot"  # it would answer, but there is no buildx
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(place))
        thread.join()
    assert project.engines.name("chroot") == "chroot"
    with pytest.raises(InputError, match="unknown engine"):
        project.engines.name("steam")
    with pytest.raises(InputError, match="unknown base"):
        project.with_base("thin air")


NODES = [
    {"name": "arm", "driver": "docker", "endpoint": "ssh://me@arm", "architectures": ["arm64", "armhf"]},
    {"name": "any", "driver": "docker", "endpoint": "tcp://127.0.0.1:1"},
]


def test_a_cpus_jobs_go_to_the_node_that_runs_it_natively() -> None:
    found = nodes.named(Settings.model_validate({"buildx": {"nodes": NODES}}), Path())
    assert nodes.choose(found, ARM64).name == "arm"
    assert nodes.choose(found, ARMHF).name == "arm"
    assert nodes.choose(found, AMD64).name == "any"
    assert nodes.choose(found[:1], AMD64).name == "arm"


def test_a_native_node_makes_native_builds(tmp_path: Path) -> None:
    settings = Settings.model_validate({"buildx": {"nodes": NODES}})
    project = Project(tmp_path, settings, None, AMD64, Log(quiet=True), {})  # type: ignore[arg-type]
    assert project.engines.machine_for(ARM64, "buildx") == ARM64
    assert project.engines.machine_for(ARM64, "chroot") == AMD64
    assert project.engines.machine_for(ARM64, None) == ARM64


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (
            {"name": "farm", "driver": "kubernetes", "architectures": ["arm64"], "options": {"replicas": "2"}},
            ["create", "--name=reef-farm", "--driver=kubernetes", "--platform=linux/arm64", "--driver-opt=replicas=2"],
        ),
        (
            {"name": "box", "driver": "docker-container", "endpoint": "arm-context"},
            ["create", "--name=reef-box", "--driver=docker-container", "arm-context"],
        ),
        (
            {"name": "kit", "driver": "remote", "endpoint": "tcp://kit:1234", "options": {"cacert": "/c/ca.pem"}},
            ["create", "--name=reef-kit", "--driver=remote", "--driver-opt=cacert=/c/ca.pem", "tcp://kit:1234"],
        ),
        ({"name": "plain", "endpoint": "ssh://me@arm"}, None),
    ],
)
def test_the_words_that_create_a_builder(node: dict[str, object], words: list[str] | None) -> None:
    assert nodes.creation(BuildxNode.model_validate(node)) == words


def test_nodes_that_cannot_be_reached_as_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs an endpoint"):
        BuildxNode.model_validate({"name": "x"})
    with pytest.raises(ValueError, match="belong in its options"):
        BuildxNode.model_validate({"name": "x", "driver": "kubernetes", "certificates": "c"})
    settings = Settings.model_validate(
        {"buildx": {"nodes": [{"name": "x", "endpoint": "tcp://h:1", "certificates": "c"}]}}
    )
    (tmp_path / "c").mkdir()
    for name in ("ca.pem", "cert.pem"):
        (tmp_path / "c" / name).write_text("x")
    with pytest.raises(InputError, match=r"node x: no key\.pem in"):
        nodes.named(settings, tmp_path)


def test_inputs_lie_over_each_other_the_last_on_top(tmp_path: Path) -> None:
    below, above = tmp_path / "below", tmp_path / "above"
    for path, text in (("both", "low"), ("low", "low"), ("folder/inner", "low"), ("swapped/inner", "low")):
        (below / path).parent.mkdir(parents=True, exist_ok=True)
        (below / path).write_text(text)
    (below / "link").symlink_to("folder")
    (above / "folder").mkdir(parents=True)
    (above / "link").mkdir()
    (above / "link" / "new").write_text("high")
    for path in ("both", "folder/more", "swapped"):
        (above / path).write_text("high")
    os.utime(below / "low", (1, 1))
    job = BuildJob(
        "a/b", ROOT, "true", inputs=(Input(below, "/x"), Input(tmp_path / "below", "/y"), Input(above, "/x"))
    )
    assert dockerfile.assemble(job, tmp_path / "context") == ["/x", "/y"]
    x = tmp_path / "context" / "inputs" / "0"
    files = {str(path.relative_to(x)): path.read_text() for path in x.rglob("*") if path.is_file()}
    assert files == {
        "both": "high", "low": "low", "folder/inner": "low", "folder/more": "high", "swapped": "high",
        "link/new": "high",
    }  # fmt: skip
    assert (x / "low").stat().st_mtime == 1
    assert (below / "both").read_text() == "low"
    assert not (tmp_path / "below" / "folder" / "more").exists()


JOB = BuildJob(
    "hello/build", ROOT, "make", fetch="get", inputs=(Input(Path("/in"), "/srv/it costs $5"),),
    environment={"CC": "gcc $X"}, caches=(CacheMount("ccache", "/cache"),), limits=JobLimits(60.0),
)  # fmt: skip


def test_one_instruction_or_a_whole_build_is_cut_off_the_network() -> None:
    def text(*, run_network: bool, fetched: str | None = None) -> list[str]:
        places = ["/srv/it costs $5"]
        made = dockerfile.job_dockerfile(
            JOB, "FROM r AS start", places, nonce="n", run_network=run_network, fetched=fetched
        )
        return made.splitlines()

    new = text(run_network=True)
    assert 'COPY ["inputs/0/", "/srv/it costs \\\\$5/"]' in new
    [fetch, run] = [line for line in new if "runner.pl" in line]
    assert fetch.startswith("RUN --mount=type=cache,id=reef-ccache,target=/cache --mount=type=secret,id=reef-apt,")
    assert "secret" not in run
    assert '["/usr/bin/env", "-i", "--chdir=' in run
    assert run.startswith("RUN --network=none --mount=type=cache,id=reef-ccache,target=/cache [")
    assert '"CC=gcc $X"' in run
    assert '"run", "60.0", "n"]' in run
    old = text(run_network=False, fetched="reef-fetched:x")
    assert old[0] == "FROM reef-fetched:x AS run"
    assert "--network" not in "".join(old)


def test_an_emulated_job_knows_which_cpu_to_be() -> None:
    job = replace(JOB, root=Root("trixie", ARM64, ARM64, ()))
    made = dockerfile.job_dockerfile(job, "FROM r AS start", ["/srv"], nonce="n", run_network=True).splitlines()
    assert "ENV QEMU_CPU=cortex-a53" in made[: made.index("FROM start AS fetch")]
    assert all('"QEMU_CPU=cortex-a53"' in line for line in made if "runner.pl" in line)
    native = dockerfile.job_dockerfile(JOB, "FROM r AS start", ["/srv"], nonce="n", run_network=True)
    assert "QEMU_CPU" not in native


def test_only_the_script_gets_the_way_to_a_storage() -> None:
    def text(storage: dict[str, str]) -> list[str]:
        return dockerfile.job_dockerfile(
            JOB, "FROM r AS start", ["/srv"], nonce="n", run_network=True, storage=storage
        ).splitlines()

    without, given = text({}), text({"CCACHE_REMOTE_STORAGE": "redis://127.0.0.1:7070"})
    [(before, after)] = [pair for pair in zip(without, given, strict=True) if pair[0] != pair[1]]
    assert '"run", "60.0", "n"]' in before
    assert "--mount=type=ssh,id=reef-storage,target=/reef/tunnel.sock [" in after
    assert '"CCACHE_REMOTE_STORAGE=redis://127.0.0.1:7070", "/usr/bin/perl", "/reef/runner.pl"' in after


def test_no_job_mounts_what_the_making_of_a_root_locks() -> None:
    texts = [path.read_text() for path in DOCKERFILES.glob("*-root.Dockerfile")]
    mounts = [mount for text in texts for mount in re.findall(r"--mount=type=cache,id=(\S+?),\S+sharing=locked", text)]
    assert len(mounts) == 2
    assert f"reef-{APT_CACHE.name}" not in mounts


@pytest.mark.parametrize(
    ("words", "tail", "message"),
    [
        ("ERROR: unknown flag: --ssh", "", True),
        ("requested experimental feature exec.mount.ssh has been disabled on the build server", "", True),
        (
            ">>> RUN --mount=type=ssh,id=reef-storage,target=/reef/tunnel.sock x\nwrite: no space left on device",
            "",
            False,
        ),
        ("error during connect: ssh: connection refused", "", False),
        ("unknown flag: --ssh", "the last words", False),
    ],
)
def test_builders_that_forward_no_sockets_are_known(words: str, tail: str, message: bool) -> None:
    assert failures.forwards_no_sockets(BuildFailed(words, tail)) == message


def test_an_image_of_a_failure_goes_before_any_engine_runs_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path, Settings(), Workspace(tmp_path), AMD64, Log(quiet=True), {})
    failed.note(project.workspace, JOB, endpoint.Endpoint("unix:///its/socket"), "reef-failed:x")
    engine = create_autospec(daemon.Daemon)
    monkeypatch.setattr(daemon, "connect", lambda _: engine)
    chroot = Mock()
    chroot.run.side_effect = lambda *_: engine.remove_image.assert_called_once_with("reef-failed:x")
    project.engines.run(chroot, JOB, tmp_path / "out")
    chroot.run.assert_called_once()
    assert failed.names(project.workspace) == []


def test_half_a_root_of_the_chroot_engine_is_not_entered_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "failed" / JOB.name.replace("/", "-")
    folder.mkdir(parents=True)
    (folder / "entry.json").write_text("{}")

    def ended(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(failed, "remove_tree", ended)
    with pytest.raises(KeyboardInterrupt):
        failed.forget(Workspace(tmp_path), JOB.name)
    assert not (folder / "entry.json").exists()


def test_what_a_second_build_leaves_belongs_to_the_project(tmp_path: Path) -> None:
    second = Workspace(tmp_path / "scratch" / "verify", project=tmp_path)
    assert daemon.owner(second) == daemon.owner(Workspace(tmp_path)) != daemon.owner(Workspace(tmp_path / "scratch"))


def sent(**status: object) -> str:
    return json.dumps(status)


def log_of(vertex: str, text: str) -> str:
    return sent(logs=[{"vertex": vertex, "data": base64.b64encode(text.encode()).decode()}])


def test_progress_is_read_on_one_line_or_on_many(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "log")
    lines = [
        sent(vertexes=[{"digest": "d", "name": "[root 1/1] RUN x", "started": "now"}]),
        *json.dumps(json.loads(log_of("d", "one\ntwo\r\nthr")), indent=2).splitlines(),
        log_of("d", "ee\n"),
        sent(vertexes=[{"digest": "d", "name": "[root 1/1] RUN x", "started": "now", "error": "it broke"}]),
        "ERROR: failed to solve: it broke",
        "{not json",
    ]
    for line in lines:
        progress.take(line)
    assert list(progress.tail) == ["one", "two", "three"]
    assert progress.errors == ["it broke", "ERROR: failed to solve: it broke", "{not json"]
    assert (tmp_path / "log").read_text().splitlines()[:3] == ["one", "two", "three"]


def test_each_script_of_a_job_is_a_step_with_a_log_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = {name: tmp_path / name for name in ("fetch", "run")}
    progress = JobProgress("job", logs, Log(live=False))
    names = {
        name: f'[{name} 1/1] RUN ["/usr/bin/env", "/usr/bin/perl", "/reef/runner.pl", "{name}", "0", "n"]'
        for name in ("fetch", "run")
    }
    with progress.shown():
        for name, said in (("fetch", "getting\nreef-ended fetch 3\n"), ("run", "reef-ended run 0\n")):
            progress.take(sent(vertexes=[{"digest": name, "name": names[name], "started": "t"}]))
            progress.take(log_of(name, said))
    assert progress.failed == "fetch"
    assert logs["fetch"].read_text() == "getting\n"
    shown = capsys.readouterr().out
    assert "▸ fetch job" in shown
    assert "run job" not in shown


SAID = {
    (DiskError, "no space left on the disk of N"): [
        "write /x: no space left on device", "failed to copy: write /x: No space left on device",
    ],
    (HostError, "N does not run arm64 programs"): [
        "exec /probe: exec format error", "runtime execution on platform linux/arm64 not supported",
        "no match for platform in manifest: not found", "builder reef-x does not support platform linux/arm64",
        "image was found but does not provide the specified platform (linux/arm64)",
        "no builder found for platform linux/arm64", "no nodes match the platform linux/arm64",
    ],
    (HostError, "N no longer answers"): [
        "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
        "error during connect: Get http://x/_ping: EOF", "dial tcp 127.0.0.1:1: connect: connection refused",
        "read tcp 127.0.0.1:1: read: connection reset by peer", "error reading from server: EOF",
        "rpc error: code = Unknown desc = unexpected EOF", "rpc error: code = Unavailable desc = gone",
        "transport is closing", "write unix @->/x: write: broken pipe", "no active session for abc",
        "dial tcp: lookup farm: no such host", "dial tcp 10.0.0.1:1: i/o timeout", "context deadline exceeded",
        "use of closed network connection", "no builder \"reef-farm\" found", "failed to find driver \"x\"",
        "permission denied while trying to connect to the Docker daemon socket",
    ],
    (RootError, "the base image cannot be fetched from its registry"): [
        "debian:x: failed to resolve source metadata for registry.example/library/debian:x: i/o timeout",
        "failed to load metadata for debian:x: connection refused", "failed to do request: Head x: no such host",
        "failed to authorize: failed to fetch oauth token", "failed to fetch anonymous token: EOF",
        "failed to pull debian:x", "failed to copy: httpReadSeeker: connection reset",
        "pull access denied, repository does not exist", "manifest unknown",
        "registry.example/library/debian:x: not found",
        "toomanyrequests: slow down", "unexpected status from HEAD request to x: 503 Service Unavailable",
    ],
}  # fmt: skip
"""What builders and their clients say, by what a user is told of it."""


@pytest.mark.parametrize(
    ("words", "kind", "message"), [(one, *message) for message, sentences in SAID.items() for one in sentences]
)
def test_what_builders_say_is_reported_by_kind(words: str, kind: type[Exception], message: str) -> None:
    error = failures.general(BuildFailed(words, ""), "N", ARM64)
    assert isinstance(error, kind)
    assert error.what == message


@pytest.mark.parametrize("pattern", [failures.NO_SPACE, failures.FOREIGN, failures.GONE, failures.REGISTRY])
def test_every_alternative_of_what_builders_say_has_a_sentence(pattern: re.Pattern[str]) -> None:
    sentences = [one for found in SAID.values() for one in found]
    for alternative in re.split(r"\|(?![^()]*\))", pattern.pattern):
        assert any(re.search(alternative, one, pattern.flags) for one in sentences), alternative


def test_a_builds_own_failure_is_not_the_engines() -> None:
    failed = BuildFailed('process "/bin/sh" did not complete successfully: exit code: 100', "E: no package")
    assert failures.general(failed, "N", ARM64) is None
    assert not failures.registry_failed(failed)
    assert failures.registry_failed(BuildFailed("failed to do request: Head x: connection refused", ""))


@pytest.mark.parametrize("pattern", ["debian:{suite.x}", "debian:{suite[x]}", "debian:{0}", "debian:{release}", "{"])
def test_an_image_that_is_no_pattern_is_reported(pattern: str, tmp_path: Path) -> None:
    settings = Settings.model_validate({"buildx": {"image": pattern}})
    with pytest.raises(InputError, match="image: is not a pattern") as caught:
        Images(Context(tmp_path, settings, Workspace(tmp_path), AMD64, Log(quiet=True))).reference("trixie")
    assert pattern in caught.value.what


def test_pins_that_are_no_digests_are_refused(tmp_path: Path) -> None:
    assert pins(tmp_path) == {}
    (tmp_path / PINS).write_text("debian:trixie-slim: latest\n")
    with pytest.raises(InputError, match="does not hold digests"):
        pins(tmp_path)


def test_contexts_of_ours_go_with_their_keys_and_no_others(alone: Path, tmp_path: Path) -> None:
    for name in endpoint.TLS_FILES:
        (tmp_path / name).write_text(name)
    made = endpoint.as_context(endpoint.Endpoint("tcp://127.0.0.1:1", tls=tmp_path))
    context(alone, "reef-like", "tcp://127.0.0.1:2")
    assert endpoint.remove_contexts() == [made]
    assert not list(alone.rglob("key.pem"))
    assert endpoint.of_context("reef-like").host == "tcp://127.0.0.1:2"


def test_every_place_has_a_row_though_none_answers_and_buildx_is_missing(tmp_path: Path) -> None:
    written = [
        {"name": "farm", "driver": "kubernetes"},
        {"name": "far", "endpoint": "tcp://127.0.0.1:9"},
        {"name": "lost", "endpoint": "gone"},
    ]
    found = nodes.states(Settings.model_validate({"buildx": {"nodes": written}}), tmp_path)
    assert [one.name for one in found] == ["farm", "far", "lost"]
    for one, output in zip(
        found, ("buildx is not installed", "no Docker engine answers", "no docker context"), strict=True
    ):
        assert output in one.state
        assert output in one.trouble


class Engine:
    """As much of a Docker engine as loading a base image asks for."""

    def has_image(self, _name: str) -> bool:
        return True

    def made_at(self, _name: str) -> float:
        return time.time() - 61 * 86400


def test_base_images_differ_by_mirror_and_show_their_age(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def name(mirror: str, fresh: str = "") -> str:
        settings = Settings(debian_mirror=mirror)
        made = Images(Context(tmp_path, settings, Workspace(tmp_path), AMD64, Log(live=False)), fresh)
        return made._bootstrapped(ROOT, nodes.here(), Engine())  # type: ignore[arg-type]

    assert name("http://a") == name("http://a") != name("http://b")
    assert name("http://a", "-x") == name("http://a") + "-x"
    assert "61 days old; after ./inv clean --what images --what roots" in " ".join(capsys.readouterr().out.split())


def test_clean_spares_other_projects_and_roots_in_use() -> None:
    import docker
    from docker.errors import APIError
    from requests import Response

    client, gone = create_autospec(docker.DockerClient, instance=True), []
    labels = {"mine": {"reef.workspace": "me"}, "theirs": {"reef.workspace": "you"}, "idle": {}, "used": {}}
    client.images.list.return_value = [Mock(tags=[name], labels=of) for name, of in labels.items()]
    client.containers.list.return_value = []

    def remove(name: str, *, force: bool = False) -> None:
        if name == "used" and not force:
            refused = Response()
            refused.status_code = 409
            raise APIError("in use", response=refused)
        gone.append(name)

    client.images.remove = remove
    place = endpoint.Endpoint("tcp://127.0.0.1:1")
    assert daemon.Daemon(client, place, (26,), AMD64, 1, None).remove_ours("me") == ["idle", "mine"]
    assert gone == ["mine", "idle"]
    client.containers.list.assert_called_once_with(all=True, filters={"label": "reef.workspace=me"})


def test_a_disk_that_is_nearly_full_is_reported_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import docker

    free = {"here": 3 * 2**30}
    client_of = create_autospec(docker.DockerClient, instance=True)
    there = daemon.Daemon(client_of, endpoint.current(), (26,), AMD64, 1, tmp_path)
    monkeypatch.setattr(daemon, "connect", lambda _: there)
    monkeypatch.setattr(client, "program", lambda: "buildx")
    monkeypatch.setattr(client, "build", lambda *_, **__: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Mock(free=free["here"]))

    def said() -> str:
        made = BuildxEngine(Context(tmp_path, Settings(), Workspace(tmp_path), AMD64, Log(live=False)))
        made.check(ROOT)
        made.check(ROOT)
        return " ".join(capsys.readouterr().out.split())

    assert (
        said().count("warning: only 3.2 GB free on the disk of the Docker engine at unix:///var/run/docker.sock") == 1
    )
    free["here"] = 6 * 2**30
    assert "warning" not in said()


REMOTE = {"buildx": {"base": "auto", "nodes": [{"name": "kit", "driver": "remote", "endpoint": "tcp://kit:1"}]}}


def test_a_builder_on_its_own_makes_its_base_where_no_registry_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = [BuildFailed("failed to do request: Head x: connection refused", ""), BuildFailed("it broke", "E: apt")]
    monkeypatch.setattr(client, "build", Mock(side_effect=[None, *trouble]))
    monkeypatch.setattr(Images, "_tar", lambda _self, _suite, _cpu, tar: tar.write_bytes(b""))
    settings = Settings.model_validate(REMOTE | {"debian_mirror": "http://m"})
    [node] = nodes.named(settings, tmp_path)

    def staged(fresh: str = "") -> tuple[str, dict[str, str]]:
        return Images(Context(tmp_path, settings, Workspace(tmp_path), AMD64, Log(live=False)), fresh).stage(
            ROOT, node, tmp_path
        )

    text, arguments = staged()
    assert arguments["BASE"] == "debian:trixie-slim"
    text, arguments = staged("-word")
    assert text.startswith("FROM scratch AS base\nADD base.tar /\n")
    assert "debian:trixie-slim cannot be fetched from its registry" in capsys.readouterr().out
    # A root made anew is told apart from an equal one by this word, before the instruction that makes it.
    assert arguments["FRESH"] == "-word"
    assert 0 < text.index("ARG FRESH") < text.index("RUN ")
    with pytest.raises(RootError, match="cannot be made in the builder reef-kit"):
        staged()


def test_the_kept_root_of_a_builder_on_its_own_is_removed_where_it_was_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, asked = Workspace(tmp_path), []

    class Elsewhere:
        def __init__(self, place: endpoint.Endpoint) -> None:
            self.place = place

        def remove_image(self, name: str) -> None:
            asked.append((self.place.host, name))

        def remove_ours(self, owner: str) -> list[str]:
            asked.append((self.place.host, owner))
            return []

    monkeypatch.setattr(daemon, "connect", Elsewhere)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    failed.note(space, JOB, None, "reef-failed:x")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2")
    failed.forget(space, JOB.name)
    assert asked == [("tcp://127.0.0.1:1", "reef-failed:x")]
    assert failed.names(space) == []
    asked.clear()
    monkeypatch.setattr(ping, "answers", lambda: True)
    nodes.remove_images(Settings.model_validate(REMOTE), tmp_path, space)
    assert asked == [("tcp://127.0.0.1:2", daemon.owner(space))]
    monkeypatch.setattr(ping, "answers", lambda: False)
    assert nodes.remove_images(Settings.model_validate(REMOTE), tmp_path, space) == []
    assert len(asked) == 1


def test_the_caches_that_builders_keep_for_jobs_are_known_by_place_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """As buildx tells them: Docker 20.10 first, whose words lack the id; then one of somebody else's builds."""
    runner = "from exec /usr/bin/env -i CCACHE_DIR=/cache/ccache /usr/bin/perl /reef/runner.pl run 0 573e"
    descriptions = [
        f"cached mount /cache/ccache {runner}",
        f'cached mount /cache/bazel-actions {runner} with id "/reef-bazel-actions"',
        "cached mount /cache/pip from exec /bin/sh -c pip install x",
        f"mount / {runner}",
    ]
    said = "\n\n".join(
        f"ID:\t\t{n}\nMutable:\ttrue\nSize:\t\t{n}.5MB\nDescription:\t{text}\nType:\t\texec.cachemount"
        for n, text in enumerate(descriptions)
    )
    monkeypatch.setattr(client, "call", lambda *_: f"{said}\n\nReclaimable:\t9MB\nTotal:\t\t9MB\n")
    assert mounts.usage(nodes.here()) == [("bazel-actions", "1.5MB"), ("ccache", "0.5MB")]
    calls: list[list[str]] = []

    def call(words: list[str], _: object) -> str:
        calls.append(words)
        return said

    monkeypatch.setattr(client, "call", call)
    mounts.remove(nodes.here(), "573e")
    assert [words[-1] for words in calls] == ["--builder=default", "--filter=id=0", "--filter=id=1"]
