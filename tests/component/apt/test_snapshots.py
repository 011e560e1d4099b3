"""Publications of the past at any time, as apt's option Snapshot asks for them: Reef's own server, and nginx."""

import contextlib
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from builders.apt.upload import upload
from builders.apt.verify.server import serving
from builders.model.settings import Folder, RepositorySettings, Settings
from tests.support.cache_servers import nginx_program, running
from tests.support.checkout import CHECKOUT
from tests.support.ports import free_port
from tests.support.repository import DATE, AptClient, Publisher

DAY = 86400
FIRST, SECOND, THIRD = "20250615T150640Z", "20250616T150640Z", "20250617T150640Z"


def blocks(language: str) -> str:
    """Return the example in docs/uploading.md."""
    text = (CHECKOUT / "docs/uploading.md").read_text()
    (found,) = re.findall(rf"```{language}\n(.+?)```", text, re.DOTALL)
    return str(found)


@contextlib.contextmanager
def nginx(root: Path) -> Iterator[str]:
    """Serve ``root`` with Debian's nginx and the lines of the docs."""
    with tempfile.TemporaryDirectory(prefix="reef-nginx-") as name:
        folder, port = Path(name), free_port()
        program = nginx_program(folder, "libnginx-mod-http-js")
        folder.chmod(0o755)
        (folder / "reef.js").write_text(blocks("js"))
        lines = blocks("nginx").replace("/etc/nginx", str(folder)).replace("root /srv/apt;", f"root {root};")
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"load_module {folder}/package/usr/lib/nginx/modules/ngx_http_js_module.so;\n"
            f"user root;\ndaemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\n"
            f"{lines.replace('server {', f'server {{ listen 127.0.0.1:{port};')}}}\n"
        )
        argv = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        with running(argv, port, folder, str(program)):
            yield f"http://127.0.0.1:{port}"


@pytest.fixture
def published(publisher: Publisher) -> Publisher:
    """Three publications, a day between them, and a fourth that a killed run left."""
    publisher.settings = Settings(repository=RepositorySettings(url="https://apt.lab"))
    for number in range(3):
        publisher.publish(publisher.deb(version=f"{number + 1}+a~b"), date=DATE + number * DAY)
    assert publisher.stamps() == [FIRST, SECOND, THIRD]
    (publisher.repository / "snapshots/trixie/20250618T000000Z/dists/trixie").mkdir(parents=True)
    return publisher


@pytest.fixture(params=[serving, nginx], ids=["reef", "nginx"])
def url(request: pytest.FixtureRequest, published: Publisher, tmp_path: Path) -> Iterator[str]:
    """The address of a copy, made as an upload makes it."""
    server: Callable[[Path], AbstractContextManager[str]] = request.param
    there = tmp_path / "there"
    upload(
        published.repository, Folder(name="copy", kind="folder", path=str(there)), published.settings, published.log,
        base=published.folder, state=published.state,
    )  # fmt: skip
    (there / "snapshots/trixie/20250618T000000Z/dists/trixie").mkdir(parents=True)  # arriving
    tmp_path.chmod(0o755)
    with server(there) as address:
        yield address


def newest(url: str, moment: str) -> str:
    """Return the newest version of the publication that an address shows for a time, or the status."""
    address = f"{url}/snapshots/trixie/{moment}/dists/trixie/main/binary-arm64/Packages"
    try:
        with urllib.request.urlopen(address) as answer:
            return str(re.findall(r"^Version: (\d)", answer.read().decode(), re.MULTILINE)[-1])
    except urllib.error.HTTPError as error:
        return str(error.code)


def test_any_time_shows_the_publication_before(url: str) -> None:
    times = {
        FIRST: "1", "20250615T150641Z": "1", "20250616T150639Z": "1", SECOND: "2", "20250617": "2", "20250616": "1",
        THIRD: "3", "20250618T000001Z": "3", "20990101T000000Z": "3",
        "20250615T150639Z": "404", "20250615": "404", "20250616T15": "404", "9999": "404", "x": "404",
    }  # fmt: skip
    assert {moment: newest(url, moment) for moment in times} == times
    for path in ("trixie/20250617/none", "bookworm/20250617/dists/bookworm/InRelease", "trixie/20250617/../../../x"):
        with pytest.raises(urllib.error.HTTPError, match=r"404|400"):
            urllib.request.urlopen(f"{url}/snapshots/{path}")


def test_apt_installs_from_a_time_between(url: str, published: Publisher, tmp_path: Path) -> None:
    """apt before 2.9 has no option for it, and reads the same address as a source."""
    text = (published.repository / "reef-trixie.sources").read_text()
    text = text.replace("https://apt.lab", f"{url}/snapshots/trixie/20250617T000000Z/")
    apt = AptClient(tmp_path / "client", text, published.keyring)
    apt.update()
    apt.run("download", "reef-demo")
    assert [path.name for path in apt.folder.glob("*.deb")] == ["reef-demo_2+a~b_arm64.deb"]
