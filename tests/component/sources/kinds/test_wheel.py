"""Wheels of Python packages, with real pip, from a package index on loopback."""

import base64
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from builders.errors import DiskError, HostError, ReefError, SourceError
from builders.host.log import Step
from builders.model.recipe import PythonWheel
from builders.sources.context import FetchContext, Stopped
from builders.sources.kinds.wheel import download
from tests.component.sources.test_fetch_tree import start, until
from tests.support.sources import (
    Answer,
    Bench,
    Handler,
    Site,
    cut,
    instead,
    pack_tar,
    pack_zip,
    ranged,
    sha256,
    status,
    whole,
    write_recipe,
)  # fmt: skip

FILE = "demo_data-1.0-py2.py3-none-any.whl"
SDIST = "demo_data-2.0.tar.gz"


def wheel(file: str = FILE, members: Mapping[str, bytes] | None = None) -> bytes:
    """Return a wheel with one file of data, and metadata that no installation here would accept."""
    name, version = file.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "Requires-Python: >=9\nRequires-Dist: nowhere-at-all\n"
    return pack_zip(
        {
            "demo/data.txt": os.urandom(1_000_000).hex().encode(),
            f"{info}/METADATA": metadata.encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\n",
            f"{info}/RECORD": b"",
            **(members or {}),
        }
    )


DATA = wheel()
DIGEST = sha256(DATA)


def source(file: str = FILE, data: bytes = DATA, **changed: str) -> dict[str, Any]:
    name, version = file.split("-")[:2]
    return {
        "name": "main",
        "python": {"name": name, "version": version, "file": file, "sha256": sha256(data)} | changed,
    }


class Index:
    """A package index on a site: a page of links for each package."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.links: list[str] = []

    @property
    def url(self) -> str:
        return f"{self.site.url}/simple/"

    def add(self, file: str, data: bytes, *answers: Answer) -> None:
        url = self.site.put(f"/files/{file}", data, *answers)
        self.links.append(f'<a href="{url}#sha256={sha256(data)}">{file}</a>')
        body = f"<!DOCTYPE html><html><body>{' '.join(self.links)}</body></html>"
        self.site.put("/simple/demo-data/", body.encode(), page)


def page(handler: Handler, data: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    handler.wfile.write(data)


@pytest.fixture
def index(site: Site, monkeypatch: pytest.MonkeyPatch) -> Index:
    """Set pip up with an index of the site, and with nothing of this machine."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    result = Index(site)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", result.url)
    monkeypatch.setenv("PIP_RETRIES", "0")
    return result


def failed(bench: Bench, wrong: dict[str, Any], *, offline: bool = False) -> SourceError:
    with pytest.raises(SourceError) as caught:
        bench.fetch(write_recipe(bench.folder, [wrong]), offline=offline)
    assert bench.nothing_made()
    assert not bench.cache.exists() or not [path for path in bench.cache.iterdir() if path.suffix != ".lock"]
    return caught.value


def test_a_wheel_is_fetched_unpacked_and_cached_by_digest(bench: Bench, site: Site, index: Index) -> None:
    index.add(FILE, DATA)
    recipe = write_recipe(bench.folder, [source() | {"unpack": "protos"}])
    tree = bench.fetch(recipe)
    assert (tree.path / "protos/demo/data.txt").stat().st_size == 2_000_000
    assert (bench.cache / DIGEST).read_bytes() == DATA
    purl = f"pkg:pypi/demo-data@1.0?file_name={FILE}"
    assert [vars(found) for found in tree.sources] == [
        {"name": "main", "kind": "python", "location": purl, "digest": f"sha256:{DIGEST}"}
    ]
    assert "download main with pip" in bench.said.getvalue()
    asked = len(site.requests)
    shutil.rmtree(bench.workspace.cache.trees)
    assert bench.fetch(recipe, offline=True) == tree
    assert len(site.requests) == asked


