"""The signing key: made once, found again, refused when boards would refuse it; gpg is the judge."""

import io
import multiprocessing
import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from builders.apt.keys import gnupg, rotation, signing
from builders.apt.keys.gnupg import AGENT_MARK, home_path, opened
from builders.apt.keys.signing import signing_key
from builders.cli.repository import given_key
from builders.errors import BusyError, InputError, PublishError
from builders.host import process
from builders.host.log import Log
from builders.model.settings import Settings, Signing

LONG_AGO = "20200101T000000"


def gpg(home: Path, *arguments: str, text: str | None = None) -> str:
    home.mkdir(mode=0o700, exist_ok=True)
    argv = ["gpg", "--homedir", str(home), "--batch", "--yes", "--no-tty", *arguments]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_key(home: Path, *options: str, expire: str = "0", user: str = "somebody") -> str:
    """Make a key by gpg itself and return its fingerprint."""
    wish = "%no-protection\nKey-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: sign\n"
    wish += f"Name-Real: {user}\nExpire-Date: {expire}\n%commit\n"
    said = gpg(home, *options, "--status-fd", "1", "--generate-key", text=wish)
    end_agent(home)
    return next(line.split()[3] for line in said.splitlines() if "KEY_CREATED" in line)


def end_agent(home: Path) -> None:
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)
    assert no_agents(home)  # one that is about to go answers nobody


def agents(home: Path) -> list[int]:
    return [
        p.pid
        for p in psutil.process_iter(["name", "cmdline", "status"])
        if p.info["name"] == "gpg-agent"
        and str(home) in (p.info["cmdline"] or ())
        and p.info["status"] != psutil.STATUS_ZOMBIE
    ]


def no_agents(home: Path) -> bool:
    deadline = time.monotonic() + 120
    while agents(home) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not agents(home)


def with_key(fingerprint: str) -> Settings:
    return Settings(signing=Signing(key=fingerprint))


def test_made_on_first_use_and_found_again(home: Path, log: Log, said: io.StringIO) -> None:
    first = signing_key(Settings(), log)
    assert "no passphrase" in said.getvalue()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    (record,) = [r for r in gpg(home, "--with-colons", "-K").splitlines() if r.startswith("sec:")]
    assert record.split(":")[3] == "22"  # EdDSA (RFC 6637's successor, GnuPG doc/DETAILS)
    assert record.split(":")[11] == "scSC"
    assert first.expires is not None
    assert first.expires - first.created == 1095 * 86400
    end_agent(home)
    assert signing_key(Settings(), log) == first
    assert said.getvalue().count("made the signing key") == 1
    assert no_agents(home)
    assert not (home / AGENT_MARK).exists()


def test_the_home_s_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("REEF_GNUPGHOME", raising=False)
    assert home_path(Settings()) == Path("/h/.local/share/reef/gnupg")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert home_path(Settings()) == Path("/data/reef/gnupg")
    assert home_path(Settings(signing=Signing(home="~/keys"))) == Path("/h/keys")
    monkeypatch.setenv("REEF_GNUPGHOME", "/env")
    assert home_path(Settings(signing=Signing(home="~/keys"))) == Path("/env")


def test_a_key_that_could_not_be_recorded_is_adopted(home: Path, log: Log, said: io.StringIO) -> None:
    first = signing_key(Settings(), log)
    (home / signing.RECORD).unlink()
    (home / AGENT_MARK).touch()
    assert signing_key(Settings(), log).fingerprint == first.fingerprint
    assert (home / signing.RECORD).read_text().strip() == first.fingerprint
    assert no_agents(home)


def test_an_agent_that_a_killed_run_left_is_ended(home: Path, log: Log) -> None:
    signing_key(Settings(), log)
    (home / AGENT_MARK).touch()
    gpg(home, "-K")
    assert agents(home)
    signing_key(Settings(), log)
    assert no_agents(home)


def test_an_agent_is_gone_when_the_home_is_closed(home: Path) -> None:
    """Not only told to go: whoever asked it then got no answer, once in some hundred times."""
    make_key(home)
    for _ in range(5):
        with opened(home) as one:
            one.gpg("--list-secret-keys")
            [agent] = map(psutil.Process, agents(home))
        assert not agent.is_running() or agent.status() == psutil.STATUS_ZOMBIE


def test_the_user_s_own_agent_stays(home: Path, log: Log) -> None:
    signing_key(Settings(), log)
    subprocess.run(["gpgconf", "--homedir", str(home), "--launch", "gpg-agent"], check=True)
    (before,) = agents(home)
    key = signing_key(Settings(), log)
    release = home.parent / "Release"
    release.write_text("Suite: x\n")
    key.sign(release, date=0)
    assert agents(home) == [before]
    end_agent(home)


def make_in_child(answers: "multiprocessing.Queue[str]") -> None:
    answers.put(signing_key(Settings(), Log(quiet=True)).fingerprint)


