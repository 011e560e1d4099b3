"""A damaged package in apt's shared archives: real mmdebstrap and apt in a job never install it."""

import os
from pathlib import Path

import pytest

from builders.engines.chroot.engine import ChrootEngine
from builders.host.files import remove_tree
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import AMD64
from builders.model.context import Context
from builders.model.jobs import APT_CACHE, BuildJob, Root
from builders.model.settings import Settings
from tests.support.place import Place

FETCH = """
apt-get update
mkdir -p /cache/apt/partial
apt-get -y -d -o Dir::Cache::archives=/cache/apt/ -o APT::Keep-Downloaded-Packages=true -o APT::Sandbox::User=root \
    install hello
"""
JOB = BuildJob(
    "archives", Root("trixie", AMD64, AMD64, ()), "dpkg --install /cache/apt/hello_*.deb\nhello >/build/out/said\n",
    fetch=FETCH, caches=(APT_CACHE,),
)  # fmt: skip


def damage(package: Path) -> None:
    """Flip one bit in the middle, where the size tells nothing; the time stays too, as where a disk forgets."""
    facts = package.stat()
    data = bytearray(package.read_bytes())
    data[len(data) // 2] ^= 1
    with package.open("r+b") as file:
        file.write(data)
    os.utime(package, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_what_is_damaged_is_fetched_anew(lonely_place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    space, log = Workspace(lonely_place.artifacts), Log()
    engine = ChrootEngine(Context(space.path, Settings(), space, AMD64, Log(live=False)))

    def run(name: str) -> str:
        result = engine.run(JOB, space.path / "out" / name, log)
        assert (result.output / "said").read_text() == "Hello, world!\n"
        return capsys.readouterr().out

    assert "damaged" not in run("first")
    [libc] = (space.cache.mounts / "apt").glob("libc6_*_amd64.deb")
    [hello] = (space.cache.mounts / "apt").glob("hello_*_amd64.deb")
    damage(hello)
    said = run("second")
    assert said.count("is damaged") == 1
    assert f"{hello} is damaged" in said
    damage(libc)
    remove_tree(space.cache.roots)
    said = run("third")
    assert said.count("is damaged") == 1
    assert f"{libc} is damaged" in said
    assert "make root" in said
