"""Building on another machine: a Docker engine of today's, reached over TCP with TLS, in a network of its own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import dockers
from tests.engine.conftest import CHECKOUT, INVOKE, Place
from tests.engine.dockers import BUILDX, BUILT, JOB, Dockerd, There

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="Docker engines of the tests' own need root")

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
    assert "no Docker engine answers at tcp://127.0.0.1:9" in within.run("builders")


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
    subprocess.run(["chown", "1:1", str(path)], check=True)
    path.chmod(0o600)
    lesser = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]
    done = subprocess.run(
        [*lesser, str(INVOKE), "--search-root", str(CHECKOUT), *BUILDX],
        env=place.environment() | there.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    subprocess.run(["chown", "0:0", str(path)], check=True)
    assert done.returncode == 5, done.stdout + done.stderr
    assert f"no permission to talk to the Docker engine at {docker_engine.host}" in done.stderr
    assert "usermod --append --groups docker" in done.stderr
    assert BUILT not in done.stdout


def test_clean_removes_our_images_and_nothing_else(within: Within, far: Dockerd) -> None:
    client = far.client()
    [root] = [image for image in client.images.list() if image.tags and image.tags[0].startswith("reef-root:")]
    container = client.containers.create(root, "true", network_mode="none", labels={"reef.kind": "shell"})
    client.api.import_image_from_data(b"", repository="somebodys", tag="own")
    other = client.containers.create("somebodys:own", "true", network_mode="none")
    output = within.run("clean", "--what", "images")
    assert "removed image reef-root:trixie-amd64-arm64" in output
    tags = [tag for image in client.images.list() for tag in image.tags]
    assert tags == ["somebodys:own"]
    assert [one.id for one in client.containers.list(all=True)] == [other.id]
    assert container.id != other.id
