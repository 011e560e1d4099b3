"""Real apt of every board release, in clean roots, on what is published: today and on later days."""

import gzip
import io
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from builders.apt import api as apt
from builders.apt.repository.layout import stamp_of
from builders.host.log import Log
from builders.model.deb_file import read_deb
from builders.model.jobs import BuildJob, Input, Root
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT
from tests.support.place import Place, gone
from tests.support.repository import make_deb


def load_subkey(project: Project) -> None:
    """Load a key as a CI job should: a subkey alone, without its primary key."""
    with tempfile.TemporaryDirectory(prefix="reef-person-") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
        subprocess.run([*gpg, "--quick-generate-key", "Ann <ann@example.org>", "ed25519", "cert", "3y"], check=True)
        listed = subprocess.run([*gpg, "--with-colons", "-K"], check=True, capture_output=True, text=True).stdout
        name = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        subprocess.run([*gpg, "--quick-add-key", name, "ed25519", "sign", "2y"], check=True)
        words = [*gpg, "--armor", "--export-secret-subkeys", name]
        text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)
    apt.load_key(project.settings, text, project.log)


@pytest.fixture
def published(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("REEF_GNUPGHOME", str(place.gnupg))
    with (place.folder / "reef.yml").open("a") as file:
        file.write("repository: {url: 'https://apt.example.org/lab'}\n")
    project = Project.open(place.folder, Log(quiet=True))
    load_subkey(project)
    changes = gzip.compress(b"reef-demo (1.0+x~1) trixie; urgency=low\n")
    apt.change(project, {"trixie": [read_deb(make_deb(place.folder, version="1.0+x~1", changelog=changes))]})
    return place


def test_the_apt_of_every_release(published: Place) -> None:
    """Today and on every day before the key's end each accepts; after it gpgv refuses, and sqv keeps what it has."""
    output = published.run("verify-apt", "--roots")
    rows = [line.split() for line in output.splitlines() if line.split()[:1] == ["apt"]]
    clients: dict[str, list[tuple[str, str, str]]] = {}
    for _, version, verifier, keyring, day, verdict in rows:
        clients.setdefault(f"{version.rsplit('.', 1)[0]} {verifier}", []).append((keyring, day, verdict))
    assert set(clients) >= {"2.2 (gpgv)", "2.6 (gpgv)", "3.0 (sqv)"}, output
    for client, trials in clients.items():
        today = min(day for _, day, _ in trials)
        assert ("download", today, "accepts") in trials
        assert ("contents", today, "accepts") in trials
        assert ("changelog", today, "accepts") in trials
        days = dict((day, verdict) for keyring, day, verdict in trials if keyring == "today")
        *before, after = sorted(days)
        assert len(before) == 3
        assert {days[day] for day in before} == {"accepts"}
        assert days[after] == ("refuses" if "gpgv" in client else "accepts")
    assert "locked out from" in output
    assert gone(published) == []


BOARD = """
exec >/build/out/said 2>&1
python3 -c 'import server, time; from pathlib import Path
with server.serving(Path("/srv/reef"), port=8642): time.sleep(600)' &
trap 'kill $!' EXIT
page=http://127.0.0.1:8642/index.html
until python3 -c "import urllib.request as u; u.urlopen('$page')" 2>/dev/null; do sleep 0.1; done
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
cp /srv/reef/reef-archive-keyring.gpg /usr/share/keyrings/
cp /srv/reef/reef-trixie.sources /etc/apt/sources.list.d/
dpkg --add-architecture i386
echo "== update"; apt-get -o quiet=0 --error-on=any update
echo "== search"; apt-file search 'odd tool'
echo "== list"; apt-file list reef-pc
echo "== changelog"; apt-get changelog reef-pc | cat
echo "== newest"; apt-cache policy reef-pc
if [ -n "$moment" ]; then
    apt-get --error-on=any update -S "$moment"
    echo "== then"; apt-cache policy -S "$moment" reef-pc
    apt-get install -y -S "$moment" reef-pc
    echo "== installed"; dpkg-query -W reef-pc
    echo "Snapshot: $moment" >>/etc/apt/sources.list.d/reef-trixie.sources
    apt-get --error-on=any update
    echo "== pinned"; apt-cache policy reef-pc
fi
"""


@pytest.mark.parametrize("release", ["trixie", pytest.param("bookworm", marks=pytest.mark.nightly)])
def test_the_tools_of_a_board(place: Place, monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    """apt-file, apt-get changelog and apt's snapshots, with Reef's own server and the published .sources file."""
    monkeypatch.setenv("REEF_GNUPGHOME", str(place.gnupg))
    with (place.folder / "reef.yml").open("a") as file:
        file.write("repository: {url: 'http://127.0.0.1:8642'}\nengine: chroot\n")
    project = Project.open(place.folder, Log(quiet=True))
    now = int(time.time())
    text = "reef-pc ({}) trixie; urgency=low\n\n  * Hello.\n\n -- Lab <lab@x.org>  Sat, 31 Jan 2026 12:00:00 +0000\n"
    for number, date in ((1, now), (2, now + 6)):
        monkeypatch.setattr("builders.apt.publish.change.time", SimpleNamespace(time=lambda date=date: date))
        version = f"{number}~deb13"
        deb = make_deb(place.folder, "reef-pc", version, "amd64", files=["opt/lab/odd tool"],
                       changelog=gzip.compress(text.format(version).encode()))  # fmt: skip
        apt.change(project, {"trixie": [read_deb(deb), read_deb(make_deb(place.folder))]})
    tool = place.folder / "tool"
    tool.mkdir()
    shutil.copy(CHECKOUT / "builders/apt/verify/server.py", tool)
    job = BuildJob(
        f"board/{release}", Root(release, project.machine, project.machine, ("apt-file", "gpgv", "python3")),
        f"moment={stamp_of(now + 3) if release == 'trixie' else ''}\nexport PYTHONPATH=/srv/tool\n{BOARD}",
        inputs=(Input(place.artifacts / "apt", "/srv/reef"), Input(tool, "/srv/tool")),
    )  # fmt: skip
    output = (project.run_in_root(job, place.folder / "out").output / "said").read_text()
    said = dict(part.split("\n", 1) for part in output.split("== ")[1:])
    assert "N:" not in said["update"]
    assert said["search"] == "reef-pc: /opt/lab/odd tool\n"
    assert "reef-pc: /usr/share/reef-pc/content\n" in said["list"]
    assert "reef-pc (2~deb13) trixie" in said["changelog"]
    assert "Candidate: 2~deb13" in said["newest"]
    if release == "trixie":
        assert "Candidate: 1~deb13" in said["then"]
        assert said["installed"].startswith("reef-pc\t1~deb13\n")
        assert "Candidate: 1~deb13" in said["pinned"]
        assert "2~deb13" not in said["pinned"]
    assert gone(place) == []


def test_publishing_asks_the_apt_of_releases_that_are_named(published: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a candidate, whose pool is partly links to what is published already."""
    with (published.folder / "reef.yml").open("a") as file:
        file.write("engine: chroot\n")
    (published.folder / "reef.yml").write_text(
        (published.folder / "reef.yml").read_text().replace("/lab'}", "/lab', clients: [bookworm, trixie]}")
    )
    said = io.StringIO()
    project = Project.open(published.folder, Log(live=False, console=Console(file=said, width=400, highlight=False)))
    apt.change(project, {"trixie": [read_deb(make_deb(published.folder, "reef-more"))]})
    (line,) = (line for line in said.getvalue().splitlines() if line.startswith("trixie: tried with "))
    assert set(re.findall(r"apt (\d+\.\d+)\S* (\(\w+\))", line)) >= {("2.6", "(gpgv)"), ("3.0", "(sqv)")}, line
    assert gone(published) == []


def test_the_apt_next_to_buster_s_takes_a_suite_for_buster(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No root of buster can be made; bullseye's apt 2.2 and gpgv 2.2 are the nearest that can be asked."""
    monkeypatch.setenv("REEF_GNUPGHOME", str(place.gnupg))
    with (place.folder / "reef.yml").open("a") as file:
        file.write("repository: {clients: [bullseye]}\nengine: chroot\n")
    said = io.StringIO()
    project = Project.open(place.folder, Log(live=False, console=Console(file=said, width=400, highlight=False)))
    apt.change(project, {"buster": [read_deb(make_deb(place.folder))]})
    (line,) = (line for line in said.getvalue().splitlines() if line.startswith("buster: tried with "))
    assert ("2.2", "(gpgv)") in set(re.findall(r"apt (\d+\.\d+)\S* (\(\w+\))", line)), line
    assert gone(place) == []


def test_a_release_that_the_mirror_lacks_stops_no_other(published: Place, tmp_path: Path) -> None:
    (published.artifacts / "cache").unlink()  # empty caches: every root would have to be made
    with (published.folder / "reef.yml").open("a") as file:
        file.write(f"debian_mirror: {tmp_path.as_uri()}\n")
    output = published.run("verify-apt", "--roots", status=6)
    assert "the apt of bullseye was not tried" in output
    assert "debian_mirror: in reef.yml names another" in output
    assert [line.split()[5] for line in output.splitlines() if line.split()[:1] == ["apt"]][:2] == [
        "accepts",
        "accepts",
    ]
    assert gone(published) == []
