"""Keys as people keep them: the primary key offline, several subkeys, ends of their own; gpg and apt are judges."""

import io
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.apt import api as apt
from builders.apt.keys import rotation, signing
from builders.apt.keys.signatures import issuers
from builders.apt.keys.signing import signing_key
from builders.apt.verify import clients
from builders.apt.verify.verify import verify
from builders.errors import InputError, PublishError
from builders.host.log import Log
from builders.model.settings import Settings, Signing
from tests.support.repository import UNKNOWN_KEY, AptClient, Publisher

from .conftest import short_folder
from .test_keys import end_agent, exported, gpg, with_key

MAIL = "ann@example.org"
DAY_S = 86400


class Person:
    """A person's own home: a primary key that certifies, and what they add to it."""

    def __init__(
        self, algorithm: str = "ed25519", flags: str = "cert", end: str = "3y", mail: str = MAIL, *options: str
    ) -> None:
        self.home = short_folder() / "h"
        self.ask(*options, "--quick-generate-key", f"Ann <{mail}>", algorithm, flags, end)
        self.algorithm, self.name = algorithm, self.fingerprints()[0]

    def ask(self, *words: str, text: str | None = None) -> str:
        return gpg(self.home, "--pinentry-mode", "loopback", "--passphrase", "", *words, text=text)

    def fingerprints(self) -> list[str]:
        return re.findall(r"^fpr:+(\w+):", self.ask("--with-colons", "-K"), re.MULTILINE)

    def add(self, flags: str = "sign", end: str = "1y", *options: str) -> str:
        """Add a subkey and return its fingerprint."""
        before = set(self.fingerprints())
        self.ask(*options, "--quick-add-key", self.name, self.algorithm, flags, end)
        (new,) = set(self.fingerprints()) - before
        return new

    def subkeys(self, *names: str) -> str:
        """Return the text that a CI job's secret is: subkeys without the primary key."""
        return exported(self.home, *(names or [self.name]), kind="--export-secret-subkeys")

    def public(self) -> str:
        return self.ask("--armor", "--export", self.name)


@pytest.fixture
def meet() -> Iterator[Callable[..., Person]]:
    """Return how to get a new person; their homes are removed at the end."""
    people: list[Person] = []

    def met(*arguments: str, **more: str) -> Person:
        people.append(Person(*arguments, **more))
        return people[-1]

    yield met
    for person in people:
        end_agent(person.home)
        shutil.rmtree(person.home.parent)


@pytest.fixture
def person(meet: Callable[..., Person]) -> Person:
    return meet()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials on later days have a file of their own (test_client_report.py)."""
    monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])


@pytest.fixture
def place(tmp_path: Path, log: Log) -> Callable[[Settings], Publisher]:
    """Return a repository that is signed as ``settings`` say."""

    def made(settings: Settings) -> Publisher:
        publisher = Publisher(tmp_path, signing_key(settings, log), log)
        publisher.settings = settings
        return publisher

    return made


def in_release(publisher: Publisher) -> Path:
    return publisher.repository / "dists" / "trixie" / "InRelease"


def client(publisher: Publisher, name: str, keyring: Path | None = None) -> AptClient:
    text = (publisher.repository / "reef-trixie.sources").read_text()
    return AptClient(publisher.folder / name, text, keyring or publisher.keyring)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("algorithm", ["ed25519", "rsa2048"])
def test_subkeys_alone_publish(
    log: Log, place: Callable[[Settings], Publisher], algorithm: str, meet: Callable[..., Person],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The whole way of a CI job: the secret is loaded, the suite published, and real apt takes it on later days."""
    if algorithm != "ed25519":  # the later days of a key do not depend on its kind
        monkeypatch.setattr("builders.apt.publish.change.ask_clients", lambda *_: [])
    person = meet(algorithm)
    subkey = person.add()
    assert signing.load(Settings(), person.subkeys(), log) == person.name
    publisher = place(Settings())
    (key,) = [publisher.key]
    assert (key.fingerprint, key.parts) == (person.name, (subkey,))
    assert key.expires is not None
    assert round((key.expires - time.time()) / DAY_S) == 365
    apt.change(publisher.project(), {"trixie": []})
    assert issuers(in_release(publisher)) == {subkey}
    assert verify(publisher.repository, "trixie").fingerprints == (person.name,)
    assert f"\nSigned-By: {person.name}\n" in in_release(publisher).read_text()
    client(publisher, "board").update()
    outlook = clients.outlooks(publisher.repository, "trixie")[0]
    assert outlook.until == key.expires
    assert [(facts.role, facts.fingerprint) for facts in rotation.list_keys(Settings())] == [
        ("certifies, offline", person.name), ("signs", subkey),
    ]  # fmt: skip