def test_several_runs_make_one_key(home: Path) -> None:
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[str] = context.Queue()
    children = [context.Process(target=make_in_child, args=(answers,)) for _ in range(4)]
    for child in children:
        child.start()
    found = {answers.get(timeout=60) for _ in children}
    for child in children:
        child.join()
    assert len(found) == 1
    assert gpg(home, "--with-colons", "-K").count("sec:") == 1
    end_agent(home)


def test_a_named_key_is_used(home: Path, log: Log) -> None:
    fingerprint = make_key(home)
    spaced = " ".join(fingerprint[i : i + 4] for i in range(0, 40, 4)).lower()
    key = signing_key(with_key(spaced), log)
    assert (key.fingerprint, key.expires) == (fingerprint, None)


def test_missing_key(home: Path, log: Log) -> None:
    with pytest.raises(PublishError, match=f"{'A' * 40} is missing") as caught:
        signing_key(with_key("A" * 40), log)
    assert str(home) in caught.value.detail
    assert "gpg --import" in caught.value.fix


def test_public_half_alone_is_missing_too(home: Path, log: Log) -> None:
    key = signing_key(Settings(), log)
    for secret in (home / "private-keys-v1.d").iterdir():
        secret.unlink()
    with pytest.raises(PublishError, match=f"{key.fingerprint} is missing"):
        signing_key(Settings(), log)


