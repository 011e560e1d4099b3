"""Uploading by rsync: to a real sshd on loopback and to folders; what readers see meanwhile, and what goes wrong."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from builders.apt.repository.retention import remove, unreferenced
from builders.apt.upload import Uploaded, upload
from builders.apt.upload.rsync import PARTIAL, RsyncStore
from builders.apt.verify.server import serving
from builders.apt.verify.verify import verify
from builders.errors import PublishError
from builders.model.settings import Folder, RepositorySettings, Rsync, Settings
from tests.support.killing import killed
from tests.support.ports import free_port
from tests.support.repository import DATE, AptClient, Publisher, facts_of, tree_of
from tests.support.upload_hosts import Reader, Ssh

from .conftest import short_folder


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    made = Ssh(tmp_path_factory.mktemp("ssh"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The folder on the other machine, which is this one."""
    (tmp_path / "srv").mkdir()
    return tmp_path / "srv" / "my boards"


def remote(ssh: Ssh, there: Path, **more: Any) -> Rsync:
    facts = {"name": "web", "kind": "rsync", "to": f"{os.environ.get('USER', 'root')}@127.0.0.1:{there}",
             "port": ssh.port, "identity": str(ssh.identity), "known_hosts": str(ssh.known_hosts)}  # fmt: skip
    return Rsync(**{**facts, **more})


def send(publisher: Publisher, to: Rsync | Folder, *, show_only: bool = False) -> Uploaded:
    return upload(
        publisher.repository, to, publisher.settings, publisher.log,
        base=publisher.folder, state=publisher.state, show_only=show_only,
    )  # fmt: skip


def read_once(folder: Path) -> Reader:
    with serving(folder) as url, requests.Session() as session:
        reader = Reader(url)
        reader.once(session)
    return reader


def test_apt_installs_from_the_other_machine(publisher: Publisher, ssh: Ssh, there: Path, tmp_path: Path) -> None:
    """Everything comes over as it is, links too; nothing new writes nothing; the next one shares its indices."""
    publisher.publish(publisher.deb(), publisher.deb("reef-data", "1", "all"))
    publisher.publish(publisher.deb("reef-book"), suite="bookworm")
    forecast = send(publisher, remote(ssh, there), show_only=True).forecast
    assert not there.exists()
    with serving(there) as url:
        done = send(publisher, remote(ssh, there, url=url))
        assert done.forecast == forecast
        assert tree_of(there) == tree_of(publisher.repository)
        before = facts_of(there)
        again = send(publisher, remote(ssh, there))
        assert (again.changed, again.forecast.new_files, facts_of(there)) == (False, 0, before)

        publisher.publish(publisher.deb(version="2"), date=DATE + 60)
        assert send(publisher, remote(ssh, there, url=url)).changed
        assert tree_of(there) == tree_of(publisher.repository)
        old, new = sorted((there / "snapshots" / "trixie").iterdir())
        (debug,) = new.glob("dists/trixie/main/i18n/Translation-en")
        assert debug.stat().st_nlink >= 2
        assert os.readlink(there / "dists" / "trixie").split("/")[3] == new.name
        assert verify(old, "trixie", publisher.keyring).debs == 2
        assert verify(there, "trixie").debs == 3
        client = AptClient(tmp_path / "board", f"Types: deb\nURIs: {url}\nSuites: trixie\nComponents: main\n",
                           publisher.keyring)  # fmt: skip
        client.update()
        client.download("reef-demo=2")


def test_a_reader_throughout_uploads(publisher: Publisher, there: Path) -> None:
    to = Folder(name="disk", kind="folder", path=str(there))
    publisher.settings = Settings(repository=RepositorySettings(generations=2, keep={"versions": 1, "snapshots": 1}))
    publisher.publish(publisher.deb(version="1"))
    send(publisher, to)
    with serving(there) as url, Reader(url) as reader:
        for number in range(2, 7):
            publisher.publish(publisher.deb(version=str(number)), date=DATE + number)
            if number % 4:
                send(publisher, to)
        reader.read_on(2)
    assert reader.troubles == []
    assert len(reader.seen) >= 3


def killed_at(work: Callable[[], object], number: int) -> bool:
    """Run ``work`` in a child that is killed before its ``number``-th rsync; False where it ended before."""

    def counting() -> None:
        real, count = RsyncStore._run, 0

        def counted(self: RsyncStore, argv: Sequence[str], **more: Any) -> None:
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            real(self, argv, **more)

        RsyncStore._run = counted  # type: ignore[method-assign]
        work()

    return killed(counting)


