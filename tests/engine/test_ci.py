"""Every step of the pipeline files, run as CI runs it: one clone builds, a second one publishes, a third goes on."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from builders.apt.repository.publication import published
from builders.host.files import sha256_of
from tests.support.checkout import CHECKOUT
from tests.support.pipelines import shells
from tests.support.place import Place, kill

BUILT = "builds/reef-hello/trixie-amd64"


def steps(place: Place, service: str, job: str) -> list[str]:
    """Return the shell steps of one job of the pipeline file that ci-files wrote for the place's project."""
    name = {"github": "github-actions.yml", "gitlab": "gitlab-ci.yml"}[service]
    document: Any = yaml.safe_load((place.folder / "ci" / name).read_text())
    part = {"jobs": {job: document["jobs"][job]}} if service == "github" else {job: document[job]}
    alone = place.folder / "job.yml"
    alone.write_text(yaml.safe_dump(part))
    return shells(alone)


def run(place: Place, script: str, status: int = 0, /, **variables: str) -> str:
    """Run a step in the place as a runner does, with the real ./inv of this checkout; it must end with ``status``."""
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        env=place.environment() | variables, cwd=place.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False, timeout=1800,
    )  # fmt: skip
    assert done.returncode == status, f"{script}\n{done.stdout}"
    return done.stdout


@pytest.fixture
def clone(machines: Callable[[], Place]) -> Callable[[], Place]:
    def new() -> Place:
        place = machines()
        (place.folder / "reef.yml").write_text("maintainer: Reef <reef@example.org>\ntargets: [trixie/amd64]\n")
        (place.folder / "inv").symlink_to(CHECKOUT / "inv")
        place.run("ci-files")
        return place

    return new


@pytest.fixture
def secret() -> Iterator[tuple[str, str]]:
    """A signing key as a CI service keeps it: its text, and its fingerprint."""
    with tempfile.TemporaryDirectory(prefix="reef-key-") as home:

        def gpg(*words: str) -> str:
            argv = ["gpg", "--homedir", home, "--batch", "--passphrase", "", *words]
            return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

        gpg("--quick-generate-key", "Lab <lab@example.org>", "ed25519", "sign", "1y")
        listed = gpg("--with-colons", "--list-secret-keys").splitlines()
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
        yield gpg("--armor", "--export-secret-keys"), fingerprint
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)


def carried(one: Place, other: Place, folder: str = "builds") -> None:
    """Take the builds from one clone to another as an artifact: a zip, which keeps neither times nor owners.

    ``folder`` below the other's ``artifacts`` is where the service unpacks it.
    """
    packed = one.folder / "artifact.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in sorted((one.artifacts / "builds").rglob("*")):
            file.write(path, path.relative_to(one.artifacts / "builds"))
    shutil.unpack_archive(packed, other.artifacts / folder)


def unfinished(place: Place, build: str, pack: str, job: dict[str, str]) -> None:
    """Let the time box be over in a build: its job ends in order, and packs the caches for the next one."""
    place.edit("  compile: |\n", "  compile: |\n    sleep 600\n")
    output, packed = place.folder / "github-output", place.folder / "caches.tar.zst"
    assert "--time-box 5h" in build
    told = run(place, build.replace("--time-box 5h", "--time-box 2s"), GITHUB_OUTPUT=str(output), **job)
    assert "the time box is over" in told
    assert "::warning::reef-hello for trixie/amd64 is not built yet" in told
    assert output.read_text().endswith("unfinished=true\n")
    packed.unlink(missing_ok=True)
    run(place, pack)
    assert packed.exists()
    packed.unlink()
    told = run(place, steps(place, "gitlab", "build")[1].replace("--time-box 2h20m", "--time-box 2s"), 13, **job)
    assert packed.exists(), told