def test_the_newest_of_two_signs_unless_another_is_named(home: Path, log: Log, person: Person) -> None:
    first = person.add()
    time.sleep(1.1)
    second = person.add()
    person.add("auth")
    signing.load(Settings(), person.subkeys(), log)
    assert signing_key(Settings(), log).parts == (second,)
    for name in (person.name, MAIL, f"Ann <{MAIL}>", person.name[-16:], f"0x{person.name[-16:]}"):
        assert signing_key(with_key(name), log).parts == (second,), name
    for name in (first, first[-16:], first.lower(), f"{first}!", " ".join(first[i : i + 4] for i in range(0, 40, 4))):
        assert signing_key(with_key(name), log).parts == (first,), name
    release = home.parent / "Release"
    release.write_text("Suite: x\n")
    for name in (first, second):
        signing_key(with_key(name), log).sign(release, date=int(time.time()))
        assert issuers(release.with_name("InRelease")) == {name}
        packets = gpg(home, "--list-packets", str(release.with_name("Release.gpg")))
        assert packets.count(f"issuer fpr v4 {name}") == packets.count(":signature packet:") == 1


@pytest.mark.usefixtures("_quick")
def test_another_subkey_signs_every_suite_again(
    home: Path, log: Log, place: Callable[[Settings], Publisher], person: Person
) -> None:
    """Although the keyring stays the same; with both in signing.key and signing.previous, both sign."""
    first, second = person.add(), person.add()
    signing.load(with_key(first), person.subkeys(), log)
    publisher = place(with_key(first))
    apt.change(publisher.project(), {"trixie": [], "bookworm": []})
    board = client(publisher, "board")
    before = publisher.keyring.read_bytes()
    publisher.settings = with_key(second)
    apt.change(publisher.project(), {"bookworm": []})
    assert publisher.keyring.read_bytes() == before
    assert issuers(in_release(publisher)) == {second}
    board.update()
    publisher.settings = Settings(signing=Signing(key=first, previous=[second]))
    apt.change(publisher.project(), {"bookworm": []})
    assert issuers(in_release(publisher)) == {first, second}
    assert verify(publisher.repository, "trixie").fingerprints == (person.name, person.name)
    assert not any(each.changed for each in apt.change(publisher.project(), {"trixie": []}))


@pytest.mark.usefixtures("_quick")
def test_boards_that_do_not_know_the_new_subkey_are_named(
    home: Path, log: Log, place: Callable[[Settings], Publisher], person: Person
) -> None:
    signing.load(Settings(), person.subkeys(person.add()), log)
    publisher = place(Settings())
    apt.change(publisher.project(), {"trixie": []})
    board = client(publisher, "board")
    time.sleep(1.1)
    signing.load(Settings(), person.subkeys(person.add()), log)
    apt.change(publisher.project(), {"trixie": []})
    today, before = clients.outlooks(publisher.repository, "trixie")
    assert today.until is not None
    assert (before.until, before.why) == (0, "it contains none of the keys that sign now")
    assert UNKNOWN_KEY in board.update(check=False)


def test_the_earlier_end_counts(home: Path, log: Log, said: io.StringIO, meet: Callable[..., Person]) -> None:
    """Of the primary key or the subkey, whichever it is; both are extended where both can be."""
    for end, subkey_end in (("3y", "40d"), ("40d", "3y"), ("0", "40d"), ("40d", "0")):
        person = meet(end=end, mail=f"{end}-{subkey_end}@example.org")
        subkey = person.add(end=subkey_end)
        gpg(home, "--import", text=exported(person.home, person.name))
        settings = with_key(person.name)
        assert round(((signing_key(settings, log).expires or 0) - time.time()) / DAY_S) == 40
        assert f"the signing key {subkey} expires on" in said.getvalue()
        assert "Extend it: ./inv keys --extend 1095" in said.getvalue()
        (days,) = {facts.days_left for facts in rotation.list_keys(settings) if facts.role == "signs"}
        assert round(days or 0) == 40
        assert rotation.extend(settings, 500) == []
        assert round(((signing_key(settings, log).expires or 0) - time.time()) / DAY_S) == 500
        end_agent(home)


