"""The commands that install on boards."""

import re
import time
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass

from builders.boards.api import (
    Board,
    BoardError,
    Hold,
    Inventory,
    Options,
    Outcome,
    RolloutRun,
    Wave,
    last_day,
    load_inventory,
    package_words,
    read_holds,
    require_models,
    waves,
    write_holds,
)
from builders.cli.app import number, open_project
from builders.cli.boards import opened_fleet
from builders.cli.command_line import RolloutRequest
from builders.errors import InputError
from builders.pipeline.fleet import Fleet, rollout

STAMP = re.compile(r"\d{8}T\d{6}Z")
DURATION = re.compile(r"(\d+)([smh]?)")
DETAIL_LINES = 12
"""Lines of a failed program that the summary shows; the board's log has all."""
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Order:
    """The boards of a rollout and their order, as a command line names them."""

    boards: tuple[Board, ...]
    canary: str | None
    batch: int | None

    @staticmethod
    def of(inventory: Inventory, request: RolloutRequest) -> "Order":
        """Return the order of a request; raises InputError for names that boards.yml does not have."""
        batch = number("--batch", request.batch) if request.batch else None
        if batch == 0:
            raise InputError("a batch of no boards", "given with --batch", "write 1 or more")
        return Order(inventory.select(request.board, request.group), request.canary, batch)

    def waves(self, inventory: Inventory, out: Container[str] = ()) -> list[Wave]:
        """Return the waves, without the boards ``out`` in a canary that no group names."""
        return waves(inventory, self.boards, self.canary, self.batch, out)


def options_of(request: RolloutRequest) -> Options:
    """Return the options of a rollout; raises InputError."""
    most = number("--most-failures", request.most_failures)
    return Options(_seconds(request.soak), most, package_words(request.package), request.reboot)


def install_boards(request: RolloutRequest) -> None:
    """Install what is published: on the canary first, then in batches; a board whose test fails goes back."""
    options = options_of(request)
    with opened_fleet(ask_sudo=request.ask_sudo) as fleet:
        roll_out(fleet, Order.of(fleet.inventory, request), options, only_plan=request.plan)


def roll_out(fleet: Fleet, order: Order, options: Options, *, only_plan: bool = False) -> None:
    """Plan, install wave after wave, and show the end; raises BoardError for a failure."""
    require_models(fleet.inventory.path)
    with rollout(fleet, order.waves(fleet.inventory), options, only_plan=only_plan) as run:
        run.plan()
        found = order.waves(fleet.inventory, run.outcomes)
        show_plan(fleet, run, found)
        halt = ""
        if not only_plan:
            halt = _gone(fleet, run, found)
            show_end(fleet, run)
        require_passed(run, halt)
        if run.unreached and len(run.unreached) + len(run.held) == len(run.outcomes):
            raise BoardError("no board was reached", ", ".join(sorted(run.unreached)), "see the reason of each above")


def _gone(fleet: Fleet, run: RolloutRun, order: Sequence[Wave]) -> str:
    """Install wave after wave; where a person interrupts, say which boards go on."""
    try:
        return run.go(order)
    except KeyboardInterrupt:
        if run.at_work:
            fleet.project.log.note(
                f"the installation goes on to its end, without this command: {', '.join(run.at_work)}"
            )
        raise


def rollback_boards(names: Sequence[str], groups: Sequence[str], stamp: str, *, ask_sudo: bool) -> None:
    """Return boards to the packages before a rollout, by default each board's newest."""
    if stamp and not STAMP.fullmatch(stamp):
        raise InputError(f"not the stamp of a rollout: {stamp!r}", "as in 20261201T120000Z", "./inv boards shows them")
    with opened_fleet(ask_sudo=ask_sudo) as fleet:
        order = [Wave("back", fleet.inventory.select(names, groups))]
        with rollout(fleet, order, Options()) as run:
            run.back(stamp)
            show_end(fleet, run)
            require_passed(run, "")