def test_a_key_of_version_5(home: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """gpg of Debian 12 makes none, but `gpg --quick-generate-key NAME ed448` of GnuPG 2.3 (its NEWS) and later does."""
    made = signing_key(Settings(), log).fingerprint
    real = gnupg.Home.records
    monkeypatch.setattr(
        gnupg.Home,
        "records",
        lambda *some: [[word.replace(made, made + "5" * 24) for word in record] for record in real(*some)],
    )
    with pytest.raises(PublishError, match="no board can verify the signing key"):
        signing_key(Settings(), log)


def test_expired_key(home: Path, log: Log) -> None:
    fingerprint = make_key(home, "--faked-system-time", LONG_AGO, expire="30d")
    with pytest.raises(PublishError, match="expired on 2020-01-31") as caught:
        signing_key(with_key(fingerprint), log)
    assert caught.value.fix.startswith("extend it: ./inv keys --extend 1095")
    rotation.extend(with_key(fingerprint), 1095)
    assert signing_key(with_key(fingerprint), log).fingerprint == fingerprint


def test_revoked_key(home: Path, log: Log) -> None:
    fingerprint = make_key(home)
    paper = (home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
    gpg(home, "--import", text=paper.replace(":-----BEGIN", "-----BEGIN"))
    end_agent(home)
    with pytest.raises(PublishError, match="is revoked"):
        signing_key(with_key(fingerprint), log)


def test_warning_before_the_end(home: Path, log: Log, said: io.StringIO) -> None:
    fingerprint = make_key(home, expire="40d")
    signing_key(Settings(signing=Signing(key=fingerprint, warn_days=30)), log)
    assert said.getvalue() == ""
    signing_key(Settings(signing=Signing(key=fingerprint, warn_days=60)), log)
    assert "in 40 days" in said.getvalue()
    assert "./inv keys --extend" in said.getvalue()


def test_refused_close_to_the_end(home: Path, log: Log) -> None:
    fingerprint = make_key(home, expire="10d")
    with pytest.raises(PublishError, match="in 10 days") as caught:
        signing_key(with_key(fingerprint), log)
    assert "./inv keys --extend" in caught.value.fix
    assert signing_key(Settings(signing=Signing(key=fingerprint, refuse_days=5)), log).fingerprint == fingerprint
    with pytest.raises(InputError, match="too few"):
        rotation.extend(with_key(fingerprint), 14)
    rotation.extend(with_key(fingerprint), 200)
    assert signing_key(with_key(fingerprint), log).expires is not None


def test_clock_before_the_key_s_birth(home: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = make_key(home)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    with pytest.raises(PublishError, match="clock is before the signing key's creation"):
        signing_key(with_key(fingerprint), log)


def test_home_that_others_can_read(home: Path, log: Log) -> None:
    home.mkdir()
    home.chmod(0o755)
    with pytest.raises(PublishError, match="others can read") as caught:
        signing_key(Settings(), log)
    assert caught.value.fix == f"run: chmod 700 {home}"


def test_home_with_too_long_a_path(tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REEF_GNUPGHOME", raising=False)
    if Path("/run/user", str(os.getuid())).is_dir():
        pytest.skip("gpg keeps its sockets in /run/user here")
    with pytest.raises(PublishError, match="path of the GnuPG home is too long"):
        signing_key(Settings(signing=Signing(home=str(tmp_path / ("x" * 90)))), log)


def test_home_in_use(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builders.apt.keys.gnupg.WAIT_S", 0.05)
    context = multiprocessing.get_context("fork")
    held, done = context.Event(), context.Event()
    child = context.Process(target=hold, args=(home, held, done))
    child.start()
    assert held.wait(20)
    with pytest.raises(BusyError, match="uses the keys"), opened(home):
        pass
    done.set()
    child.join()


def hold(home: Path, held: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    with opened(home):
        held.set()
        done.wait(20)


def test_wrong_passphrase_is_told(home: Path, log: Log, tmp_path: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "gpg-agent.conf").write_text("pinentry-program /bin/false\ns2k-count 65536\n")
    wish = "Key-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: sign\nName-Real: x\nExpire-Date: 0\n"
    gpg(home, "--pinentry-mode", "loopback", "--generate-key", text=wish + "Passphrase: hush\n%commit\n")
    end_agent(home)
    fingerprint = next(r.split(":")[9] for r in gpg(home, "--with-colons", "-K").splitlines() if r[:4] == "fpr:")
    end_agent(home)
    key = signing_key(with_key(fingerprint), log)
    release = tmp_path / "Release"
    release.write_text("Suite: x\n")
    with pytest.raises(PublishError, match="cannot sign") as caught:
        key.sign(release, date=0)
    assert "passphrase" in caught.value.fix
    assert no_agents(home)


def test_signatures_repeat_and_nothing_secret_is_told(
    home: Path, log: Log, tmp_path: Path, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    real = process.capture

    def capture(argv: list[str], **more: Any) -> str:
        ran.extend(argv)
        return real(argv, **more)

    monkeypatch.setattr(process, "capture", capture)
    key = signing_key(Settings(), log)
    monkeypatch.setattr(time, "time", lambda: key.created + 60.0)
    results = []
    for name in ("one", "two"):
        release = tmp_path / name / "Release"
        release.parent.mkdir()
        release.write_text("Suite: x\n- dashed\n")
        key.sign(release, date=key.created + 50)
        results.append([(release.parent / made).read_bytes() for made in ("InRelease", "Release.gpg")])
        time.sleep(1.1)
    assert results[0] == results[1]
    packets = subprocess.run(
        ["gpg", "--list-packets"], input=results[0][1], capture_output=True, check=True
    ).stdout.decode()
    assert f"created {key.created + 50}" in packets
    assert "digest algo 10" in packets  # SHA-512 (RFC 9580, 9.5)
    secret = next((home / "private-keys-v1.d").iterdir()).read_bytes()
    assert not any(word.encode() in secret for word in ran if len(word) > 8)
    assert "passphrase" not in " ".join(ran).lower()
    assert "private" not in said.getvalue()


def test_no_signature_is_dated_ahead_of_the_clock(home: Path, log: Log, tmp_path: Path) -> None:
    key = signing_key(Settings(), log)
    (tmp_path / "Release").write_text("Suite: x\n")
    key.sign(tmp_path / "Release", date=key.created + 9)
    signature = (tmp_path / "Release.gpg").read_text()
    packets = subprocess.run(["gpg", "--list-packets"], input=signature, capture_output=True, text=True, check=True)
    assert key.created <= int(packets.stdout.split(", created ")[1].split(",")[0]) <= time.time()


def exported(home: Path, *fingerprints: str, kind: str = "--export-secret-keys") -> str:
    text = gpg(home, "--armor", kind, *fingerprints)
    end_agent(home)
    return text


def test_a_key_that_is_given_as_text_signs(home: Path, log: Log, tmp_path: Path) -> None:
    other = tmp_path / "o"
    name = make_key(other)
    assert signing.load(Settings(), exported(other, name), log) == name
    assert signing.load(Settings(), exported(other, name), log) == name
    assert signing_key(Settings(), log).fingerprint == name
    assert no_agents(home)


def test_what_is_no_single_secret_key_is_refused(home: Path, log: Log, tmp_path: Path) -> None:
    other = tmp_path / "o"
    one, two = make_key(other), make_key(other, user="another")
    both = exported(other, one, two)
    for text, told in (
        ("rubbish", "gpg cannot read this as a key"),
        (exported(other, one, kind="--export"), "contains no secret key"),
        (both, "it is not clear which key signs"),
    ):
        with pytest.raises(PublishError, match=told) as caught:
            signing.load(Settings(), text, log)
        assert "PRIVATE" not in str(caught.value)
    assert not (home / signing.RECORD).exists()
    assert signing.load(Settings(signing=Signing(key=two)), both, log) == two
    assert signing.load(Settings(), exported(other, one), log) == one
    with pytest.raises(PublishError, match="it is not clear which key signs") as caught:
        signing.load(Settings(), exported(other, two), log)
    assert one in caught.value.detail


def test_the_variable_holds_a_key_or_names_its_file(
    home: Path, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="REEF_SIGNING_KEY is empty"):
        given_key()
    monkeypatch.setenv("REEF_SIGNING_KEY", "hush-a-key-on-one-line")
    with pytest.raises(InputError, match="neither a key nor a readable file") as caught:
        given_key()
    assert "hush" not in str(caught.value)
    (tmp_path / "key").write_text("text\nof a key")
    monkeypatch.setenv("REEF_SIGNING_KEY", f"{tmp_path / 'key'}\n")
    assert given_key() == "text\nof a key"
    monkeypatch.setenv("REEF_SIGNING_KEY", "text\nof another")
    assert given_key() == "text\nof another"
