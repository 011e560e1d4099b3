"""Commands of boards: names, help, one call each; `tasks.py` takes them over."""

from builders.cli.app import Context, number, task

BOARD = "board of boards.yml (may be repeated; all by default)"
GROUP = "group of boards.yml (may be repeated)"
ASK_SUDO = "ask for the password for sudo on the boards"


@task(
    "boards",
    name="name of the board: letters, digits, '.', '_' and '-'",
    address="name or address for ssh (by default the board's name, as ~/.ssh/config may know it)",
    user="user to log in as: root, or one who may run sudo",
    port="port of the board's ssh server",
    package="package to install on all boards of a new boards.yml (may be repeated)",
)
def new_board(
    _: Context, name: str, package: list[str], address: str | None = None, user: str | None = None,
    port: str | None = None,
) -> None:  # fmt: skip
    """Add a board to boards.yml."""
    from builders.cli import boards as command

    command.new_board(name, address, user, number("--port", port) if port else None, package)


@task("boards", board=BOARD, group=GROUP, accept="fingerprint that you have compared: SHA256:... (may be repeated)")
def trust_boards(_: Context, board: list[str], group: list[str], accept: list[str]) -> None:
    """Record the boards' host keys, once compared."""
    from builders.cli import boards as command

    command.trust_boards(board, group, accept)


@task("boards", board=BOARD, group=GROUP, ask_sudo=ASK_SUDO)
def check_boards(_: Context, board: list[str], group: list[str], ask_sudo: bool = False) -> None:
    """Show what prevents an installation on boards."""
    from builders.cli import boards as command

    command.check_boards(board, group, ask_sudo=ask_sudo)


@task(
    "boards",
    board=BOARD,
    group=GROUP,
    cached="ask nothing: show the boards as they answered last",
    json="print a document for programs",
    html="file to write: the boards as a page for a browser",
    ask_sudo=ASK_SUDO,
)
def boards(  # noqa: PLR0917 - Invoke passes options so
    _: Context, board: list[str], group: list[str], cached: bool = False, json: bool = False,
    html: str | None = None, ask_sudo: bool = False,
) -> None:  # fmt: skip
    """Show the boards: versions, services, drift."""
    from builders.cli import board_status as command

    command.boards(board, group, cached=cached, as_json=json, html=html, ask_sudo=ask_sudo)


@task(
    "boards",
    board=BOARD,
    group=GROUP,
    plan="only show what would be installed",
    canary="board, group or number of boards that go first; 0 for none (by default the group canary, else one board)",
    batch="boards that are installed side by side afterwards (by default reef_batch of boards.yml)",
    soak="time between the canary and the others, as in 10m; the canary is then tested again",
    most_failures="boards that may fail before the rollout halts",
    package="NAME or NAME=VERSION: only this package instead of reef_packages, also an older version (may be repeated)",
    reboot="restart each board that changed, and test it again",
    ask_sudo=ASK_SUDO,
)
def install_boards(  # noqa: PLR0917 - Invoke passes options so
    _: Context, board: list[str], group: list[str], package: list[str], plan: bool = False, canary: str | None = None,
    batch: str | None = None, soak: str = "0s", most_failures: str = "0", reboot: bool = False, ask_sudo: bool = False,
) -> None:  # fmt: skip
    """Install on boards; a failure goes back."""
    from builders.cli import rollout

    rollout.install_boards(
        board, group, plan=plan, canary=canary, batch=number("--batch", batch) if batch else None, soak=soak,
        most_failures=number("--most-failures", most_failures), packages=package, reboot=reboot,
        ask_sudo=ask_sudo,
    )  # fmt: skip


@task(
    "boards",
    board=BOARD,
    group=GROUP,
    rollout="stamp of the rollout (by default each board's newest)",
    ask_sudo=ASK_SUDO,
)
def rollback_boards(
    _: Context, board: list[str], group: list[str], rollout: str = "", ask_sudo: bool = False
) -> None:  # fmt: skip
    """Return boards to the versions before."""
    from builders.cli import rollout as command

    command.rollback_boards(board, group, rollout, ask_sudo=ask_sudo)


@task(
    "boards",
    board="board to hold (may be repeated)",
    group="group of boards to hold (may be repeated)",
    reason="reason, for other people",
    until="last day, as in 2026-12-24, 3d or 2w",
    release="end the hold",
)
def hold_boards(
    _: Context, board: list[str], group: list[str], reason: str | None = None, until: str | None = None,
    release: bool = False,
) -> None:  # fmt: skip
    """Let rollouts skip boards until a day."""
    from builders.cli import rollout as command

    command.hold_boards(board, group, reason=reason, until=until, release=release)


@task("boards", board="board to explain", rollout="stamp of the rollout (by default the newest)", ask_sudo=ASK_SUDO)
def explain_board(_: Context, board: str, rollout: str = "", ask_sudo: bool = False) -> None:
    """Show why a board runs what it runs."""
    from builders.cli import rollout as command

    command.explain_board(board, rollout, ask_sudo=ask_sudo)
