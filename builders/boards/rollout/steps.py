"""The steps of an installation on one board, each one script and one round trip."""

import base64
import gzip
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from builders.boards.connection import BoardError, Busy, LineLost, Reply, Ssh
from builders.boards.facts import BoardFacts, parse_facts
from builders.boards.rollout.models import model_lines, models_asked
from builders.boards.rollout.offer import Offer, names_of
from builders.boards.rollout.plan import BoardPlan, PlannedPackage
from builders.boards.scripts import script

INSTALLED = re.compile(r"Inst (\S+) (?:\[(\S+)\] )?\((\S+) ")
REMOVED = re.compile(r"Remv (\S+)")
PROBE_S, PREPARE_S, STAGE_S = 300, 1800, 7200
"""Seconds. An emulated board on a busy machine answers the first within half a minute."""
POLL_S = 20
RESTART_S = 600
"""The longest time for a board's shutdown, and for its start, in seconds."""
BUNDLES = "/var/lib/reef/bundle"
"""The folder of bundles on a board; ``drop_bundle`` in ``scripts/apt.sh`` removes it."""
Mode = Literal["", "test", "back"]
FINAL = ("good", "rolled-back", "broken")
"""The last states of a board's program."""
FIXES = {
    70: "repair it on the board: sudo dpkg --configure -a; sudo apt-get -f install",
    71: "look at the message, and at the way to the repository; then run the same command again",
    72: "look at the message: another package conflicts, or a source of the board is missing (without a network: "
    "reef_offline: true in boards.yml)",
    73: "free some space on the board, or look at its network (without one: reef_offline: true in boards.yml)",
    74: "look at the board's systemd: systemctl status",
    75: "wait for its end, then run the same command again",
    76: "look at the message; if the key is unknown or expired: ./inv keys, ./inv publish-apt, then run this again",
}
"""Advice by the exit status of a script."""


class RepositoryUnreadable(BoardError):
    """A board's apt cannot read the repository on the way that was tried."""


class SignatureRefused(RepositoryUnreadable):
    """A board's apt refuses the signature of the repository."""


KINDS: dict[int, type[BoardError]] = {71: RepositoryUnreadable, 75: Busy, 76: SignatureRefused}


@dataclass(frozen=True)
class BoardTests:
    """The judgement on a board: services that must stay active, and test scripts by their names."""

    services: tuple[str, ...] = ()
    gates: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Access:
    """The way by which a board reads the repository. ``temporary``: for this rollout alone.

    ``bundle``: the repository has all that the board needs, and no other source of it is asked.
    """

    uri: str
    temporary: bool
    bundle: bool = False

    @property
    def kind(self) -> str:
        """The word for ``prepare.sh``."""
        return "bundle" if self.bundle else "yes" if self.temporary else "no"


@dataclass(frozen=True)
class Prepared:
    """The board's own plan, as its apt computes it: packages to install and to remove, repairs, and other faults."""

    installs: tuple[PlannedPackage, ...] = ()
    removals: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    broken_sources: tuple[str, ...] = ()
    sums: str = ""


@dataclass(frozen=True)
class Progress:
    """The state of a board's program: its name, the boot in which it was entered, and a reason."""

    state: str
    reason: str
    same_boot: bool
    alive: bool
    line: str
    words: str = ""
    """The end of the log when something failed, before the way back."""

    @property
    def ended(self) -> bool:
        return self.state in FINAL


def probe(
    ssh: Ssh, offers: Mapping[str, Offer], services: Sequence[str] = (), *, verify: bool = False
) -> BoardFacts:  # fmt: skip
    """Read a board's facts, those of ``services`` too; changes nothing on it.

    With ``verify`` dpkg compares the files of the packages with what they brought, and has to read them all.
    """
    text = probe_script(offers, services, models_asked(ssh.board), verify=verify)
    asked = time.time()
    reply = ssh.run(text, timeout_s=PROBE_S)
    return parse_facts(ssh.board.name, reply.output, asked, time.time())


def probe_script(
    offers: Mapping[str, Offer], services: Sequence[str] = (), models: str = "", *, verify: bool = False
) -> str:  # fmt: skip
    """Return the script of `probe`; ``models`` is of `models_asked`."""
    files = {file.path for offer in offers.values() for file in (offer.keyring, offer.sources)}
    return script(
        "common", "changes", "models", "probe", verify="yes" if verify else "no",
        packages=" ".join(names_of(offers.values())), services=" ".join(services),
        files=" ".join(sorted(files)), models=models,
    )  # fmt: skip


def prepare(ssh: Ssh, plan: BoardPlan, access: Access, comment: str) -> Prepared:
    """Make a board ready, and return what its apt would do; see ``prepare.sh``."""
    text = prepare_script(plan, access, comment, now=str(int(time.time())))
    facts = _facts(ssh, ssh.run(text, timeout_s=PREPARE_S + 5 * plan.board.keys.reef_lock_wait_s))
    installs = tuple(
        PlannedPackage(match[1].partition(":")[0], match[2], match[3])
        for step in facts.get("step", ()) if (match := INSTALLED.match(step))
    )  # fmt: skip
    removals = tuple(match[1] for step in facts.get("step", ()) if (match := REMOVED.match(step)))
    return Prepared(
        installs, removals, tuple(facts.get("repaired", ())), tuple(facts.get("source", ())),
        " ".join(facts.get("sums", ())),
    )  # fmt: skip


