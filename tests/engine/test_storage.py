"""Two machines that share compiled files by a real server: ccache runs in a root that has no network."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.cache_servers import PASSWORD, USER, apache, redis
from tests.support.place import Place
from tests.support.ports import free_port

NATIVE = ("--target", "trixie/amd64")
BUILT = "builds/reef-hello/trixie-amd64"
ALONE = r"""
    test "$(sed -n 's/^ *\([^:]*\):.*/\1/p' /proc/net/dev)" = lo
    echo "storage is [${CCACHE_REMOTE_STORAGE:-}]"; env
    perl -MIO::Socket::INET -e 'exit !!IO::Socket::INET->new("127.0.0.1:SERVER")'
"""


def build(place: Place, url: str, port: int, reef_yml: str = "") -> str:
    """Build, in a script that fails where it could reach the server itself."""
    place.edit("  compile: |\n", "  compile: |" + ALONE.replace("SERVER", str(port)))
    with (place.folder / "reef.yml").open("a") as file:
        file.write(reef_yml)
    return place.run("build-arm", *NATIVE, REEF_CCACHE_STORAGE=url)


def debs(place: Place) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (place.artifacts / BUILT).glob("*.deb")}


def record(place: Place) -> dict[str, object]:
    found: dict[str, object] = json.loads((place.artifacts / BUILT / "record.json").read_text())
    return found


@pytest.mark.parametrize("scheme", ["redis", pytest.param("http", marks=pytest.mark.nightly)])
def test_what_one_machine_compiled_the_other_takes(machines: Callable[[], Place], scheme: str) -> None:
    first, second = machines(), machines()
    flat = "ccache_storage: {url: 'http://localhost/', layout: flat}\n"
    with redis() if scheme == "redis" else apache() as (port, _):
        url = f"{scheme}://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}" + "/cache" * (scheme == "http")
        output = build(first, url, port, flat)
        assert record(first)["ccache"] == [0, 1]
        assert f"ccache storage {scheme}://127.0.0.1:{port}: 0 found" in output
        again = build(second, url, port, flat)
        assert record(second)["ccache"] == [1, 1], again
        assert ", 0 not, 0 stored" in again
        assert f"storage is [{scheme}://127.0.0.1:7070" in second.log_text()
    assert debs(first) == debs(second) != {}
    assert record(first)["fingerprint"] == record(second)["fingerprint"]
    assert_no_secret(first, output)
    assert_no_secret(second, again)
    if scheme == "redis":  # once is enough
        alone = machines()
        without = build(alone, url, port)  # the server is gone by now
        assert f"the ccache storage {scheme}://127.0.0.1:{port} cannot be used" in without
        assert "the build continues without it" in without
        assert "storage is []" in alone.log_text()
        assert debs(alone) == debs(first)
        assert record(alone)["fingerprint"] == record(first)["fingerprint"]
        assert_no_secret(alone, without)


def assert_no_secret(place: Place, output: str) -> None:
    for path in place.artifacts.rglob("*"):
        if path.is_file() and "roots" not in path.parts:
            assert PASSWORD.encode() not in path.read_bytes(), path
            assert quote(PASSWORD, safe="").encode() not in path.read_bytes(), path
    assert PASSWORD not in output
    assert quote(PASSWORD, safe="") not in output


def test_a_failed_jobs_root_holds_nothing_of_the_storage(machines: Callable[[], Place]) -> None:
    place = machines()
    place.edit("  compile: |\n", "  compile: |\n    exit 9\n")
    with redis() as (port, _):
        url = f"redis://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"
        output = place.run("build-arm", *NATIVE, status=7, REEF_CCACHE_STORAGE=url)
    [entry] = (place.artifacts / "failed").glob("*/entry.json")
    document = json.loads(entry.read_text())
    assert document["relay"] is None
    assert "CCACHE_REMOTE_STORAGE" not in document["environment"]
    assert_no_secret(place, output)


def test_a_wrong_url_is_reported_before_anything_is_built(place: Place) -> None:
    output = place.run("build-arm", *NATIVE, status=3, REEF_CCACHE_STORAGE=f"ftp://x:{free_port()}hush@y")
    assert "REEF_CCACHE_STORAGE is not the URL of a ccache storage" in output
    assert "hush" not in output
    assert not Path(place.artifacts / "logs").exists()
