"""What a run makes of what it inherits: encodings of terminals, a caller's umask, a home."""

import codecs
import os
import pwd
import sys
import tempfile
from pathlib import Path

import pytest

from builders.errors import OutputError
from builders.host import surroundings


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("latin-1", "▸ make root … é", b"> make root ... \xe9"),
        ("ascii", "✓ a → é", b"+ a -> \\xe9"),
        ("utf-8", "✗ \udcff é", b"\xe2\x9c\x97 \\xff \xc3\xa9"),
        ("euc-jp", "✓ 漢", b"+ \xb4\xc1"),
    ],
)
def test_every_character_is_shown(encoding: str, text: str, shown: bytes) -> None:
    codecs.register_error(surroundings.HANDLER, surroundings.plain)
    assert text.encode(encoding, surroundings.HANDLER) == shown


def test_a_decoding_error_stays_an_error() -> None:
    codecs.register_error(surroundings.HANDLER, surroundings.plain)
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", surroundings.HANDLER)


def test_an_output_that_cannot_be_written_is_reported_once() -> None:
    with surroundings.Output(Path("/dev/full").open("wb"), "utf-8", "strict") as output:
        output.write("text")
        with pytest.raises(OutputError, match="the output cannot be written") as caught:
            output.flush()
        assert "No space left on device" in caught.value.detail
        output.write("later")


def test_a_home_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in (("/my/home", "/my/home"), ("", pwd.getpwuid(os.geteuid()).pw_dir)):
        monkeypatch.setenv("HOME", given)
        surroundings._have_a_home()
        assert os.environ["HOME"] == expected
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "geteuid", lambda: 987654321)
    surroundings._have_a_home()
    assert os.environ["HOME"] == "/"
    assert Path("~/x").expanduser() == Path("/x")


def test_the_standard_files_of_a_test_stay(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    surroundings._show_everything()
    assert sys.stdout is before


@pytest.mark.parametrize("name", ["plain", "with space", "with,comma", "é", "long" * 20, "missing/folder"])
def test_temporary_files_have_plain_paths(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        place = Path(folder, name)
        if "/" not in name:
            place.mkdir()
        monkeypatch.setenv("TMPDIR", str(place))
        surroundings._have_plain_temporary_files()
        assert os.environ.get("TMPDIR") == (str(place) if name == "plain" else None)
