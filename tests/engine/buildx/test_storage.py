"""Docker engines that share compiled files by a real server, which none of them can reach: neither the one of Debian 12
beside it, nor one of today's in a network of its own."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from builders.engines.buildx import failed
from tests.support import dockers
from tests.support.cache_servers import PASSWORD, USER, apache, redis
from tests.support.checkout import HELLO
from tests.support.dockers import BUILDX, BUILT, JOB, Dockerd, There
from tests.support.place import Place
from tests.support.ports import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Docker engines of the tests' own need root")

ALONE = r"""
    test "$(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev)" = lo
    echo "storage is [${CCACHE_REMOTE_STORAGE:-}]"; env; cat /proc/*/cmdline | tr '\0' '\n'
    perl -MIO::Socket::INET -e 'exit !!IO::Socket::INET->new("127.0.0.1:SERVER")'
"""
FORMS = (PASSWORD, quote(PASSWORD, safe=""))


@pytest.fixture(scope="module")
def far() -> Iterator[Dockerd]:
    """An engine in a network of its own; we reach its socket."""
    made = Dockerd("trixie", own_network=True)
    yield made
    made.remove()


@pytest.fixture
def away(module_place: Place, far: Dockerd, docker_config: Path) -> There:
    """A project that builds in the far engine."""
    made = There(module_place, dockers.environment(far, docker_config))
    made.settings(dockers.SETTINGS)
    return made


def forgetful(engine: Dockerd) -> None:
    """Let an engine forget what it compiled."""
    # The SDK's types do not know this filter of the engine's API.
    engine.client().api.prune_builds(filters={"type": "exec.cachemount"}, all=True)  # type: ignore[arg-type]


def build(there: There, url: str, *, status: int = 0, **extra: str) -> str:
    return there.run(*BUILDX, "--force", status=status, REEF_CCACHE_STORAGE=url, **extra)


def record(there: There) -> dict[str, object]:
    found: dict[str, object] = json.loads((there.place.artifacts / BUILT / "record.json").read_text())
    return found


def same_roots(origin: Dockerd, destination: Dockerd) -> None:
    """Give an engine that reaches no mirror the roots of another."""
    for image in origin.client().images.list():
        missing = set(image.tags) - set(destination.tags())
        if any(tag.startswith("reef-root:trixie-amd64-arm64") for tag in missing):
            destination.client().images.load(b"".join(image.save(named=True)))


def assert_no_secret(there: There, engine: Dockerd, output: str) -> None:
    images = engine.client().images.list(all=True)
    texts = [output, *(json.dumps([one.attrs, one.history()], ensure_ascii=False) for one in images)]
    for form in FORMS:
        assert not [text for text in texts if form in text]
        for path in there.place.artifacts.rglob("*"):
            if path.is_file() and "cache" not in path.parts:
                assert form.encode() not in path.read_bytes(), path


@contextmanager
def server(scheme: str) -> Iterator[tuple[str, int]]:
    """A server and its URL with a password."""
    with redis() if scheme == "redis" else apache() as (port, _):
        path = "/cache" if scheme == "http" else ""
        yield f"{scheme}://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}{path}", port


@pytest.mark.parametrize("scheme", [pytest.param("redis", marks=pytest.mark.nightly), "http"])
def test_what_one_engine_compiled_the_other_takes(
    there: There, away: There, docker_engine: Dockerd, far: Dockerd, scheme: str
) -> None:
    with server(scheme) as (url, port):
        for one, engine in ((there, docker_engine), (away, far)):
            forgetful(engine)
            shutil.copytree(HELLO, one.place.recipe, dirs_exist_ok=True)
            one.place.edit("  compile: |\n", "  compile: |" + ALONE.replace("SERVER", str(port)))
            one.place.fetches('test -z "${CCACHE_REMOTE_STORAGE:-}"')
            one.settings(dockers.SETTINGS + "ccache_storage: {url: 'http://localhost/', layout: flat}\n")
        first = build(there, url)
        assert record(there)["ccache"] == [0, 1]
        assert f"ccache storage {scheme}://127.0.0.1:{port}: 0 found" in first
        same_roots(docker_engine, far)
        second = build(away, url)
        assert record(away)["ccache"] == [1, 1], second
        assert ", 0 not, 0 stored" in second
        for one, engine, output in ((there, docker_engine, first), (away, far, second)):
            assert f"storage is [{scheme}://127.0.0.1:7070" in one.place.log_text()
            assert_no_secret(one, engine, output)
    assert there.debs() == away.debs() != {}


def test_a_server_that_is_not_there_or_dies_is_reported_and_the_build_goes_on(
    there: There, docker_engine: Dockerd
) -> None:
    url = f"redis://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{free_port()}"
    forgetful(docker_engine)
    there.place.edit("  compile: |\n", '  compile: |\n    echo "storage is [${CCACHE_REMOTE_STORAGE:-}]"\n')
    output = build(there, url)
    assert "cannot be used" in output
    assert "the build continues without it" in output
    assert "storage is []" in there.place.log_text()
    alone = there.debs()
    forgetful(docker_engine)
    there.place.edit("  compile: |\n", "  compile: |\n    echo now; sleep 20\n")
    with redis() as (port, child):
        url = f"redis://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"
        running = there.start(*BUILDX, "--force", REEF_CCACHE_STORAGE=url)
        there.place.when(running, lambda: "\nnow\n" in there.place.log_text())
        child.kill()
        assert running.wait(timeout=300) == 0
    output = (there.place.folder / "output").read_text()
    assert f"the ccache storage redis://127.0.0.1:{port} failed" in output
    assert "the build continued without it" in output
    assert there.debs() == alone
    assert record(there)["ccache"] == [0, 1]
    assert_no_secret(there, docker_engine, output)


def test_a_failed_jobs_root_is_kept_as_the_script_left_it_and_holds_nothing_of_the_storage(
    there: There, docker_engine: Dockerd
) -> None:
    there.place.edit("  compile: |\n", "  compile: |\n    cat /proc/sys/kernel/random/uuid | tee /mark; exit 9\n")
    with server("redis") as (url, _):
        output = build(there, url, status=7)
    image = failed.image_name("reef-failed", there.project().workspace, JOB)
    run = docker_engine.client().containers.run
    mark = run(image, ["cat", "/mark"], network_mode="none", remove=True).decode()
    assert mark in there.place.log_text()  # it did not run again
    assert b"STORAGE" not in run(image, ["env"], network_mode="none", remove=True)
    assert_no_secret(there, docker_engine, output)


def test_a_buildx_that_forwards_no_socket_builds_without(there: There, docker_config: Path, tmp_path: Path) -> None:
    shutil.copytree(docker_config, tmp_path / "config")
    program = tmp_path / "config" / "cli-plugins" / "docker-buildx"
    program.rename(program.with_name("real"))
    program.write_text(
        '#!/bin/sh\ncase "$*" in *--ssh=*) echo "unknown flag: --ssh" >&2; exit 1 ;; esac\nexec "${0%/*}/real" "$@"\n'
    )
    program.chmod(0o755)
    there.place.edit("  compile: |\n", '  compile: |\n    echo "storage is [${CCACHE_REMOTE_STORAGE:-}]"; exit 9\n')
    with server("redis") as (url, port):
        output = build(there, url, status=7, DOCKER_CONFIG=str(tmp_path / "config"))
    assert f"did not reach the ccache storage redis://127.0.0.1:{port}" in output
    assert "storage is []" in output