@pytest.mark.parametrize("links", [True, False])
def test_killed_at_any_step_and_resumed(publisher: Publisher, there: Path, links: bool) -> None:
    """After each kill readers see the old or the new repository; the run that ends leaves what an unkilled one does."""
    to = Folder(name="disk", kind="folder", path=str(there), links=links)
    publisher.settings = Settings(repository=RepositorySettings(generations=1, keep={"versions": 1, "snapshots": 1}))
    publisher.publish(publisher.deb())
    send(publisher, to)
    for number in (2, 3):
        publisher.publish(
            publisher.deb(version=str(number)), publisher.deb("reef-more", str(number)), date=DATE + number
        )
    seen: list[str] = []
    for number in range(1, 60):
        ended = not killed_at(lambda: send(publisher, to), number)
        reader = read_once(there)
        assert reader.troubles == []
        seen += reader.seen
        if ended:
            break
    assert len(set(seen)) == 2
    assert seen == sorted(seen, key=seen.index), "once new, always new"
    assert len(seen) > 5
    remove(publisher.repository, unreferenced(publisher.repository, publisher.settings))
    send(publisher, to)
    assert not send(publisher, to).changed
    if links:
        assert verify(there, "trixie").debs == publisher.verify().debs
    assert not list(there.rglob("reef-demo_1.0-1_*")), "what nobody needs went"


def test_readers_of_what_was_shown_before_end_well(publisher: Publisher, there: Path) -> None:
    """The indices of the publication that was shown stay by hash, and its .debs, though here both are gone."""
    to = Folder(name="disk", kind="folder", path=str(there))
    publisher.settings = Settings(repository=RepositorySettings(generations=1))
    publisher.publish(publisher.deb())
    send(publisher, to)
    old = {str(path.relative_to(there)) for path in (there / "dists/trixie/main").rglob("by-hash/SHA256/*")}
    for number in (2, 3):
        publisher.publish(publisher.deb(version=str(number)), date=DATE + number)
    shutil.rmtree(publisher.repository / "snapshots" / "trixie" / publisher.stamps()[0])
    (deb,) = publisher.repository.glob("pool/**/reef-demo_1.0-1_arm64.deb")
    deb.unlink()
    names = {path.name for path in (publisher.repository / "dists/trixie").rglob("by-hash/SHA256/*")}
    assert not {Path(name).name for name in old} <= names
    send(publisher, to)
    assert all((there / name).is_file() for name in old)
    assert list(there.glob("pool/**/reef-demo_1.0-1_arm64.deb"))
    send(publisher, to)
    assert not list(there.glob("pool/**/reef-demo_1.0-1_arm64.deb"))
    assert sorted(p.name for p in (there / "snapshots/trixie").iterdir()) == publisher.stamps()