@pytest.mark.parametrize(
    "file",
    [
        "demo_data-1.0-cp312-cp312-manylinux_2_27_aarch64.manylinux2014_aarch64.whl",
        "demo_data-1.0-cp37-abi3-win_amd64.whl",
        "demo_data-1.0-pp39-pypy39_pp73-manylinux1_x86_64.whl",
        "demo_data-1.0-py3-none-linux_armv7l.whl",
        "demo_data-1.0-1-py2.py3-none-any.whl",
    ],
)
def test_the_file_of_the_recipe_is_taken_whatever_it_is_made_for(bench: Bench, index: Index, file: str) -> None:
    others = [
        FILE,
        "demo_data-1.0-2-py2.py3-none-any.whl",
        "demo_data-1.0-py3-none-any.whl",
        "demo_data-1.1-py3-none-any.whl",
    ]
    for other in others:
        index.add(other, wheel(other))
    data = wheel(file)
    index.add(file, data)
    bench.fetch(write_recipe(bench.folder, [source(file, data)]))
    assert (bench.cache / sha256(data)).read_bytes() == data


def test_settings_of_pip_that_would_refuse_the_version_do_not_apply(
    bench: Bench, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(FILE, DATA)
    (tmp_path / "cap.txt").write_text("demo-data<0.5\n")
    (tmp_path / "pip.conf").write_text(
        f"[global]\nindex-url = {index.url}\nconstraint = {tmp_path / 'cap.txt'}\nquiet = 9\n"
        "extra-index-url = http://127.0.0.1:9/simple/\n"
        "[download]\nno-binary = :all:\n"
    )
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "cap.txt"))
    error = failed(bench, source("demo_data-9.0-py3-none-any.whl"))
    assert "http://127.0.0.1:9/simple/demo-data/: connection error" in error.detail
    assert "no index that answered has version 9.0 of demo_data for py3-none-any; the newest are 1.0" in error.detail
    assert (bench.fetch(write_recipe(bench.folder, [source()])).path / "demo/data.txt").exists()


def test_files_of_a_folder_are_found_as_pip_finds_them(
    bench: Bench, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / FILE).write_bytes(DATA)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    bench.fetch(write_recipe(bench.folder, [source()]))
    assert index.site.requests == []


def test_a_wrong_digest_is_reported_with_both(bench: Bench, index: Index) -> None:
    index.add(FILE, DATA)
    error = failed(bench, source(sha256="0" * 64))
    assert error.detail == f"main:\n  {FILE}: wrong digest: expected sha256 {'0' * 64}, got {DIGEST}"
    assert error.fix.startswith("if upstream replaced the file on purpose")


def test_another_build_of_the_version_is_named(bench: Bench, index: Index) -> None:
    other = "demo_data-1.0-1-py2.py3-none-any.whl"
    index.add(other, DATA)
    assert f"got {DIGEST} (of {other})" in failed(bench, source(sha256="0" * 64)).detail


def test_a_connection_that_breaks_is_tried_again(bench: Bench, index: Index) -> None:
    index.add(FILE, DATA, cut(100_000), ranged)
    bench.fetch(write_recipe(bench.folder, [source()]))


def test_a_server_that_sends_other_bytes_is_refused(bench: Bench, index: Index) -> None:
    index.add(FILE, DATA, instead(DATA[:-1]))
    assert "wrong digest" in failed(bench, source()).detail
    assert f"{FILE}: wrong digest: expected sha256 {DIGEST}, got" in bench.said.getvalue()


def test_what_the_index_lacks_is_named(bench: Bench, index: Index) -> None:
    index.add(FILE, DATA)
    absent = "demo_data-9.0-py2.py3-none-any.whl"
    error = failed(bench, source(absent))
    assert error.detail.endswith(
        f"{absent}: no index that pip uses has version 9.0 of demo_data for py2.py3-none-any; the newest are 1.0"
    )
    assert "-m pip config list)" in error.fix
    assert "check the URLs" not in error.fix
    arm = "demo_data-1.0-cp311-cp311-linux_armv7l.whl"
    assert "uses has a wheel of other for py3-none-any" in failed(bench, source("other-1.0-py3-none-any.whl")).detail
    index.links.clear()
    index.add("demo_data-1.0-cp310-cp310-win32.whl", DATA)
    assert (
        "no index that pip uses has a wheel of demo_data for cp311-cp311-linux_armv7l"
        in failed(bench, source(arm)).detail
    )


