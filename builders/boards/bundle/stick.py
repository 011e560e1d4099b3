"""Folders for boards that no connection reaches: what a person carries to the board, and what comes back."""

import hashlib
import re
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from builders.boards.connection import BoardError
from builders.boards.facts import BoardFacts, parse_facts
from builders.boards.rollout import steps
from builders.boards.rollout.journal import Records
from builders.boards.rollout.offer import Offer
from builders.boards.rollout.plan import BoardPlan, PlannedPackage
from builders.boards.rollout.steps import BUNDLES, Access, BoardTests, Prepared
from builders.boards.scripts import script
from builders.errors import InputError
from builders.host.files import disk_errors
from builders.model.packages import DebFile

INSTALL, SUMS = "install.sh", "SHA256SUMS"
ANSWERS, BOARDS, REPOSITORY = "answers", "boards", "repository"
FILES = FACTS, STATUS, EXPLAIN, LOG = "facts", "status.gz", "explain", "log"
"""Files of a board's answer: its facts, dpkg's list of packages, the records of its rollout, and the program's log."""
MOST_BYTES = 64 << 20
"""No list of packages is larger; what comes back is not trusted."""
INSTALLED = re.compile(r"^Status: (\w+) ok installed$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """A board's answer, brought back in a folder."""

    facts: BoardFacts
    status: bytes
    explained: Mapping[str, Sequence[str]]
    log: bytes = b""

    @property
    def stamp(self) -> str:
        """The rollout of the folder; empty if it had none for the board."""
        return (self.explained.get("stamp") or [""])[0]

    @property
    def end(self) -> tuple[str, str]:
        """The last state of that rollout and its reason."""
        words = [*self.facts.receipts.get(self.stamp, "").split(" ", 3), "", "", "", ""]
        return words[0], words[3]

    def facts_of(self, names: Sequence[str]) -> BoardFacts:
        """Return the facts with the packages ``names``, as dpkg's list has them: more may be published by now."""
        lines = [
            f"{name} {version} {cpu} {selection[0]}i"
            for name, (version, cpu, selection) in installed_in(self.status).items()
            if name in names
        ]
        return replace(self.facts, values={**self.facts.values, "package": lines})


def read_answer(folder: Path, board: str) -> Answer:
    """Return a board's answer in ``folder``; raises BoardError for an incomplete one, DiskError."""
    with disk_errors(folder):
        texts = {name: (folder / name).read_bytes() if (folder / name).is_file() else b"" for name in FILES}
    facts = parse_facts(board, texts[FACTS].decode(errors="replace"), 0, 0)
    # The board's clock is all that dates them; a wrong one must not make the facts newer than they are.
    moment = min(float(facts.number("time") or 0), time.time())
    explained = steps.read_facts(texts[EXPLAIN].decode(errors="replace"))
    return Answer(
        replace(facts, asked=moment, answered=moment), _unpacked(board, texts[STATUS]),
        explained if "end" in explained else {}, texts[LOG],
    )  # fmt: skip


def brought_answer(records: Records, board: str) -> Answer | None:
    """Return the last answer that was brought from a board, None if there is none; raises as `read_answer`."""
    place = records.brought(board)
    return read_answer(place, board) if (place / FACTS).is_file() else None


def _unpacked(board: str, packed: bytes) -> bytes:
    """Return dpkg's list of packages from its gzip file; raises BoardError if it is incomplete or has no end."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    with suppress(zlib.error):
        found = unpacker.decompress(packed, MOST_BYTES)
        if unpacker.eof:
            return found
    raise BoardError(
        f"{board}: its list of packages is damaged", STATUS, "write its facts again: sudo sh install.sh --facts"
    )


def installed_in(status: bytes) -> dict[str, tuple[str, str, str]]:
    """Return version, architecture and selection (``install``, ``hold``) of each installed package in dpkg's list."""
    found = {}
    for stanza in status.decode(errors="replace").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture): (\S+)$", stanza, re.MULTILINE))
        if (match := INSTALLED.search(stanza)) and len(fields) == 3:
            found[fields["Package"]] = (fields["Version"], fields["Architecture"], match[1])
    return found


@dataclass(frozen=True)
class StickBoard:
    """A board's part of a folder: its plan, the .debs that it lacks, and dpkg's list from which they follow."""

    plan: BoardPlan
    debs: Sequence[DebFile]
    status: bytes
    tests: BoardTests

    @property
    def prepared(self) -> Prepared:
        """The installation as this machine's apt plans it."""
        there = installed_in(self.status)
        installs = [
            PlannedPackage(deb.package, there[deb.package][0] if deb.package in there else None, deb.version)
            for deb in self.debs
        ]
        return Prepared(tuple(package for package in installs if package.changes), (), (), (), "")

    def scripts(self, stamp: str, who: str) -> dict[str, str]:
        """Return the scripts of a rollout ``stamp`` by ``who`` on the board, by their names."""
        plan, prepared, comment = self.plan, self.prepared, f"Reef {stamp} by {who}"
        access = Access(f"file:{BUNDLES}/{stamp}", temporary=True, bundle=True)
        program = steps.program(plan, prepared, stamp, comment, self.tests, reboot=False)
        receipt = steps.receipt_of(plan, stamp, who)
        before = {package.name: package.before or "" for package in (*prepared.installs, *plan.packages)}
        names = [package.name for package in plan.packages]
        return {
            "plan.sh": script(
                stamp=stamp, comment=comment, bundle=f"{BUNDLES}/{stamp}", wishes=steps.wishes(plan),
                system=f"{plan.facts.text('os_codename')}/{plan.facts.architecture}",
                before=" ".join(f"{name}={version}" for name, version in before.items()),
                lock_wait_s=str(plan.board.keys.reef_lock_wait_s),
            ),
            "prepare.sh": steps.prepare_script(plan, access, comment),
            "stage.sh": steps.stage_script(plan, prepared, stamp, comment, receipt, program, self.tests),
            "launch.sh": steps.launch_script(stamp, ""),
            "poll.sh": steps.poll_script(stamp),
            "explain.sh": steps.explain_script(names, stamp),
        }  # fmt: skip


def install_script(made: int) -> str:
    """Return the script that a person runs; ``made`` is now, in seconds since 1970."""
    return script("common", "apt", "stick", made=str(made))


def probe_script(offers: Mapping[str, Offer], services: Sequence[str]) -> str:
    """Return the script that prints a board's facts."""
    return steps.probe_script(offers, services)


def write_sums(folder: Path) -> None:
    """Write the digests of all files of a folder but the repository's, which apt verifies."""
    with disk_errors(folder):
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and REPOSITORY not in path.parts)
        names = [path.relative_to(folder) for path in paths]
        lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
        (folder / SUMS).write_text("".join(lines))


def require_folder(folder: Path) -> None:
    """Raise InputError for a place that is not free and not an earlier folder of ours: it is replaced as a whole."""
    if folder.exists() and not (folder / INSTALL).is_file():
        raise InputError(
            f"{folder} exists, and is no folder of bundle-boards", f"it has no {INSTALL}",
            "name a new folder, as in --export /media/stick/reef",
        )  # fmt: skip
    if not folder.parent.is_dir():
        raise InputError(f"no such folder: {folder.parent}", "the folder is made in it", "correct --export")