def test_unreachable_half_way_then_resumed(
    publisher: Publisher, ssh: Ssh, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The other machine goes down in the middle of a large file; the next run goes on where it stopped."""
    publisher.publish(publisher.deb())
    send(publisher, remote(ssh, there))
    publisher.publish(
        publisher.deb("reef-large", content=os.urandom(3_000_000).hex(), compression="none"), date=DATE + 9
    )
    real = RsyncStore._argv
    monkeypatch.setattr(RsyncStore, "_argv", lambda self, *words: [*real(self, "--bwlimit=2000"), *words])

    def cut() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if any(path.stat().st_size > 500_000 for path in there.rglob(".reef-large*")):
                break
            time.sleep(0.02)
        ssh.stop()

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        with pytest.raises(PublishError, match=r"web .*: the upload failed") as caught:
            send(publisher, remote(ssh, there))
        cutter.join()
        assert "upload-apt again" in caught.value.fix
        assert read_once(there).troubles == []
        with pytest.raises(PublishError) as caught:
            send(publisher, remote(ssh, there))
        assert "Connection refused" in caught.value.detail
    finally:
        cutter.join()
        ssh.start()
    until = time.monotonic() + 120
    while not list(there.rglob(f"{PARTIAL}/*")) and time.monotonic() < until:
        time.sleep(0.1)
    (part,) = there.rglob(f"{PARTIAL}/reef-large*")
    assert part.stat().st_size > 200_000
    assert send(publisher, remote(ssh, there)).changed
    assert not list(there.rglob(PARTIAL))
    assert verify(there, "trixie").debs == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"port": 0}, "Connection refused"),
        ({"identity": "stranger"}, "the account does not accept the key"),
        ({"known_hosts": "/dev/null"}, "the machine's host key is unknown or has changed"),
        ({"to": "root@no-such-machine.invalid:/srv"}, "no such machine"),
    ],
)
def test_unreachable_at_the_start(
    publisher: Publisher, ssh: Ssh, there: Path, change: dict[str, Any], told: str
) -> None:  # fmt: skip
    publisher.publish(publisher.deb())
    if "port" in change:
        change = {"port": free_port()}
    if "identity" in change:
        change = {"identity": str(ssh.folder / "stranger")}
    with pytest.raises(PublishError) as caught:
        send(publisher, remote(ssh, there, **change))
    assert told in str(caught.value)
    assert caught.value.fix
    assert not there.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "reef-test", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_disk_full_or_read_only_there(publisher: Publisher, small_disk: Path) -> None:
    publisher.publish(publisher.deb())
    to = Folder(name="disk", kind="folder", path=str(small_disk / "apt"))
    send(publisher, to)
    before = (small_disk / "apt/dists/trixie/InRelease").read_bytes()
    large = publisher.deb("reef-large", content=os.urandom(600_000).hex(), compression="none")
    publisher.publish(large, date=DATE + 9)
    with pytest.raises(PublishError, match="the disk there is full"):
        send(publisher, to)
    assert read_once(small_disk / "apt").troubles == []
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(PublishError, match="the disk there is read-only"):
        send(publisher, to)
    assert (small_disk / "apt/dists/trixie/InRelease").read_bytes() == before
    subprocess.run(["mount", "-o", "remount,rw,size=8m", str(small_disk)], check=True)
    assert send(publisher, to).changed
    assert verify(small_disk / "apt", "trixie").debs == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_no_permission_there(publisher: Publisher) -> None:
    place = short_folder()
    place.chmod(0o755)
    publisher.folder = place
    publisher.publish(publisher.deb())
    (place / "theirs").mkdir()
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            send(publisher, Folder(name="disk", kind="folder", path="theirs"))
        except PublishError as error:
            os._exit(7 if "may not write" in error.what else 8)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    shutil.rmtree(place)
    assert os.waitstatus_to_exitcode(status) == 7


def test_a_folder_without_links(publisher: Publisher, there: Path, tmp_path: Path) -> None:
    """For static sites: plain files, no snapshots, and what is too large for the host is refused before it begins."""
    publisher.publish(publisher.deb())
    to = Folder(name="pages", kind="folder", path=str(there), links=False, limits="github-pages")
    send(publisher, to)
    assert not [path for path in there.rglob("*") if path.is_symlink()]
    assert not (there / "snapshots").exists()
    assert verify(there, "trixie").debs == 1
    with serving(there) as url:
        client = AptClient(tmp_path / "board", f"Types: deb\nURIs: {url}\nSuites: trixie\nComponents: main\n",
                           publisher.keyring)  # fmt: skip
        client.update()
        client.download("reef-demo")
    (publisher.repository / "large.bin").touch()
    os.truncate(publisher.repository / "large.bin", 101 << 20)
    with pytest.raises(PublishError, match="pages has no room for this repository") as caught:
        send(publisher, to)
    assert "large.bin has 105.9 MB, it accepts files of up to 104.9 MB" in caught.value.detail
    assert not (there / "large.bin").exists()


def test_bytes_that_rot_are_found(publisher: Publisher, ssh: Ssh, there: Path) -> None:
    """What was sent is rehashed there, not only counted."""
    publisher.publish(publisher.deb())
    real = RsyncStore.put

    def put(self: RsyncStore, files: Any, step: Any) -> None:
        real(self, files, step)
        for path in (there / file.key for file in files if file.key.endswith(".deb")):
            facts = path.stat()
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
            path.write_bytes(data)
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RsyncStore, "put", put)
        with pytest.raises(PublishError, match="does not contain what was uploaded") as caught:
            send(publisher, remote(ssh, there))
    assert "pool/main/r/reef-demo/reef-demo_1.0-1_arm64.deb" in caught.value.detail


def test_missing_folders_are_made(publisher: Publisher, tmp_path: Path) -> None:
    publisher.publish(publisher.deb())
    send(publisher, Folder(name="disk", kind="folder", path="a/b/c"))
    assert verify(publisher.folder / "a/b/c", "trixie").debs == 1


def test_a_missing_folder_there_is_told(publisher: Publisher, ssh: Ssh, there: Path) -> None:
    publisher.publish(publisher.deb())
    with pytest.raises(PublishError, match="its parent folder does not exist"):
        send(publisher, remote(ssh, there / "a" / "b"))


def test_files_of_ssh_are_beside_the_settings(publisher: Publisher, ssh: Ssh, there: Path) -> None:
    """Also those whose names hold blanks and what ssh would replace."""
    publisher.publish(publisher.deb())
    (publisher.folder / "the keys").mkdir()
    shutil.copy(ssh.identity, publisher.folder / "the keys" / "id")
    shutil.copy(ssh.known_hosts, publisher.folder / "the keys" / "known %h")
    send(publisher, remote(ssh, there, identity="the keys/id", known_hosts="the keys/known %h"))
    assert verify(there, "trixie").debs == 1


@pytest.mark.parametrize("ranged", [True, False])
def test_a_length_that_is_not_told_is_counted(publisher: Publisher, there: Path, *, ranged: bool) -> None:
    """Servers may leave the whole length of a range unknown, and may send without a length (RFC 9110)."""
    publisher.publish(publisher.deb())
    cut = 0

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = (there / unquote(self.path[1:])).read_bytes()
            if self.path.startswith("/pool/"):
                content = content[: len(content) - cut]
            if ranged and "Range" in self.headers:
                self.send_response(206)
                self.send_header("Content-Range", "bytes 0-0/*")
                content = content[:1]
            else:
                self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            send(publisher, Folder(name="disk", kind="folder", path=str(there), url=url))
            cut = 1
            publisher.publish(publisher.deb(version="2"), date=DATE + 60)
            with pytest.raises(PublishError, match="returns other bytes"):
                send(publisher, Folder(name="disk", kind="folder", path=str(there), url=url))
        finally:
            server.shutdown()
