"""Downloads against a real server that misbehaves."""

import base64
import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from builders.errors import DiskError, InputError, SourceError
from builders.host import apt_access, debian_mirror
from builders.host.apt_access import AptAccess
from builders.host.debian_mirror import Mirror
from builders.model.settings import Settings
from builders.sources.http import transfer
from builders.sources.http.session import new_session
from builders.sources.tree import write_all
from tests.support.sources import (
    Bench,
    Handler,
    Site,
    archive,
    cut,
    instead,
    pack_tar,
    ranged,
    sha256,
    status,
    tagged,
    whole,
    write_recipe,
)  # fmt: skip

DATA = pack_tar({"hello.txt": os.urandom(300_000)})
OTHER = pack_tar({"hello.txt": os.urandom(300_000)})
DIGEST = sha256(DATA)
REFUSED = "http://127.0.0.1:9"
"""The discard service: nobody listens there."""


def failed(bench: Bench, *urls: str, digest: str = DIGEST) -> SourceError:
    with pytest.raises(SourceError) as caught:
        bench.fetch(write_recipe(bench.folder, [archive(*urls, sha256=digest)]))
    assert bench.nothing_made()
    assert not (bench.cache / digest).exists()
    return caught.value


def test_file_is_fetched_and_cached_by_digest(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA)
    recipe = write_recipe(bench.folder, [archive(url, sha256=DIGEST)])
    tree = bench.fetch(recipe)
    assert (tree.path / "hello.txt").stat().st_size == 300_000
    assert (bench.cache / DIGEST).read_bytes() == DATA
    assert sorted(path.name for path in bench.cache.iterdir()) == [DIGEST, f"{DIGEST}.url"]
    assert [(s.name, s.kind, s.location, s.digest) for s in tree.sources] == [
        ("main", "archive", url, f"sha256:{DIGEST}")
    ]
    assert bench.fetch(recipe) == tree
    assert len(site.requests) == 1


@pytest.mark.parametrize("noted", [b"", bytes(40), b"http://caf\xe9"])
def test_a_damaged_note_of_where_a_file_came_from_is_passed_over(bench: Bench, site: Site, noted: bytes) -> None:
    url = site.put("/a.tar.gz", DATA)
    recipe = write_recipe(bench.folder, [archive(url, sha256=DIGEST)])
    tree = bench.fetch(recipe)
    (bench.cache / f"{DIGEST}.url").write_bytes(noted)
    shutil.rmtree(bench.workspace.cache.trees)
    assert bench.fetch(recipe, offline=True) == tree


def test_cut_download_goes_on_where_it_broke_off(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA, cut(100_000), cut(50_000), ranged)
    bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]))
    assert site.ranges() == [None, "bytes=100000-", "bytes=150000-"]
    assert [headers.get("If-Range") for _, headers in site.requests] == [None, '"one"', '"one"']


def test_next_run_goes_on_where_the_last_gave_up(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA, cut(100_000), cut(0))
    error = failed(bench, url)
    assert "the connection broke repeatedly, after 100000 bytes" in error.detail
    assert len(site.requests) == 1 + transfer.STALLS
    site.requests.clear()
    site.put("/a.tar.gz", DATA, ranged)
    bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]))
    assert site.ranges() == ["bytes=100000-"]


def test_another_server_goes_on_where_the_first_gave_up(bench: Bench, site: Site) -> None:
    first = site.put("/a.tar.gz", DATA, cut(100_000), status(404))
    second = site.put("/b.tar.gz", DATA, tagged('"two"'))
    tree = bench.fetch(write_recipe(bench.folder, [archive(first, second, sha256=DIGEST)]))
    assert site.requests[-1][1]["Range"] == "bytes=100000-"
    assert "If-Range" not in site.requests[-1][1]
    assert tree.sources[0].location == second


def test_server_without_ranges_starts_from_zero(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA, cut(100_000), whole)
    bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]))
    assert len(site.requests) == 2
    assert (bench.cache / DIGEST).read_bytes() == DATA


def test_file_replaced_while_downloading_starts_from_zero(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA, instead(OTHER, cut(100_000, '"old"')), ranged)
    bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]))
    assert site.ranges() == [None, "bytes=100000-"]


def test_joined_halves_of_two_files_are_fetched_anew(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA, instead(OTHER, cut(100_000, "")), tagged(""))
    bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]))
    assert site.ranges() == [None, "bytes=100000-", None]


def test_whole_part_of_a_run_that_died_is_taken(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA)
    bench.cache.mkdir(parents=True)
    (bench.cache / f"{DIGEST}.part").write_bytes(DATA)
    bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]))
    assert site.ranges() == [f"bytes={len(DATA)}-"]