def prepare_script(plan: BoardPlan, access: Access, comment: str, **clock: str) -> str:
    """Return the script of `prepare`; ``clock`` is its variable ``now``, unless the environment sets that."""
    offer, sources = plan.offer, sources_at(plan.offer, access.uri, alone=access.bundle)
    return script(
        "common", "apt", "prepare", keyring=offer.keyring.path, keyring_text=_encoded(offer.keyring.content),
        sources=offer.sources.path, sources_text=_encoded(sources), temporary=access.kind, wishes=wishes(plan),
        comment=comment, **clock, **_patience(plan),
    )  # fmt: skip


def sources_at(offer: Offer, uri: str, *, alone: bool = False) -> bytes:
    """Return the ``.sources`` file of a suite with another address, ``alone`` for a bundle, which has one suite."""
    text = offer.sources.content
    if alone:
        text = re.sub(rb"(?m)^Types:.*$", b"Types: deb", text)  # a bundle has no sources, of which apt would warn
    elif offer.beside:
        text = text.rstrip(b"\n") + b"\n\n" + offer.beside.content  # a stanza each (sources.list(5)): CPUs may differ
    return re.sub(rb"(?m)^URIs:.*$", lambda _: b"URIs: " + uri.encode(), text)


def bundle_folder(ssh: Ssh, plan: BoardPlan, stamp: str, comment: str) -> tuple[str, bytes]:
    """Make the folder for a rollout's bundle on a board; return it, and dpkg's list of installed packages."""
    folder = f"{BUNDLES}/{stamp}"
    text = script("common", "apt", "bundle", folder=folder, comment=comment, **_patience(plan))
    facts = _facts(ssh, ssh.run(text, timeout_s=PROBE_S + plan.board.keys.reef_lock_wait_s))
    return folder, gzip.decompress(base64.b64decode(_only(facts, "status")))


def unbundle(ssh: Ssh) -> None:
    """Remove a bundle from a board."""
    _facts(ssh, ssh.run(script("common", "apt", "unbundle")))


def stage(  # noqa: PLR0917 - each is a part of the receipt
    ssh: Ssh, plan: BoardPlan, prepared: Prepared, stamp: str, comment: str, receipt: Mapping[str, object],
    program: str, tests: BoardTests,
) -> tuple[str, ...]:  # fmt: skip
    """Download everything and write the receipt; return the packages whose present version cannot be kept."""
    text = stage_script(plan, prepared, stamp, comment, receipt, program, tests)
    return tuple(_facts(ssh, ssh.run(text, timeout_s=STAGE_S)).get("missing", ()))


def stage_script(  # noqa: PLR0917 - each is a part of the receipt
    plan: BoardPlan, prepared: Prepared, stamp: str, comment: str, receipt: Mapping[str, object], program: str,
    tests: BoardTests,
) -> str:  # fmt: skip
    """Return the script of `stage`."""
    return script(
        "common", "apt", "models", "stage", stamp=stamp, wishes=wishes(plan), olds=olds(plan, prepared),
        changes=changes(plan), program=_encoded(program.encode()),
        receipt=_encoded(json.dumps(receipt, indent=1).encode()),
        gates=_gates(tests), comment=comment, models=model_lines(plan.models), **_patience(plan),
    )  # fmt: skip


def receipt_of(plan: BoardPlan, stamp: str, who: str) -> dict[str, object]:
    """Return the receipt of a rollout by ``who`` for a board, as `stage` writes it."""
    packages = [{"name": package.name, "before": package.before, "after": package.after} for package in plan.packages]
    return {
        "rollout": stamp, "by": who, "suite": plan.offer.suite, "publication": plan.offer.stamp, "packages": packages,
        "models": [model.record for model in plan.models],
    }  # fmt: skip


def program(
    plan: BoardPlan, prepared: Prepared, stamp: str, comment: str, tests: BoardTests, *, reboot: bool
) -> str:  # fmt: skip
    """Return the script that installs, tests, restarts the board if asked to, and goes back; see ``run.sh``."""
    fresh = [package.name for package in prepared.installs if package.before is None]
    return script(
        "common", "apt", "models", "judge", "unit", "run", stamp=stamp, wishes=wishes(plan), changes=changes(plan),
        olds=olds(plan, prepared), fresh=" ".join(fresh),
        automatic=" ".join(package.name for package in plan.packages if package.automatic),
        comment=comment, reboot="yes" if reboot else "no", restart_s=str(RESTART_S),
        **_judgement(plan, tests), **_patience(plan),
    )  # fmt: skip


