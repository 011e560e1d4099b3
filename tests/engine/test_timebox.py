"""A time box that is over where sources are fetched, or a root is made, ends the run in order; what was done stays."""

import hashlib
import os
import signal
import subprocess
from collections.abc import Callable

import yaml

from tests.support.place import Place, gone, kill
from tests.support.serving import packed, upstream

BOXED = ("build-arm", "--target", "trixie/amd64", "--time-box", "5h")


def over(place: Place, there: Callable[[], bool]) -> str:
    """Start a build, let its time box be over as soon as ``there()``, and return what it printed."""
    child: subprocess.Popen[str] = place.start(*BOXED)
    place.when(child, there)
    assert kill(child, signal.SIGALRM) == 13
    assert gone(place) == []
    output = (place.folder / "output").read_text()
    assert "run the same command again: it continues from there" in output
    assert "Traceback" not in output
    assert not (place.artifacts / "builds").exists()
    return output


def test_where_sources_are_fetched(place: Place) -> None:
    nonce = os.urandom(8).hex()
    path = place.recipe / "recipe.yml"
    recipe = yaml.safe_load(path.read_text())
    with upstream(place.folder / "upstream", nonce) as hosts:
        archive = {"urls": [f"{hosts.url}/tensorflow.tar"], "sha256": hashlib.sha256(packed(nonce)).hexdigest()}
        recipe["sources"].append({"name": "slow", "unpack": "slow", "archive": archive})
        path.write_text(yaml.safe_dump(recipe))
        hosts.gate.clear()
        output = over(place, lambda: bool(hosts.asked))
        assert "the time box is over during: sources of reef-hello / download slow from 127.0.0.1" in output
        hosts.gate.set()
        assert "reef-hello" in place.run(*BOXED)


def test_where_a_root_is_made(lonely_place: Place) -> None:
    scratch, roots = (lonely_place.artifacts / "cache" / name for name in ("scratch", "roots"))
    output = over(lonely_place, lambda: bool(list(scratch.glob("root.*/rootfs/usr/bin"))))
    assert "the time box is over during: make root" in output
    assert [path for path in roots.glob("*") if path.is_dir()] == []
