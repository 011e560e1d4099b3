"""Jobs of the chroot engine on machines whose files in /etc are odd, and a build in an odd environment."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest

from builders.host import debian_mirror
from builders.host.files import remove_tree
from tests.support.checkout import CACHE, CHECKOUT
from tests.support.odd_clone import LATIN1, OddClone, make_locale
from tests.support.place import Place

OVER_ETC = """
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work
cp -a "$1/." /mnt/upper/
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /etc
mount --bind "$1/../lists" /var/lib/apt/lists
shift
exec "$@"
"""
JOB = """
import os, sys
from dataclasses import replace
from pathlib import Path
from builders.engines.chroot.engine import ChrootEngine
from builders.host.log import Log
from builders.model.arch import AMD64
from builders.model.jobs import BuildJob, Root
from builders.pipeline.project import Project
project = Project.open(Path(sys.argv[1]), Log(live=False))
job = BuildJob("try/host", Root("trixie", AMD64, AMD64, ()), 'test -z "$(ls /reef/apt)"', fetch=sys.argv[2])
ChrootEngine(replace(project, machine=AMD64)).run(job, project.workspace.path / "out" / os.urandom(3).hex(), Log())
"""
NOTHING_OF_THE_MACHINE = "! grep -rq -e Proxy -e detect -e hush /etc/apt\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_root_gets_this_machines_access_to_mirrors_and_keeps_nothing(place: Place, tmp_path: Path) -> None:
    """A cloud image's list of mirrors, a program that finds proxies and a login; then a machine without a network."""
    etc = tmp_path / "etc"
    (etc / "apt" / "apt.conf.d").mkdir(parents=True)
    (etc / "apt" / "mirrors").mkdir()
    (etc / "apt" / "sources.list.d").mkdir()
    (etc / "apt" / "mirrors" / "debian.list").write_text(f"{debian_mirror.host_mirror().url}\n")
    uri = "mirror+file:/etc/apt/mirrors/debian.list"
    (etc / "apt" / "sources.list.d" / "debian.sources").write_text(
        f"Types: deb\nURIs: {uri}\nSuites: bookworm\nComponents: main\n"
    )
    lists = tmp_path / "lists"
    lists.mkdir()
    for name in ("InRelease", "main_binary-amd64_Packages"):  # as after apt-get update
        (lists / f"_etc_apt_mirrors_debian.list_dists_bookworm_{name}").write_text(
            "Origin: Debian\nLabel: Debian\nComponents: main\nArchitectures: amd64\n" if name == "InRelease" else ""
        )
    detect = etc / "apt" / "detect"
    detect.write_text("#!/bin/sh\necho DIRECT\n")
    detect.chmod(0o755)
    (etc / "apt" / "apt.conf.d" / "50detect").write_text(
        'Acquire::http::Proxy-Auto-Detect "/etc/apt/detect"; Acquire::https::Proxy-Auto-Detect "/etc/apt/detect";\n'
    )
    (etc / "apt" / "auth.conf").write_text("machine http://nowhere.example login me password hush\n")
    (etc / "hosts").write_bytes(b"127.0.0.1 localhost\n# caf\xe9 \xff")

    def run(fetch: str) -> str:
        words = ["unshare", "--mount", "sh", "-euc", OVER_ETC, "sh", str(etc), sys.executable, "-c", JOB]
        done = subprocess.run(
            [*words, str(place.folder), fetch], env=place.environment(), cwd=CHECKOUT, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr + place.log_text()
        return place.log_text()

    assert "InRelease" in run(
        f"{NOTHING_OF_THE_MACHINE}apt-get update\nls /var/lib/apt/lists\n"
        "grep -q DIRECT $APT_CONFIG\ngrep -q '^# caf' /etc/hosts\ntest -s /etc/resolv.conf\n"
    )
    for name in ("apt.conf.d/50detect", "auth.conf"):
        (etc / "apt" / name).unlink()
    (etc / "hosts").unlink()
    (etc / "resolv.conf").symlink_to("../run/nowhere/resolv.conf")
    mirror = tmp_path / "mirror, é"
    (mirror / "dists").mkdir(parents=True)
    run(
        f"{NOTHING_OF_THE_MACHINE}! grep -q DIRECT $APT_CONFIG\n"
        "test ! -s /etc/resolv.conf\ngrep -q localhost /etc/hosts\n"
    )
    url = f"file://{quote(str(mirror))}"
    (place.folder / "reef.yml").write_text(f"engine: chroot\ndebian_mirror: {url}\n")
    run(f"grep -qF 'deb {url} trixie main' /etc/apt/sources.list\ntouch '{mirror}/dists/mine'\n")
    assert list((mirror / "dists").iterdir()) == []


def test_a_build_in_an_odd_environment() -> None:
    """A locale that is not UTF-8, a strict umask, no home, folders with odd names: the packages are as ever."""
    (CHECKOUT / "artifacts" / "tests").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=CHECKOUT / "artifacts" / "tests", prefix="odd, "))
    clone = OddClone(folder)
    make_locale(folder)
    (folder / "t\xf6mp").mkdir()
    environment = {
        "PATH": "/usr/bin:/bin", "LC_ALL": LATIN1, "LOCPATH": str(folder), "TMPDIR": str(folder / "t\xf6mp"),
        "REEF_FOLDER": str(clone.project), "REEF_CACHE": str(CACHE), "PYTHONHOME": "/nonexistent",
    }  # fmt: skip
    done = subprocess.run(
        ["sh", "-c", 'umask 077; "$@" <&-', "sh", str(clone.folder / "inv"), "build-arm"],
        env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"> run reef-hello/trixie/amd64/build" in done.stdout
    [deb] = clone.project.glob("artifacts/builds/reef-hello/*/reef-hello_*.deb")
    listed = subprocess.run(["dpkg-deb", "--contents", str(deb)], capture_output=True, text=True, check=True).stdout
    assert set(re.findall("(?m)^[-d]([rwx-]{9})", listed)) == {"rwxr-xr-x", "rw-r--r--"}
    said = subprocess.run(["dpkg-deb", "--field", str(deb), "Description"], capture_output=True, check=True).stdout
    assert "grüße for boards".encode() in said
    remove_tree(folder)