def gate(ssh: Ssh, plan: BoardPlan, tests: BoardTests) -> tuple[str, str]:
    """Judge a board on which nothing changes; return the reason of a bad judgement, empty if it is good, and the end of
    what the tests printed."""
    text = script(
        "common", "models", "judge", "gate", wishes=wishes(plan), gates=_gates(tests), **_judgement(plan, tests)
    )
    keys = plan.board.keys
    patience_s = keys.reef_settle_s + keys.reef_gate_timeout_s * (len(tests.gates) + len(plan.models) + 1) + PROBE_S
    reply = ssh.run(text, timeout_s=patience_s)
    return _only(_facts(ssh, reply), "bad"), reply.errors.strip()


def launch(ssh: Ssh, stamp: str, mode: Mode) -> None:
    """Start the program of a receipt, or continue it; safe to repeat."""
    _facts(ssh, ssh.run(launch_script(stamp, mode), timeout_s=PROBE_S))


def launch_script(stamp: str, mode: Mode) -> str:
    """Return the script of `launch`."""
    return script("common", "unit", "launch", stamp=stamp, mode=mode)


def poll(ssh: Ssh, stamp: str, known: str) -> Progress:
    """Return the state of a board's program when it is another than ``known``, or after `POLL_S` seconds."""
    text = poll_script(stamp, known=known)
    facts = _facts(ssh, ssh.run(text, timeout_s=3 * POLL_S))
    words = _only(facts, "state").split(" ", 3)
    state, boot, reason = (words[place] if place < len(words) else "" for place in (0, 1, 3))
    same_boot = boot == _only(facts, "boot_id")
    said = "\n".join(facts.get("words", ()))
    return Progress(state, reason.strip(), same_boot, _only(facts, "alive") == "yes", _only(facts, "line"), said)


def poll_script(stamp: str, **known: str) -> str:
    """Return the script of `poll`; the environment may set its variable ``known``."""
    return script("common", "poll", stamp=stamp, patience_s=str(POLL_S), **known)


def _judgement(plan: BoardPlan, tests: BoardTests) -> dict[str, str]:
    """Return the variables of ``judge.sh``."""
    keys = plan.board.keys
    return {
        "services": " ".join(tests.services), "settle_s": str(keys.reef_settle_s),
        "gate_timeout_s": str(keys.reef_gate_timeout_s), "models": model_lines(plan.models),
    }  # fmt: skip


def _patience(plan: BoardPlan) -> dict[str, str]:
    return {"lock_wait_s": str(plan.board.keys.reef_lock_wait_s)}


def _gates(tests: BoardTests) -> str:
    named = enumerate(tests.gates.items(), 10)
    return " ".join(f"{number}-{name}:{_encoded(content)}" for number, (name, content) in named)


def explain(ssh: Ssh, packages: Sequence[str], stamp: str = "") -> Mapping[str, Sequence[str]]:
    """Return a board's records of a rollout, by default the newest, and apt's view of its packages."""
    return _facts(ssh, ssh.run(explain_script(packages, stamp), timeout_s=PROBE_S))


def explain_script(packages: Sequence[str], stamp: str) -> str:
    """Return the script of `explain`."""
    return script("common", "changes", "explain", verify="yes", stamp=stamp, packages=" ".join(packages))


def wishes(plan: BoardPlan) -> str:
    """Return the versions that the board must have, in apt's words."""
    return " ".join(f"{package.name}={package.after}" for package in plan.packages)


def changes(plan: BoardPlan) -> str:
    """Return the versions that are new on the board, in apt's words."""
    return " ".join(f"{package.name}={package.after}" for package in plan.changes)


def olds(plan: BoardPlan, prepared: Prepared) -> str:
    """Return the present versions of Reef's packages that change, in apt's words; apt adds what the others need."""
    known = plan.offer.versions(plan.facts.architecture)
    before = {package.name: package.before for package in (*prepared.installs, *plan.changes) if package.name in known}
    return " ".join(f"{name}={version}" for name, version in before.items() if version)


def _only(facts: Mapping[str, Sequence[str]], name: str) -> str:
    return (facts.get(name) or [""])[0].strip()


def read_facts(output: str) -> dict[str, list[str]]:
    """Return the facts in a script's output, each line a name, a tab and a value; complete ones contain ``end``."""
    found: dict[str, list[str]] = {}
    for line in output.splitlines():
        name, tab, value = line.partition("\t")
        if tab:
            found.setdefault(name, []).append(value)
    return found


def _facts(ssh: Ssh, reply: Reply) -> dict[str, list[str]]:
    """Return the facts that a script printed; raises BoardError if it failed."""
    found = read_facts(reply.output)
    if reply.status or "end" not in found:
        # A script that gives no reason was ended from outside, as by a shutdown of the board.
        kind = KINDS.get(reply.status, BoardError if "failed" in found or reply.status in FIXES else LineLost)
        what = "".join(found.get("failed", [])) or f"its script ended with status {reply.status}"
        raise kind(f"{ssh.board}: {what}", reply.errors.strip()[-3000:], FIXES.get(reply.status, "look at the message"))
    return found


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