def test_part_that_is_longer_than_the_file_is_fetched_anew(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA)
    bench.cache.mkdir(parents=True)
    (bench.cache / f"{DIGEST}.part").write_bytes(OTHER + OTHER)
    bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]))
    assert site.ranges() == [f"bytes={2 * len(OTHER)}-", None]


def test_longer_part_is_cut_where_the_server_starts_from_zero(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA, whole)
    bench.cache.mkdir(parents=True)
    (bench.cache / f"{DIGEST}.part").write_bytes(OTHER + OTHER)
    bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]))
    assert len(site.requests) == 1


def test_answer_for_another_range_is_not_joined(bench: Bench, site: Site) -> None:
    def elsewhere(handler: Handler, data: bytes) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 5-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data) - 5))
        handler.end_headers()
        handler.wfile.write(data[5:])

    url = site.put("/a.tar.gz", DATA, cut(100_000), elsewhere, ranged)
    bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)]))
    assert site.ranges() == [None, "bytes=100000-", None]


def test_wrong_digest_shows_both_and_caches_nothing(bench: Bench, site: Site) -> None:
    error = failed(bench, site.put("/a.tar.gz", OTHER))
    assert error.what == "cannot fetch source 'main' of demo"
    assert f"{site.url}/a.tar.gz: wrong digest: expected sha256 {DIGEST}, got {sha256(OTHER)}" in error.detail
    assert f"({len(OTHER)} bytes)" in error.detail
    assert "change the sha256 in the recipe" in error.fix
    assert list(bench.cache.iterdir()) == []


def test_wrong_digest_is_reported_and_the_next_url_wins(bench: Bench, site: Site) -> None:
    bad, good = site.put("/bad.tar.gz", OTHER), site.put("/good.tar.gz", DATA)
    tree = bench.fetch(write_recipe(bench.folder, [archive(bad, good, sha256=DIGEST)]))
    assert tree.sources[0].location == good
    assert "warning:" in bench.said.getvalue()
    assert sha256(OTHER) in bench.said.getvalue()


def test_busy_server_is_asked_again_missing_file_is_not(bench: Bench, site: Site) -> None:
    gone = site.put("/gone.tar.gz", DATA, status(404))
    busy = site.put("/a.tar.gz", DATA, status(503), ranged)
    bench.fetch(write_recipe(bench.folder, [archive(gone, busy, sha256=DIGEST)]))
    assert [path for path, _ in site.requests] == ["/gone.tar.gz", "/a.tar.gz", "/a.tar.gz"]