def hold_boards(
    names: Sequence[str], groups: Sequence[str], *, reason: str | None, until: str | None, release: bool
) -> None:  # fmt: skip
    """Let rollouts skip boards until a day, or no longer; without options show the holds."""
    project = open_project(settings_alone=True)
    inventory, holds = load_inventory(project.folder), read_holds(project.folder)
    chosen = [board.name for board in inventory.select(names, groups)] if names or groups else []
    if (reason or until or release) and not chosen:
        raise InputError("no board is named", "a hold is for some boards", "name them with --board or --group")
    if release:
        holds = {name: hold for name, hold in holds.items() if name not in chosen}
        write_holds(project.folder, holds)
    elif chosen:
        if not reason or not until:
            raise InputError(
                "a hold needs --reason and --until", fix="./inv hold-boards --board NAME --reason WHY --until 3d"
            )
        day = last_day(until, time.time())
        holds |= {name: Hold(reason=reason, until=day, by=Options().who) for name in chosen}
        write_holds(project.folder, holds)
    rows = [(name, str(hold.until), hold.reason, hold.by) for name, hold in sorted(holds.items())]
    if rows:
        project.log.table("held boards", ("board", "until", "reason", "by"), rows)
    else:
        project.log.note("no board is held")


def show_plan(fleet: Fleet, run: RolloutRun, order: Sequence[Wave]) -> None:
    rows: list[tuple[str, ...]] = []
    for wave in order:
        for board in wave.boards:
            outcome, planned = run.outcomes.get(board.name), run.runs[board.name].plan
            if outcome or planned is None:
                rows.append(
                    (wave.name, board.name, outcome.state if outcome else "", outcome.reason if outcome else "")
                )
                if outcome and outcome.detail.startswith("did you mean"):
                    rows.append(("", "", "", outcome.detail))
                continue
            changes = planned.summary
            action = f"change{', restart' if run.options.reboot else ''}" if changes else "test"
            rows.append((wave.name, board.name, action, changes or "nothing changes"))
            for note in planned.notes:
                rows.append(("", "", note.severity, str(note)))
    fleet.project.log.table("plan", ("wave", "board", "action", "detail"), rows)


def show_end(fleet: Fleet, run: RolloutRun) -> None:
    """Show the end of each board."""
    rows = [(name, outcome.state, outcome.reason) for name, outcome in sorted(run.outcomes.items())]
    fleet.project.log.table(f"rollout {run.record.stamp}", ("board", "state", "reason"), rows)
    counts = Counter(outcome.state for outcome in run.outcomes.values())
    fleet.project.log.note(", ".join(f"{number} {state}" for state, number in counts.items()))


def require_passed(run: RolloutRun, halt: str, more: str = "") -> None:
    """Raise BoardError if a board failed or the rollout halted; ``more`` says what that means for the repository."""
    failed = {name: outcome for name, outcome in run.outcomes.items() if outcome.failed}
    more = f"; {more}" if more else ""
    if failed:
        raise BoardError(
            f"{len(failed)} of {len(run.outcomes)} boards failed{more}", _reasons(failed),
            f"{'the rollout halted; ' if halt else ''}correct the cause, then run this again: it continues",
        )  # fmt: skip
    if halt or (more and not run.passed):
        raise BoardError(
            f"the rollout halted after its canary{more}", halt or "no board of it passed",
            "wake the canary, name another with --canary, or none: --canary 0",
        )  # fmt: skip


def _reasons(failed: dict[str, Outcome]) -> str:
    lines = []
    for name, outcome in failed.items():
        lines.append(f"{name}: {outcome.state}: {outcome.reason}")
        lines += [f"    {line}" for line in outcome.detail.splitlines()[-DETAIL_LINES:]]
    return "\n".join(lines)


def _seconds(text: str) -> float:
    match = DURATION.fullmatch(text)
    if match is None:
        raise InputError(f"not a duration: {text!r}", "given with --soak", "write 90s, 10m or 1h")
    return int(match[1]) * SECONDS[match[2]]