def test_an_offline_primary_key_extends_elsewhere(home: Path, log: Log, person: Person) -> None:
    subkey = person.add(end="10d")
    signing.load(Settings(), person.subkeys(), log)
    with pytest.raises(PublishError, match=f"the signing key {subkey} expires on .*, in 10 days") as caught:
        signing_key(Settings(), log)
    advice = caught.value.fix
    with pytest.raises(PublishError, match="cannot be moved here") as caught:
        rotation.extend(Settings(), 1095)
    assert advice.endswith(caught.value.fix)
    for words in re.findall(r"gpg (--quick-set-expire \w+ \w+(?: \w+)?)", advice):
        person.ask(*words.split())
    gpg(home, "--import", text=person.public())
    end_agent(home)
    assert round(((signing_key(Settings(), log).expires or 0) - time.time()) / DAY_S) == 1095


def test_a_key_without_an_end_stays_so(home: Path, log: Log, meet: Callable[..., Person]) -> None:
    person = meet(end="0")
    subkey = person.add(end="0")
    signing.load(Settings(), exported(person.home, person.name), log)
    assert rotation.extend(Settings(), 100) == [f"the signing key {subkey} never ends"]
    assert signing_key(Settings(), log).expires is None


def test_unusable_subkeys_are_passed_over(home: Path, log: Log, person: Person) -> None:
    """As gpg does, which takes the newest that is neither expired, revoked nor elsewhere."""
    good = person.add()
    time.sleep(1.1)
    expired = person.add("sign", "seconds=1")
    revoked = person.add()
    elsewhere = person.add()
    number = person.fingerprints().index(revoked)
    script = "".join(f"{line}\n" for line in (f"key {number}", "revkey", "y", "0", "", "y", "save"))
    person.ask("--command-fd", "0", "--no-tty", "--edit-key", person.name, text=script)
    time.sleep(1.1)
    gpg(home, "--import", text=person.subkeys(f"{good}!", f"{expired}!", f"{revoked}!"))
    end_agent(home)
    release = home.parent / "Release"
    release.write_text("Suite: x\n")
    signing_key(with_key(person.name), log).sign(release, date=0)
    assert issuers(release.with_name("InRelease")) == {good}
    for name, reason in (
        (expired, "expired on"), (revoked, "is revoked"), (elsewhere, "is missing"), (f"{person.name}!", "is missing"),
    ):  # fmt: skip
        with pytest.raises(PublishError, match=reason):
            signing_key(with_key(name), log)
    roles = {facts.fingerprint: facts.role for facts in rotation.list_keys(with_key(person.name))}
    assert (roles[good], roles[expired], roles[revoked]) == ("signs", "expired", "revoked")


def test_a_primary_key_that_only_certifies_does_not_sign(home: Path, log: Log, person: Person) -> None:
    signing_settings = with_key(person.name)
    gpg(home, "--import", text=exported(person.home, person.name))
    with pytest.raises(PublishError, match="cannot sign") as caught:
        signing_key(signing_settings, log)
    assert f"gpg --quick-add-key {person.name} ed25519 sign" in caught.value.fix
    with pytest.raises(PublishError, match="cannot sign"):
        signing.load(Settings(), exported(person.home, person.name), log)
    assert not (home / signing.RECORD).exists()


def test_a_name_of_two_keys_is_refused(home: Path, log: Log, meet: Callable[..., Person]) -> None:
    people = [Person(flags="sign"), meet(flags="sign")]
    for person in people:
        gpg(home, "--import", text=exported(person.home, person.name))
    with pytest.raises(PublishError, match="it is not clear which key signs") as caught:
        signing_key(with_key(MAIL), log)
    assert all(person.name in caught.value.detail for person in people)
    with pytest.raises(PublishError, match="is missing"):
        signing_key(with_key("nobody@example.org"), log)