def test_bytes_are_taken_as_they_lie_on_the_server(bench: Bench, site: Site) -> None:
    def labelled(handler: Handler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    bench.fetch(write_recipe(bench.folder, [archive(site.put("/a.tar.gz", DATA, labelled), sha256=DIGEST)]))
    assert site.requests[0][1]["Accept-Encoding"] == "identity"


def test_every_unreachable_url_is_named_with_its_reason(bench: Bench, site: Site) -> None:
    error = failed(
        bench,
        site.put("/gone.tar.gz", DATA, status(410)),
        f"{REFUSED}/a.tar.gz",
        "http://name:secret@host.invalid/a.tar.gz",
        "file:///nowhere/a.tar.gz",
        "gopher://127.0.0.1/a.tar.gz",
    )
    assert len(site.requests) == 1, "none is asked twice"
    lines = error.detail.splitlines()
    assert lines[0] == "main:"
    assert lines[1] == f"  {site.url}/gone.tar.gz: status 410 Gone"
    assert lines[2] == f"  {REFUSED}/a.tar.gz: connection refused"
    assert lines[3] == "  http://host.invalid/a.tar.gz: no such host, or no name server answers"
    assert lines[4] == "  file:///nowhere/a.tar.gz: No such file or directory"
    assert lines[5].startswith("  gopher://127.0.0.1/a.tar.gz: ")
    assert "secret" not in str(error) + bench.said.getvalue()
    for hint in ("mirrors: in reef.yml", "--offline", str(bench.cache), "--source NAME=FOLDER"):
        assert hint in error.fix


def test_all_sources_that_fail_are_named_at_once(bench: Bench, site: Site) -> None:
    others = [digit for digit in "012" if digit != DIGEST[-1]]
    sources = [archive(f"{site.url}/{n}", sha256=DIGEST[:-1] + others[n - 1], name=f"part-{n}") for n in (1, 2)]
    good = archive(site.put("/good", DATA), sha256=DIGEST, name="good")
    with pytest.raises(SourceError, match="cannot fetch 2 sources of demo: part-1, part-2") as caught:
        bench.fetch(write_recipe(bench.folder, [*sources, good]))
    assert caught.value.detail.count("status 404") == 2
    assert (bench.cache / DIGEST).exists()  # what was had is not lost


def test_alternative_with_its_own_digest_stands_in(bench: Bench, site: Site) -> None:
    packed = pack_tar({"hello.txt": b"hi"}, "w:xz")
    source = archive(f"{site.url}/none", sha256=DIGEST)
    source["alternatives"] = [{"archive": {"urls": [site.put("/x", packed)], "sha256": sha256(packed), "strip": 0}}]
    tree = bench.fetch(write_recipe(bench.folder, [source]))
    assert (tree.path / "hello.txt").read_text() == "hi"
    assert tree.sources[0].digest == f"sha256:{sha256(packed)}"


def test_longest_mirror_prefix_is_used(bench: Bench, site: Site) -> None:
    site.put("/near/a.tar.gz", DATA)
    bench.settings = Settings(
        mirrors={"http://far.invalid/": f"{site.url}/wrong/", "http://far.invalid/deep/": f"{site.url}/near/"}
    )
    recipe = write_recipe(bench.folder, [archive("http://far.invalid/deep/a.tar.gz", sha256=DIGEST)])
    assert bench.fetch(recipe).sources[0].location == f"{site.url}/near/a.tar.gz"


def debian(path: str) -> dict[str, object]:
    return {"name": "main", "debian": {"path": path, "sha256": DIGEST, "strip": 0}}


def test_debian_pool_is_on_the_mirror_of_the_settings(bench: Bench, site: Site) -> None:
    url = site.put("/debian/pool/main/d/demo.tar.gz", DATA)
    bench.settings = Settings(debian_mirror=f"{site.url}/debian/")
    tree = bench.fetch(write_recipe(bench.folder, [debian("pool/main/d/demo.tar.gz")]))
    assert (tree.sources[0].kind, tree.sources[0].location) == ("debian", url)


def test_a_file_of_debians_pool_is_not_unpacked(bench: Bench, site: Site) -> None:
    url = site.put("/debian/pool/main/d/demo_1_all.deb", DATA)
    bench.settings = Settings(debian_mirror=f"{site.url}/debian/")
    file = {"pool": "pool/main/d/demo_1_all.deb", "sha256": DIGEST, "name": "demo.deb"}
    tree = bench.fetch(write_recipe(bench.folder, [{"name": "main", "file": file}]))
    assert (tree.path / "demo.deb").read_bytes() == DATA
    assert tree.sources[0].location == url
    for faulty in ({"urls": [url]}, {"pool": None}):
        with pytest.raises(InputError) as error:
            write_recipe(bench.folder, [{"name": "main", "file": file | faulty}])
        assert "expected exactly one of urls and pool" in error.value.detail


def test_debian_pool_is_reached_through_apts_own_proxy(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ('Acquire::https::Proxy "DIRECT";', f'Acquire::http::Proxy "{site.url}";')
    monkeypatch.setattr(debian_mirror, "host_mirror", lambda: Mirror("http://deb.invalid/debian"))
    monkeypatch.setattr(apt_access, "access", lambda _: AptAccess(options))
    site.put("http://deb.invalid/debian/pool/d.tar.gz", DATA)
    tree = bench.fetch(write_recipe(bench.folder, [debian("pool/d.tar.gz")]))
    assert tree.sources[0].location == "http://deb.invalid/debian/pool/d.tar.gz"


def test_apts_own_proxy_comes_before_that_of_the_environment(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that apt reaches directly stays so (apt-transport-http(1))."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    options = ('Acquire::http::Proxy "http://127.0.0.1:9";', 'Acquire::http::Proxy::127.0.0.1 "DIRECT";')
    monkeypatch.setattr(apt_access, "access", lambda _: AptAccess(options))
    url = site.put("/debian/pool/d.tar.gz", DATA)
    bench.settings = Settings(debian_mirror=f"{site.url}/debian")
    assert bench.fetch(write_recipe(bench.folder, [debian("pool/d.tar.gz")])).sources[0].location == url


def test_no_login_is_kept_with_an_interrupted_download(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    logins = f"machine {site.url}/debian login me password s3cr\udce9t\n"
    monkeypatch.setattr(apt_access, "access", lambda _: AptAccess(logins=logins))
    bench.settings = Settings(debian_mirror=f"{site.url}/debian")
    site.put("/debian/pool/d.tar.gz", DATA, cut(100_000), cut(0))
    pool = write_recipe(bench.folder, [debian("pool/d.tar.gz")])
    with pytest.raises(SourceError):
        bench.fetch(pool)
    sent = base64.b64encode(b"me:s3cr\xe9t").decode()
    assert {headers["Authorization"] for _, headers in site.requests} == {f"Basic {sent}"}
    [note] = bench.cache.glob("*.part.json")
    assert json.loads(note.read_text())["url"] == f"{site.url}/debian/pool/d.tar.gz"
    site.put("/debian/pool/d.tar.gz", DATA, ranged)
    site.requests.clear()
    bench.fetch(pool)
    assert [headers["If-Range"] for _, headers in site.requests] == ['"one"']


def test_no_login_of_a_recipes_url_is_kept(bench: Bench, site: Site) -> None:
    url = site.put("/a.tar.gz", DATA, cut(100_000), cut(0)).replace("://", "://me:s3cret@")
    failed(bench, url)
    [note] = bench.cache.glob("*.part.json")
    assert "s3cret" not in note.read_text()


def test_apts_certificates_come_before_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/environment.pem")
    places = {
        "Acquire::https::CAInfo": "/ca.pem", "Acquire::https::SslCert::h": "/cert.pem",
        "Acquire::https::SslKey::h": "/key.pem",
    }  # fmt: skip
    options = ('Acquire::https::Verify-Peer::lax "false";',)

    def settings(access: AptAccess, url: str) -> tuple[object, object]:
        with new_session(access, url) as session:
            found = session.merge_environment_settings(url, {}, True, None, None)
        return found["verify"], found["cert"]

    access = AptAccess(options, places=places)
    assert settings(access, "https://h/x") == ("/ca.pem", ("/cert.pem", "/key.pem"))
    assert settings(access, "https://other/x") == ("/ca.pem", None)
    assert settings(access, "https://lax/x") == (False, None)
    assert settings(AptAccess(), "https://h/x") == ("/environment.pem", None)


def test_proxy_of_the_environment_is_used(bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    site.put("http://far.invalid/a.tar.gz", DATA)
    bench.fetch(write_recipe(bench.folder, [archive("http://far.invalid/a.tar.gz", sha256=DIGEST)]))
    assert site.requests[0][0] == "http://far.invalid/a.tar.gz"


def test_four_downloads_run_at_once(bench: Bench, site: Site) -> None:
    together = threading.Barrier(4, timeout=120)

    def meeting(handler: Handler, data: bytes) -> None:
        together.wait()
        whole(handler, data)

    packed = [pack_tar({f"{n}.txt": str(n).encode()}) for n in range(4)]
    sources = [
        archive(site.put(f"/{n}", data, meeting), sha256=sha256(data), name=f"s{n}") for n, data in enumerate(packed)
    ]
    tree = bench.fetch(write_recipe(bench.folder, sources))
    assert sorted(path.name for path in tree.path.iterdir()) == [f"{n}.txt" for n in range(4)]


def test_corrupted_cache_is_reported_and_filled_again(bench: Bench, site: Site) -> None:
    recipe = write_recipe(bench.folder, [archive(site.put("/a.tar.gz", DATA), sha256=DIGEST)])
    bench.cache.mkdir(parents=True)
    (bench.cache / DIGEST).write_bytes(OTHER)
    bench.fetch(recipe)
    assert f"{bench.cache / DIGEST} is corrupted (its sha256 is {sha256(OTHER)})" in bench.said.getvalue()
    assert (bench.cache / DIGEST).read_bytes() == DATA


def test_too_small_a_disk_is_reported_before_the_first_byte(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskError, match="no space left") as caught:
        bench.fetch(write_recipe(bench.folder, [archive(site.put("/a", DATA), sha256=DIGEST)]))
    assert "the download needs 0.3 MB, 0.0 MB are free" in caught.value.detail
    assert not (bench.cache / f"{DIGEST}.part").exists()


def test_disk_that_fills_up_is_reported_and_the_part_stays(
    bench: Bench, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, room = write_all, [3]

    def write(handle: int, data: bytes) -> None:
        if not room[0]:
            raise OSError(28, "No space left on device")
        room[0] -= 1
        real(handle, data)

    monkeypatch.setattr(transfer, "write_all", write)
    with pytest.raises(DiskError, match="no space left on the disk of") as caught:
        bench.fetch(write_recipe(bench.folder, [archive(site.put("/a", DATA), sha256=DIGEST)]))
    assert "free some space" in caught.value.fix
    assert (bench.cache / f"{DIGEST}.part").stat().st_size == 3 * transfer.PIECE


def test_local_file_urls_are_taken(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "my sources.tar.gz").write_bytes(DATA)
    url = (tmp_path / "my sources.tar.gz").as_uri()
    assert bench.fetch(write_recipe(bench.folder, [archive(url, sha256=DIGEST)])).sources[0].location == url
