"""A fleet in all states that a page or a table must show, made of answers as boards print them."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from builders.boards.connection.errors import ssh_error
from builders.boards.facts import BoardFacts, parse_facts
from builders.boards.inventory import Board
from builders.boards.inventory.holds import Hold
from builders.boards.inventory.keys import BoardKeys
from builders.boards.rollout.journal import Records
from builders.boards.rollout.offer import Offer, PublishedFile
from builders.boards.status.board_status import Background, BoardStatus, status_of
from builders.boards.status.last_rollout import recorded_rollouts
from builders.model.packages import PackageFile

NOW = 1_790_000_000.0
HOUR, DAY = 3600, 86400
STAMP = "20260920T101010Z"
LONG = "a-package-with-an-exceedingly-long-name-that-nobody-should-choose"
LATEST = "1:2.0~rc1+really1.9.20260920-1~bpo13+1"
KEYRING = PublishedFile("/usr/share/keyrings/reef-archive-keyring.gpg", b"key")
SOURCES = PublishedFile("/etc/apt/sources.list.d/reef-trixie.sources", b"URIs: http://127.0.0.1/\n")
ANSWER = f"""\
boot_id	{{boot}}
uptime	86400
hostname	{{name}}
machine	aarch64
model	Raspberry Pi 5 Model B Rev 1.0
page_size	16384
os_id	debian
os_codename	trixie
os_name	Debian GNU/Linux 13 (trixie)
time	{{clock}}
systemd	257
architecture	arm64
apt	3.0.3
journal	0
audit	
held	
root	ext4 rw,noatime
disk_root	9000000 500000 /
file	{KEYRING.sha256}  {KEYRING.path}
package	edge-model-server 1.2-1 arm64 ii 
package	tflite-tools 2.19-1 arm64 ii 
automatic	
service	edge-model-server.service LoadState=loaded ActiveState=active SubState=running NRestarts=0 
receipt	{STAMP} good 6cb41d4e-2a6c-4b5e-a5a3-000000000001 86000 
end	complete
"""  # fmt: skip


def facts(name: str, *, at: float = NOW, ahead_s: int = 0, replaced: dict[str, str] | None = None) -> BoardFacts:
    """Return the answer of a board at a moment, with some texts of it replaced."""
    text = ANSWER.format(boot=f"boot-{name}", name=name, clock=int(at + ahead_s))
    for old, new in (replaced or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    return parse_facts(name, text, at, at)


def offers() -> dict[str, Offer]:
    versions = {"edge-model-server": ["1.1-1", "1.2-1"], "tflite-tools": ["2.19-1"], LONG: [LATEST]}
    debs = [PackageFile(name, version, "arm64", 1, "00") for name, found in versions.items() for version in found]
    return {"trixie": Offer("trixie", "20260901T000000Z", debs, KEYRING, SOURCES)}


def board(name: str, **keys: object) -> Board:
    found = {"reef_packages": ["edge-model-server", "tflite-tools"]} | keys
    return Board(name, ("field",), BoardKeys.model_validate(found))


@dataclass(frozen=True)
class Fleet:
    """States of boards, made with the records in ``folder``."""

    folder: Path

    @property
    def records(self) -> Records:
        return Records(self.folder)

    def statuses(self) -> list[BoardStatus]:
        """Return a good board, and one of each kind that needs attention."""
        if not self.records.rollouts:
            self._roll_out()
        hold = Hold(reason="vibration test <b>until</b> the new year", until=date(2026, 12, 24), by="ann@lab")
        names = {"good", "old", "asleep", "back", "held", "new"}
        recorded = recorded_rollouts(self.records, names)
        known = Background(offers(), {"held": hold}, self.records, recorded)
        asleep = ssh_error("asleep", "pi@192.168.7.22", "ssh: connect to host 192.168.7.22 port 22: No route to host")
        changed = ["tflite-tools ??5??????   /usr/bin/tflite-run", f"tflite-tools missing     /{'x' * 200}",
                   "edge-model-server ??5?????? c /etc/edge-model-server/config"]  # fmt: skip
        old = {
            "edge-model-server 1.2-1": "edge-model-server 1.1-1", "held\t": "held\ttflite-tools",
            "ActiveState=active": "ActiveState=failed",
            "end\t": "".join(f"changed\t{line}\n" for line in changed) + "end\t",
        }  # fmt: skip
        back = {f"{STAMP} good": f"{STAMP} rolled-back", " 86000 ": " 86000 gate answers: status 1"}
        return [
            status_of(board("good"), facts("good"), known),
            status_of(board("old", reef_packages=["edge-model-server", LONG]), facts("old", replaced=old), known),
            status_of(board("asleep"), facts("asleep", at=NOW - 3 * DAY), known, error=asleep),
            status_of(board("back"), facts("back", replaced=back, ahead_s=-400 * DAY), known),
            status_of(board("held"), facts("held"), known),
            status_of(board("new"), None, known, error=asleep),
        ]

    def _roll_out(self) -> None:
        rollout = self.records.rollout(STAMP)
        waves = {"canary": ["back"], "batch 1": ["good", "old", "asleep", "held"]}
        rollout.begin({"by": "ann@lab", "waves": waves})
        for state in ("installing", "gating", "rolling-back", "rolled-back"):
            rollout.add("back", state, "gate answers: status 1" if "roll" in state else "")
        rollout.add("good", "good")