def test_a_card_holds_the_key(home: Path, log: Log, person: Person) -> None:
    """What gpg keeps of a key on a card (GnuPG's agent/keyformat.txt): its public half and the card's number."""
    subkey = person.add()
    signing.load(Settings(), person.subkeys(), log)
    grip = next(
        r.split(":")[9] for r in gpg(home, "--with-colons", "-K", f"{subkey}!").splitlines()[::-1] if r[:3] == "grp"
    )
    path = home / "private-keys-v1.d" / f"{grip}.key"
    public = re.search(rb"\(q\s+#([0-9A-F\s]+)#\)", path.read_bytes())
    assert public
    number = "D2760001240103040006123456780000"
    end_agent(home)
    path.write_bytes(
        b"Key: (shadowed-private-key (ecc (curve Ed25519)(flags eddsa)(q #" + public[1] + b"#)\n"
        b"  (shadowed t1-v1 (#" + number.encode() + b"# OPENPGP.1))))\n"
    )
    assert f":{number}:" in gpg(home, "--with-colons", "-K")
    key = signing_key(Settings(), log)
    assert key.parts == (subkey,)
    release = home.parent / "Release"
    release.write_text("Suite: x\n")
    with pytest.raises(PublishError, match="cannot sign") as caught:
        key.sign(release, date=0)
    assert "PIN" in caught.value.fix
    end_agent(home)


def test_retired_by_the_name_that_the_list_shows(home: Path, log: Log, person: Person) -> None:
    subkey = person.add()
    signing.load(Settings(), person.subkeys(), log)
    new = rotation.rotate(Settings(), log)
    assert signing_key(Settings(), log).fingerprints == (new, person.name)
    assert signing_key(Settings(), log).parts == (new, subkey)
    with pytest.raises(InputError, match="is not an older key"):
        rotation.retire(Settings(), new)
    rotation.retire(Settings(), subkey)
    assert signing_key(Settings(), log).fingerprints == (new,)
    with pytest.raises(InputError, match="is not an older key"):
        rotation.retire(Settings(), new)


def test_old_gpgv_reads_the_keyring(home: Path, log: Log, tmp_path: Path, meet: Callable[..., Person]) -> None:
    """Subkeys that encrypt, and pictures, stay at home; gpgv 2.2.12 knows what is left (test_buster.py)."""
    person = meet("ed25519", "cert")
    subkey = person.add()
    person.ask("--quick-add-key", person.name, "cv25519", "encr", "1y")
    signing.load(Settings(), exported(person.home, person.name), log)
    key = signing_key(Settings(), log)
    for content in (key.public, key.armored):
        (tmp_path / "ring").write_bytes(content)
        listed = subprocess.run(
            ["gpg", "--homedir", str(home), "--list-packets", str(tmp_path / "ring")],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        kinds = re.findall(r"^:([\w ]+) packet", listed, re.MULTILINE)
        assert kinds == ["public key", "user ID", "signature", "public sub key", "signature"]
    assert key.parts == (subkey,)
    end_agent(home)


def test_keys_that_newer_boards_refuse_are_named(
    home: Path, log: Log, said: io.StringIO, meet: Callable[..., Person]
) -> None:
    """sqv 1.3.0 of Debian 13 refuses them: RSA of 1024 bits, and keys that signed themselves with SHA-1."""
    weak = meet("rsa1024", "sign", mail="weak@example.org")
    old = meet("rsa2048", "sign", "1y", "old@example.org", "--allow-weak-digest-algos", "--cert-digest-algo", "SHA1")
    for person in (weak, old):
        gpg(home, "--import", text=exported(person.home, person.name))
    signing_key(with_key("weak@example.org"), log)
    assert f"{weak.name} is of the kind rsa1024" in said.getvalue()
    assert "SHA-1" not in said.getvalue()
    signing_key(with_key("old@example.org"), log)
    assert f"{old.name} signed its own user IDs or subkeys with SHA-1" in said.getvalue()
    old.ask("--cert-digest-algo", "SHA512", "--quick-set-expire", old.name, "1095d")
    gpg(home, "--import", text=old.public())
    before = said.getvalue()
    signing_key(with_key("old@example.org"), log)
    assert said.getvalue() == before
    end_agent(home)


def test_a_key_is_loaded_by_every_form_of_its_name(home: Path, log: Log, person: Person) -> None:
    """The table of docs/signing-keys.md."""
    subkey = person.add()
    text = person.subkeys()
    for name in (person.name, subkey, f"{subkey}!", subkey[-16:], f"0x{subkey[-16:]}!", MAIL):
        settings = Settings(signing=Signing(key=name))
        assert signing.load(settings, text, log) == person.name
        assert signing_key(settings, log).parts == (subkey,)
        end_agent(home)
        shutil.rmtree(home)