def test_the_pipelines_build_publish_and_go_on(clone: Callable[[], Place], secret: tuple[str, str]) -> None:
    builder, publisher, later = clone(), clone(), clone()
    key, fingerprint = secret

    output = builder.folder / "github-output"
    [plan] = steps(builder, "github", "plan")
    run(builder, plan, GITHUB_OUTPUT=str(output))
    matrix = json.loads(output.read_text().removeprefix("matrix="))
    assert [job["name"] for job in matrix["include"]] == ["reef-hello-trixie-amd64"]
    job = {"RECIPE": matrix["include"][0]["recipe"], "TARGET": matrix["include"][0]["target"]}
    take, build, pack = steps(builder, "github", "build")
    run(builder, build, **job)
    run(builder, pack)

    for name in ("build-a", "build-b"):  # two jobs that made the same build
        carried(builder, publisher, f"arrived/{name}")
    others = [*(publisher.artifacts / "arrived/build-b").rglob("*.deb")]
    assert others
    for path in others:  # whose bytes may differ
        path.rename(path.with_name(f"other-{path.name}"))
    unfinished(builder, build, pack, job)
    load, *publish = steps(publisher, "github", "publish")
    told = run(publisher, load, REEF_SIGNING_KEY=key)
    told += "".join(run(publisher, step) for step in publish)
    assert "trixie: published" in told
    kept, left = publisher.artifacts / BUILT, publisher.artifacts / "arrived/build-b" / BUILT.removeprefix("builds/")
    assert not [*kept.glob("other-*")]
    assert len([*left.glob("other-*")]) == len(others)
    assert f"signed by {fingerprint}" in told
    assert re.findall("warning: (boards cannot|.*)", told) == ["boards cannot"]  # reef.yml names no repository.url
    assert "▸ run reef-hello" not in told
    there = {deb.sha256 for deb in published(publisher.artifacts / "apt", "trixie")}
    built = [path for path in (builder.artifacts / BUILT).glob("*.deb")]
    assert built
    assert {sha256_of(path) for path in built} <= there
    assert "PRIVATE" not in told
    # A damaged .deb on the way is none that was built.
    os.truncate(next((publisher.artifacts / BUILT).glob("reef-hello_*.deb")), 100)
    assert "nothing to publish" in publisher.run("publish-apt", status=3)

    # The next night, on GitLab: the caches of the last run, and a key in a file.
    shutil.copy(builder.folder / "caches.tar.zst", later.folder)
    assert take in steps(later, "gitlab", "build")[0]
    told = "".join(run(later, step, **job) for step in steps(later, "gitlab", "build"))
    assert "going on without" not in told
    assert json.loads((later.artifacts / BUILT / "record.json").read_text())["ccache"] == [1, 1]
    assert steps(later, "gitlab", "publish") == [load, publish[0].splitlines()[-1], *publish[1:]]
    (later.folder / "key").write_text(key)
    assert fingerprint in run(later, load, REEF_SIGNING_KEY=str(later.folder / "key"))
    (later.folder / "caches.tar.zst").write_bytes(b"rubbish")
    assert "going on without the caches" in run(later, steps(later, "gitlab", "build")[0])


def test_caches_are_carried_while_no_build_runs(machines: Callable[[], Place]) -> None:
    place = machines()
    place.edit("  compile: |\n", "  compile: |\n    echo compiling; sleep 600\n")
    child = place.start("build-arm", "--target", "trixie/amd64")
    place.when(child, lambda: "\ncompiling" in place.log_text())
    (place.folder / "output").rename(place.folder / "first")
    file = str(place.folder / "caches.tar.zst")
    assert "another run of Reef is at work" in place.run("cache", "--export", file, status=12)
    assert "another run of Reef is at work" in place.run("cache", "--import", file, status=12)
    kill(child)
    assert "no such file" in place.run("cache", "--import", file, status=3)
    assert "exclude each other" in place.run("cache", "--import", file, "--export", file, status=3)
    assert "downloaded sources" in place.run("cache")
