"""The verbs of keys in every state of the home and the repository, and homes with settings of their own."""

import io
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.keys import gnupg, rotation, signing
from builders.apt.keys.signing import signing_key
from builders.cli import repository as cli
from builders.errors import DiskError, HostError, InputError, PublishError
from builders.host import process
from builders.host.log import Log
from builders.model.settings import Settings, Signing
from builders.pipeline.project import Project
from tests.support.repository import Publisher

from .test_buster import require_old_packets
from .test_keys import agents, end_agent, gpg, make_key, no_agents

ODD_OPTIONS = """
armor
textmode
comment from the home
emit-version
default-key 0xDEADBEEFDEADBEEF
local-user somebody@example.org
digest-algo SHA1
cert-digest-algo SHA1
personal-digest-preferences SHA1
throw-keyids
expert
no-batch
quiet
use-agent
pinentry-mode error
keyid-format short
with-fingerprint
set-policy-url http://example.org/policy
sig-notation odd@example.org=1
default-sig-expire 1d
trust-model tofu
list-options show-photos
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials on later days have a file of their own (test_client_report.py)."""
    monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])


@pytest.fixture
def publisher(tmp_path: Path, home: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """A repository before its first publication, and a home that does not exist yet."""
    publisher = Publisher(tmp_path, None, log)  # type: ignore[arg-type] # change() finds the key itself

    def settings_alone(*, settings_alone: bool) -> Project:
        assert settings_alone
        return publisher.project()

    monkeypatch.setattr(cli, "open_project", settings_alone)
    return publisher


def signed(log: Log, folder: Path, name: str = "Release") -> list[bytes]:
    """Return all that Reef makes with the key of the home."""
    folder.mkdir(exist_ok=True)
    release = folder / name
    release.write_text("Suite: x\n")
    key = signing_key(Settings(), log)
    while int(time.time()) <= key.created:  # gpg's clock stands still in each second but the present one
        time.sleep(0.05)
    key.sign(release, date=key.created)
    return [(folder / "InRelease").read_bytes(), (folder / "Release.gpg").read_bytes(), key.public, key.armored]


@pytest.mark.parametrize("options", [ODD_OPTIONS, "this is no option\n", "options /nowhere\n"])
def test_the_home_s_own_options_change_nothing(
    home: Path, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    before = signed(log, tmp_path / "before")
    (home / "gpg.conf").write_text(options)
    (home / "dirmngr.conf").write_text("no such option\n")
    monkeypatch.setenv("GNUPGHOME", "/nowhere")
    assert signed(log, tmp_path / "after") == before
    rotation.extend(Settings(), 500)
    new = rotation.rotate(Settings(), log)
    assert signing_key(Settings(), log).fingerprint == new
    assert signing.load(Settings(), exported_plainly(home, new), log) == new
    made = signed(log, tmp_path / "both")
    for content, kinds in ((made[1], {"0x00"}), (made[2], {"0x13"})):
        listed = subprocess.run(
            ["gpg", "--no-options", "--homedir", str(home), "--list-packets"],
            input=content, check=True, capture_output=True,
        )  # fmt: skip
        require_old_packets(listed.stdout.decode(), kinds)
    assert no_agents(home)


def exported_plainly(home: Path, name: str) -> str:
    text = gpg(home, "--no-options", "--armor", "--export-secret-keys", name)
    end_agent(home)
    return text


def test_verbs_before_the_first_publication(publisher: Publisher, log: Log) -> None:
    """With a key that a CI job loaded, or that a publication made before it failed."""
    signing_key(Settings(), log)
    assert apt.extend_keys(publisher.project(), 500) == []
    (facts,) = rotation.list_keys(Settings())
    assert round(facts.days_left or 0) == 500
    assert apt.rotate_keys(publisher.project()) == []
    new, old = signing_key(Settings(), log).fingerprints
    with pytest.raises(PublishError, match="an older key is still signing"):
        apt.rotate_keys(publisher.project())
    assert apt.retire_key(publisher.project(), old) == []
    with pytest.raises(InputError, match="no key is to be retired"):
        apt.retire_key(publisher.project(), new)
    assert not publisher.repository.exists()
    (publication,) = apt.change(publisher.project(), {"trixie": []})
    assert publication.key_fingerprint == new


def test_the_command_before_the_first_publication(publisher: Publisher, log: Log, said: io.StringIO) -> None:
    """The project has no recipe either."""
    cli.keys(extend=0, rotate=False, retire=None)
    assert "there is no signing key yet" in said.getvalue()
    signing_key(Settings(), log)
    cli.keys(extend=400, rotate=False, retire=None)
    assert "nothing is published yet: the first ./inv publish-apt uses the key as it is now" in said.getvalue()


VERBS: dict[str, Callable[[Publisher], object]] = {
    "extend": lambda publisher: apt.extend_keys(publisher.project(), 500),
    "rotate": lambda publisher: apt.rotate_keys(publisher.project()),
    "retire": lambda publisher: apt.retire_key(publisher.project(), "A" * 40),
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_without_a_key(publisher: Publisher, home: Path, verb: str) -> None:
    with pytest.raises(PublishError, match="no signing key exists yet"):
        VERBS[verb](publisher)


@pytest.mark.parametrize("verb", ["extend", "rotate"])
def test_no_key_changes_where_nothing_can_be_published(
    publisher: Publisher, home: Path, log: Log, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signing_key(Settings(), log)
    find = process.find
    monkeypatch.setattr(process, "find", lambda name: None if name == "faketime" else find(name))
    with pytest.raises(HostError, match="faketime"):
        VERBS[verb](publisher)
    assert signing_key(Settings(), log) == before


@pytest.mark.parametrize("state", ["missing", "expired"])
def test_verbs_with_a_key_that_signs_no_more(publisher: Publisher, home: Path, log: Log, state: str) -> None:
    """Another key can take over at any time; what cannot be extended is named."""
    if state == "missing":
        name = signing_key(Settings(), log).fingerprint
        for path in (home / "private-keys-v1.d").iterdir():
            path.unlink()
        with pytest.raises(PublishError, match="is missing"):
            apt.extend_keys(publisher.project(), 500)
        assert [(f.role, f.fingerprint) for f in rotation.list_keys(Settings())] == [("missing", name)]
    else:
        name = make_key(home, "--faked-system-time", "20200101T000000", expire="30d")
        (home / signing.RECORD).write_text(f"{name}\n")
        assert [facts.role for facts in rotation.list_keys(Settings())] == ["expired"]
    cli.keys(extend=0, rotate=False, retire=None)
    apt.rotate_keys(publisher.project())
    assert signing_key(Settings(), log).older == ()
    apt.retire_key(publisher.project(), name)
    apt.change(publisher.project(), {"trixie": []})


def test_a_named_key_is_extended_alone(publisher: Publisher, home: Path, log: Log, said: io.StringIO) -> None:
    """An older key that is lost stops nothing, and one without an end keeps none."""
    key, endless = make_key(home, expire="40d"), make_key(home, user="endless")
    publisher.settings = Settings(signing=Signing(key=key, previous=[endless, "B" * 40]))
    apt.extend_keys(publisher.project(), 500)
    assert f"{endless} never ends" in said.getvalue()
    assert f"the older key {'B' * 40} is not extended" in said.getvalue()
    ends = {facts.fingerprint: facts.days_left for facts in rotation.list_keys(publisher.settings)}
    assert (round(ends[key] or 0), ends[endless]) == (500, None)


@pytest.mark.parametrize("days", [36_500, 10**9])
def test_ends_beyond_openpgp_s_last_day(publisher: Publisher, home: Path, log: Log, days: int) -> None:
    """gpg 2.2.40 counts in 32 bits and lets a key of 36500 days end a second after it was made."""
    before = signing_key(Settings(), log)
    with pytest.raises(InputError, match="days are too many") as caught:
        apt.extend_keys(publisher.project(), days)
    assert "2106-02-07" in caught.value.detail
    with pytest.raises(InputError, match="days are too many"):
        signing.made(gnupg.Home(home), Settings(signing=Signing(expires_days=days)), log)
    assert signing_key(Settings(), log) == before
    most = int(caught.value.fix.split()[-2])
    apt.extend_keys(publisher.project(), most)
    assert round(rotation.list_keys(Settings())[0].days_left or 0) == most


def test_a_home_that_cannot_be_written(home: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write_text("a file")
    with pytest.raises(DiskError, match=str(home)):
        rotation.list_keys(Settings())
    home.unlink()
    monkeypatch.setenv("REEF_GNUPGHOME", "/proc/reef")
    with pytest.raises(DiskError, match="/proc/reef"):
        signing_key(Settings(), log)


def test_keyboxd_of_the_home_ends_with_the_agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GnuPG 2.3 and later starts it where common.conf says so; this gpg may be older, and knows no such daemon."""
    make_key(home)
    (home / "common.conf").write_text("# settings\nuse-keyboxd\n")
    asked: list[list[str]] = []
    capture = process.capture

    def answer(argv: list[str], **more: object) -> str:
        if "--keyboxd" not in argv:
            return capture(argv, **more)  # type: ignore[arg-type]
        asked.append(argv[-3:])
        return "D 999999999\nOK\n" if len(asked) == 2 else "ERR\n"

    monkeypatch.setattr(process, "capture", answer)
    with gnupg.opened(home):
        assert (home / gnupg.KEYBOXD.mark).exists()
    assert asked[1][1:] == ["KILLKEYBOXD", "/bye"]
    assert not (home / gnupg.KEYBOXD.mark).exists()
    monkeypatch.undo()
    monkeypatch.setenv("REEF_GNUPGHOME", str(home))
    with gnupg.opened(home):
        pass
    assert agents(home) == []
