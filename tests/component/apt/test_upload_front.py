"""The command: what it tells, what it refuses, and two of it at once."""

import subprocess

import pytest

from builders.apt.verify.verify import verify
from tests.support.repository import DATE, PLACES, Publisher, facts_of

SETTINGS = """
repository:
  upload:
    - {name: disk, kind: folder, path: there}
    - {name: pages, kind: folder, path: site, links: false}
"""


@pytest.fixture
def project(publisher: Publisher) -> Publisher:
    """A project whose artifacts hold a publication."""
    (publisher.folder / "reef.yml").write_text(PLACES + SETTINGS)
    publisher.publish(publisher.deb())
    return publisher


def start(project: Publisher, *words: str) -> "subprocess.Popen[str]":
    return project.command("upload-apt", *words)


def run(project: Publisher, *words: str, status: int = 0) -> str:
    child = start(project, *words)
    output, _ = child.communicate(timeout=120)
    assert child.returncode == status, output
    assert "Traceback" not in output
    return output


def test_two_uploads_at_once_take_turns(project: Publisher) -> None:
    both = [start(project), start(project)]
    outputs = [child.communicate(timeout=120)[0] for child in both]
    assert [child.returncode for child in both] == [0, 0]
    lines = [line.split() for output in outputs for line in output.splitlines() if line]
    for name in ("disk", "pages"):
        assert sorted(words[1] for words in lines if words[0] == name) == ["unchanged", "uploaded"]
    assert verify(project.folder / "there", "trixie").debs == 1
    assert verify(project.folder / "site", "trixie").debs == 1


def test_a_forecast_sends_nothing(project: Publisher) -> None:
    output = run(project, "--plan", "--to", "disk")
    assert "would be uploaded" in output
    assert "pages" not in output
    assert not (project.folder / "there").exists()
    run(project)
    project.publish(project.deb(version="2"), date=DATE + 60)
    before = facts_of(project.folder / "there")
    assert "would be uploaded" in run(project, "--plan")
    assert facts_of(project.folder / "there") == before


def test_one_that_fails_does_not_hold_up_the_others(project: Publisher) -> None:
    (project.folder / "there" / "pool").mkdir(parents=True)
    (project.folder / "there" / "pool" / "theirs.deb").touch()
    output = run(project, status=10)
    assert "disk contains files that Reef did not upload" in output
    assert verify(project.folder / "site", "trixie").debs == 1
    assert "what to do: choose an empty folder" in output


@pytest.mark.parametrize(
    ("settings", "words", "told"),
    [
        (SETTINGS, ["--to", "dsik"], "did you mean 'disk'"),
        ("", [], "no destination to upload to"),
        ("repository: {upload: [{name: x, kind: s3, bucket: abc, secret: y}]}", [], "unknown key"),
        ("repository: {upload: [{name: x, kind: rsync, to: '-oProxyCommand=x:/'}]}", [], "upload.0.rsync.to"),
        ("repository: {upload: [{name: x, kind: folder, path: a}, {name: x, kind: folder, path: b}]}", [],
         "duplicate name of a destination: 'x'"),
    ],
)  # fmt: skip
def test_wrong_words(project: Publisher, settings: str, words: list[str], told: str) -> None:
    (project.folder / "reef.yml").write_text(PLACES + settings)
    assert told in run(project, *words, status=3)


@pytest.mark.parametrize("path", ["apt", "apt/there", "."])
def test_the_repository_itself_is_no_destination(project: Publisher, path: str) -> None:
    more = f"    - {{name: self, kind: folder, path: {path}}}\n"
    (project.folder / "reef.yml").write_text(PLACES + SETTINGS + more)
    before = facts_of(project.repository)
    assert "self would be uploaded over the repository itself" in run(project, status=3)
    assert facts_of(project.repository) == before
    assert not (project.folder / "there").exists()


def test_nothing_published_is_told(project: Publisher) -> None:
    (project.folder / "apt").rename(project.folder / "old")
    output = run(project, status=10)
    assert "nothing is published yet" in output
    assert "./inv publish-apt" in output
