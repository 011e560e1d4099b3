"""What goes wrong where Bazel builds, with real Bazel on the miniature of TensorFlow Serving's workspace."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from tests.support.cache_servers import PASSWORD, USER, nginx
from tests.support.place import Place, gone, kill
from tests.support.serving import RECIPE, Upstream, rehearsed, tree, upstream, words

SERVER = "//tensorflow_serving/model_servers:tensorflow_model_server"
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""


@pytest.fixture
def hosts(place: Place) -> Iterator[Upstream]:
    with upstream(place.folder / "upstream", os.urandom(8).hex()) as held:
        yield held


def settings(place: Place, **values: object) -> None:
    (place.folder / "reef.yml").write_text(yaml.safe_dump({"maintainer": "Reef <reef@example.org>", **values}))


def change_build(place: Place, **values: object) -> None:
    path = place.folder / "recipes" / "tensorflow-serving" / "recipe.yml"
    recipe = yaml.safe_load(path.read_text())
    recipe["build"] |= values
    path.write_text(yaml.safe_dump(recipe))


def log_of(place: Place) -> str:
    return (place.artifacts / "logs/tensorflow-serving/trixie/arm64/build-run.log").read_text()


def test_another_bazel_than_the_pinned_one_builds_nothing(place: Place, hosts: Upstream) -> None:
    rehearsed(place, {"version": "6.5.0"})
    output = place.run(*words(tree(place.folder / "tree", hosts.url)), status=7)
    assert "the recipe needs 6.5.0, bazel says: bazel 3.5.1" in output
    assert hosts.asked == []


def test_a_host_that_is_not_reached_is_named(place: Place) -> None:
    rehearsed(place)
    output = place.run(*words(tree(place.folder / "tree", NOWHERE, os.urandom(8).hex())), status=7)
    assert f"cannot fetch {NOWHERE}/tensorflow.tar" in output
    assert "hosts that gave Bazel nothing: 127.0.0.1:9" in output
    assert "mirrors: in reef.yml" in output


def test_little_memory_and_a_dead_cache_do_not_stop_it(place: Place, hosts: Upstream) -> None:
    rehearsed(place, {"targets": ["//greedy:action_1", "//greedy:action_2", SERVER], "memory_per_job_mb": 100})
    settings(place, jobs=2, bazel={"remote_cache": f"{NOWHERE}/cache"}, mirrors={f"{NOWHERE}/": f"{hosts.url}/"})
    source = tree(place.folder / "tree", hosts.url, hosts.nonce)
    (source / "greedy" / "nonce").write_text(hosts.nonce)
    output = place.run(*words(source))
    assert "warning: Bazel 3.5.1 does not support mirrors" in output
    assert "Bazel runs 2 jobs at once" in output
    assert "warning: out of memory; the build continues with 1 job" in output
    ran = re.search(r"Bazel ran (\d+) actions", output)
    assert ran
    assert int(ran[1]) <= 5, "of a dozen, which had been done but for the one that was killed"
    assert f"warning: the Bazel server {NOWHERE} cannot be used" in output
    assert "the build continues without it" in output


def test_a_cache_server_has_what_another_machine_built(machines: Callable[[], Place], hosts: Upstream) -> None:
    outputs, debs = [], []
    with nginx() as (port, files):
        url = f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/cache"
        for one in (machines(), machines()):
            rehearsed(one)
            source = tree(one.folder / "tree", hosts.url, hosts.nonce)
            outputs.append(one.run(*words(source), REEF_BAZEL_CACHE=url) + log_of(one))
            built = (one.artifacts / "builds/tensorflow-serving/trixie-arm64").glob("*.deb")
            debs.append({path.name: path.read_bytes() for path in built})
        assert list((files / "ac").iterdir())
    server = rf"Bazel server http://127.0.0.1:{port}:"
    assert re.search(rf"{server} 0 found, [1-9]\d* not, [1-9]\d* stored", outputs[0])
    assert re.search(rf"{server} [1-9]\d* found, 0 not, 0 stored", outputs[1])
    assert ["remote cache hit" in output for output in outputs] == [False, True]
    assert PASSWORD not in "".join(outputs)
    assert debs[0] == debs[1] != {}


def boxed(place: Place, source: Path, there: Callable[[], bool]) -> str:
    """Start a build, let its time box be over as soon as ``there()``, and return what it printed."""
    child = place.start(*words(source, "--time-box", "5h"))
    place.when(child, there)
    assert kill(child, signal.SIGALRM) == 13
    assert gone(place) == []
    output = (place.folder / "output").read_text()
    assert "run the same command again: it continues from there" in output
    assert "Traceback" not in output
    return output


@pytest.mark.nightly
def test_a_time_box_ends_each_phase_in_order_and_the_next_run_goes_on(place: Place, hosts: Upstream) -> None:
    flags = {"all": [f"--copt=-DNONCE=0x{hosts.nonce}"]}  # actions that no cache has
    rehearsed(place, {"targets": [SERVER, "//greedy:slow"], "flags": flags})
    source = tree(place.folder / "tree", hosts.url, hosts.nonce)

    def all_but_slow() -> bool:
        log = place.artifacts / "logs/tensorflow-serving/trixie/arm64/build-run.log"
        counts = re.findall(r"^\[(\d+)/(\d+)\].*greedy:slow", log.read_text() if log.exists() else "", re.MULTILINE)
        return any(int(total) - int(done) <= 2 for done, total in counts)

    hosts.gate.clear()
    assert "over during: fetch tensorflow-serving/" in boxed(place, source, lambda: bool(hosts.asked))
    hosts.gate.set()
    output = boxed(place, source, all_but_slow)
    assert "over during: run tensorflow-serving/" in output
    assert hosts.asked == ["/tensorflow.tar"] * 2

    rehearsed(place, {"flags": flags})
    install = yaml.safe_load((RECIPE / "recipe.yml").read_text())["build"]["install"]
    change_build(place, install=f"echo reef: packaging\nsleep 600\n{install}")
    boxed(place, source, lambda: "packaging" in (place.folder / "output").read_text())
    assert re.search(r"[1-9]\d* (disk|remote) cache hit", log_of(place))
    change_build(place, install=install)
    assert "tensorflow-model-server" in place.run(*words(source))
    assert hosts.asked == ["/tensorflow.tar"] * 2