def test_a_source_distribution_is_not_touched(bench: Bench, index: Index, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='demo-data', version='2.0')\n"
    index.add(SDIST, pack_tar({"demo_data-2.0/setup.py": setup.encode()}))
    error = failed(bench, source("demo_data-2.0-py3-none-any.whl"))
    assert "no index that pip uses has a wheel of demo_data" in error.detail
    assert not ran.exists()
    assert f"/files/{SDIST}" not in [path for path, _ in index.site.requests]


def test_an_index_that_does_not_answer_is_named(bench: Bench, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:hush@127.0.0.1:9/simple/")
    error = failed(bench, source())
    assert "http://127.0.0.1:9/simple/demo-data/: connection error:" in error.detail
    assert "Connection refused" in error.detail
    assert "no index that answered has a wheel of demo_data" in error.detail
    assert "object at 0x" not in error.detail
    index.site.put("/simple/demo-data/", b"", status(403))
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert f"{index.url}demo-data/: 403 Client Error: Forbidden" in failed(bench, source()).detail


def test_a_file_that_the_index_lists_and_lacks_is_named(bench: Bench, index: Index) -> None:
    index.add(FILE, DATA)
    del index.site.files[f"/files/{FILE}"]
    assert f"HTTP error 404 while getting {index.site.url}/files/{FILE}" in failed(bench, source()).detail


def demanding(answer: Answer) -> Answer:
    """Return an answer for those alone who know the password."""
    expected = "Basic " + base64.b64encode(b"me:hush").decode()

    def ask(handler: Handler, data: bytes) -> None:
        (answer if handler.headers.get("Authorization") == expected else status(401))(handler, data)

    return ask


def test_credentials_are_used_and_never_shown(
    bench: Bench, index: Index, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    index.add(FILE, DATA, demanding(whole))
    index.site.plan["/simple/demo-data/"] = [demanding(page)]
    assert "401 Client Error" in failed(bench, source()).detail
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:hush@"))
    error = failed(bench, source(sha256="0" * 64))
    absent = failed(bench, source("demo_data-9.0-py2.py3-none-any.whl"))
    tree = bench.fetch(write_recipe(bench.folder, [source()]))
    written = [path.read_bytes() for path in bench.cache.iterdir()]
    shown = [bench.said.getvalue(), str(error), str(absent), repr(tree), *capfd.readouterr()]
    assert not [text for text in shown if "hush" in text or "me:" in text]
    assert not [data for data in written if b"hush" in data]


def test_offline_without_the_file_says_so(bench: Bench, index: Index) -> None:
    index.add(FILE, DATA)
    error = failed(bench, source(), offline=True)
    assert f"{FILE}: not in the cache as {bench.cache / DIGEST}, and --offline downloads nothing" in error.detail
    assert "run once without --offline, or copy each file to" in error.fix
    assert index.site.requests == []


def test_an_alternative_is_taken_where_the_index_fails(bench: Bench, index: Index) -> None:
    other = {"archive": {"urls": [index.site.put("/elsewhere.whl", DATA)], "sha256": DIGEST, "strip": 0}}
    tree = bench.fetch(write_recipe(bench.folder, [source() | {"alternatives": [other]}]))
    assert tree.sources[0].location == f"{index.site.url}/elsewhere.whl"


def test_advice_fits_all_that_was_tried(bench: Bench, index: Index) -> None:
    other = {"archive": {"urls": [f"{index.site.url}/absent.whl"], "sha256": DIGEST}}
    error = failed(bench, source() | {"alternatives": [other]})
    assert f"{FILE}: no index that pip uses has a wheel of demo_data" in error.detail
    assert f"{index.site.url}/absent.whl: status 404 Not Found" in error.detail
    assert error.fix.startswith("check the URLs, the network")
    assert "check the name and version of the Python package" in error.fix


def test_a_wheel_that_leaves_its_folder_is_refused(bench: Bench, index: Index) -> None:
    data = wheel(members={"../escaped.txt": b"x"})
    index.add(FILE, data)
    with pytest.raises(SourceError, match="it would write outside its folder"):
        bench.fetch(write_recipe(bench.folder, [source(data=data)]))
    assert bench.nothing_made()
    assert not list(bench.folder.rglob("escaped.txt"))


def halting(until: threading.Event) -> Answer:
    """Return an answer that sends its last bytes after the event: pip reads pieces of up to 256 KiB."""

    def answer(handler: Handler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:-1000])
        if until.wait(300):
            handler.wfile.write(data[-1000:])

    return answer


def test_progress_is_shown_while_pip_is_silent(bench: Bench, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int | None]] = []
    shown = threading.Event()

    def size(step: Step, done: int, total: int | None) -> None:
        seen.append((done, total))
        if done:
            shown.set()

    monkeypatch.setattr(Step, "size", size)
    index.add(FILE, DATA, halting(shown))
    bench.fetch(write_recipe(bench.folder, [source()]))
    total = seen[-1][1]
    assert total is not None
    assert total == pytest.approx(len(DATA), abs=50_000)  # pip prints tenths of a megabyte


