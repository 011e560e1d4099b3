"""Commands of boards: names, help, one call each; `tasks.py` takes them over."""

from builders.cli.app import Context, number, request_task, task
from builders.cli.command_line import ASK_SUDO, BOARD, GROUP, DeployRequest, RolloutRequest


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


@task(
    "boards",
    board="name of a virtual board (may be repeated; by default virtual-1, with --stop all of the project)",
    package="package to install on all boards of a new boards.yml (may be repeated)",
    stop="save the boards and end them; the next start resumes them in seconds",
    remove="end the boards, and forget what is on them",
    show="only show the virtual boards of the project",
)
def virtual_board(
    _: Context, board: list[str], package: list[str], stop: bool = False, remove: bool = False, show: bool = False
) -> None:  # fmt: skip
    """Start a board in QEMU, to try without hardware."""
    from builders.cli import virtual as command

    command.virtual_board(board, package, stop=stop, remove=remove, show=show)


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


@request_task("boards", RolloutRequest)
def install_boards(_: Context, request: RolloutRequest) -> None:
    """Install on boards; a failure goes back."""
    from builders.cli import rollout

    rollout.install_boards(request)


@request_task("boards", DeployRequest)
def deploy(context: Context, request: DeployRequest) -> None:
    """Build what is stale, publish, and install."""
    from builders.cli import deploy as command

    command.deploy(context, request)


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
    from builders.cli import board_status as command

    command.explain_board(board, rollout, ask_sudo=ask_sudo)


@task(
    "boards",
    board=BOARD,
    group=GROUP,
    export="folder to make, as on a USB stick; on the board: sudo sh FOLDER/install.sh",
    receipts="folder that was brought back: read the boards' answers",
)
def bundle_boards(
    _: Context, board: list[str], group: list[str], export: str | None = None, receipts: str | None = None
) -> None:  # fmt: skip
    """Make a folder for boards out of reach."""
    from builders.cli import bundle as command

    command.bundle_boards(board, group, export=export, receipts=receipts)