def test_a_folder_that_pip_removes_meanwhile(bench: Bench, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Path.glob
    looked = threading.Event()

    def gone(folder: Path, pattern: str) -> Iterator[Path]:
        if pattern.startswith("pip-unpack-"):
            looked.set()
            raise FileNotFoundError(pattern)
        return listed(folder, pattern)

    monkeypatch.setattr(Path, "glob", gone)
    index.add(FILE, DATA, halting(looked))
    bench.fetch(write_recipe(bench.folder, [source()]))
    assert looked.is_set()
    assert (bench.cache / DIGEST).read_bytes() == DATA


def downloads(bench: Bench) -> bool:
    """Return whether pip has written a part of a file."""
    with suppress(FileNotFoundError):  # pip removes its folders at any time
        return any(path.stat().st_size for path in bench.folder.rglob("pip-unpack-*/*"))
    return False


def runs_pip(process: psutil.Process) -> bool:
    try:
        return "pip" in process.cmdline()
    except psutil.NoSuchProcess:  # it has ended, as those that other tests started do
        return False


def test_a_fetch_that_is_stopped_ends_pip(bench: Bench, index: Index) -> None:
    never = threading.Event()
    index.add(FILE, DATA, halting(never))
    context = FetchContext.of(bench.context, offline=False)
    way = PythonWheel.model_validate(source()["python"])
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(download, context, "main", way)
        until(lambda: downloads(bench))
        context.stop.set()
        with pytest.raises(Stopped):
            done.result(60)
        never.set()
    assert bench.nothing_made()
    assert not list(filter(runs_pip, psutil.Process().children()))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_leaves_nothing_half(bench: Bench, index: Index, end: signal.Signals) -> None:
    never = threading.Event()
    index.add(FILE, DATA, halting(never), ranged)
    recipe = write_recipe(bench.folder, [source()])
    child = start(bench)
    until(lambda: downloads(bench))
    [pip] = filter(runs_pip, psutil.Process(child.pid).children(recursive=True))
    child.send_signal(end)
    child.communicate(timeout=300)  # the server is silent for longer
    until(lambda: not pip.is_running() or pip.status() == psutil.STATUS_ZOMBIE)
    never.set()
    bench.workspace.sweep()
    assert bench.nothing_made()
    assert not [path for path in bench.cache.glob("*") if path.suffix != ".lock"]
    bench.fetch(recipe)


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ("No module named pip", HostError, "/python has no pip"),
        ("OSError: [Errno 28] No space left on device", DiskError, "no space left on the disk"),
    ],
)
def test_failures_of_this_machine_are_not_the_indexs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, said: str, error: type[ReefError], message: str
) -> None:
    python = bench.folder / "python"
    python.write_text(f"#!/bin/sh\necho '{said}'\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(error, match=message):
        bench.fetch(write_recipe(bench.folder, [source()]))
