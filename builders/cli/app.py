"""The program ``./inv``: its commands in groups, the project that they work on, and how a failure is shown.

Every command passes through here, so this module imports only what each of them needs.
"""

import functools
import importlib
import os
import platform
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from inspect import Parameter, Signature
from itertools import groupby, pairwise
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program
from invoke.tasks import Task
from invoke.tasks import task as invoke_task
from invoke.util import helpline

import builders
from builders.errors import InputError, OutputError, ReefError, TimeError, nearest
from builders.host import surroundings
from builders.host.command import as_typed, own_command

if TYPE_CHECKING:
    from builders.pipeline.project import Project

__all__ = ["CHECKOUT", "Context", "Exit", "find_project", "main", "number", "open_project", "request_task", "task"]

INTERRUPTED = 130
PIPE_BROKEN = 141
"""The exit code of a program that SIGPIPE ends, in a shell."""


def _checkout() -> Path | None:
    above = Path(__file__).parents[2]
    return above if (above / "inv").is_file() else None


CHECKOUT = _checkout()
"""Reef's own checkout, None if Reef is installed elsewhere."""
Group = Literal["build", "publish", "repository", "boards", "maintenance", "development"]
GROUPS: tuple[Group, ...] = ("build", "publish", "repository", "boards", "maintenance", "development")
"""In the order in which ``./inv --list`` shows them."""
SHORT_FORMS = {"help": "h", "list": "l", "version": "V"}
"""The only one-letter options: any other would change its meaning, or do nothing, behind a command."""


class Command(Task[Callable[..., None]]):
    """A task that knows its group."""

    group: Group = "maintenance"


def task(group: Group, /, **help_texts: str) -> Callable[[Callable[..., None]], Any]:
    """Make an Invoke task of a function; ``help_texts`` says what each of its options means.

    A ReefError is shown in its three parts and ends the run with the error's exit code, Ctrl-C with 130. Options have
    no one-letter forms: Invoke would make them up, such as ``-i`` for ``--time-box``.
    """

    def decorate(function: Callable[..., None]) -> Any:
        repeatable = [name for name, kind in function.__annotations__.items() if kind == list[str]]
        return _command(group, function, repeatable, help_texts)

    return decorate


def request_task(group: Group, request: type[Any]) -> Callable[[Callable[..., None]], Any]:
    """Make an Invoke task of a function whose options, with their help, are the fields of its ``request``."""
    options = fields(request)
    repeatable = [field.name for field in options if field.default == ()]
    help_texts = {field.name: field.metadata["help"] for field in options}
    defaults = {field.name: Parameter.empty if field.name in repeatable else field.default for field in options}
    parameters = [Parameter("context", Parameter.POSITIONAL_ONLY)]
    parameters += [Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in defaults.items()]

    def decorate(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def call(context: Context, **values: Any) -> None:
            function(context, request(**values | {name: tuple(values[name]) for name in repeatable}))

        call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # Invoke makes options of it
        return _command(group, call, repeatable, help_texts)

    return decorate


def _command(
    group: Group, function: Callable[..., None], repeatable: Sequence[str], help_texts: dict[str, str]
) -> Any:  # fmt: skip
    @functools.wraps(function)
    def guarded(*words: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _interrupt)  # a CI job's end cleans up as Ctrl-C does
        try:
            _require_values(repeatable)
            function(*words, **options)
        except (ReefError, KeyboardInterrupt, OSError) as error:
            raise Exit(code=_show(error)) from None

    made: Any = invoke_task(
        guarded, klass=Command, name=function.__name__.rstrip("_"), help=help_texts, iterable=list(repeatable),
        auto_shortflags=False,
    )  # fmt: skip
    made.group = group
    return made


def _require_values(repeatable: Sequence[str]) -> None:
    """Raise InputError where the command line names a repeatable option without a value, which Invoke accepts."""
    for word, following in pairwise([*sys.argv, "--"]):
        if word.startswith("--") and word[2:] in repeatable and following.startswith("-"):
            raise InputError(f"{word} needs a value", fix=f"write {word} VALUE, or leave {word} out")


def each_deb(words: Sequence[str]) -> list[str]:
    """Return a command line with the option before each file that a shell made of ``--deb *.deb``."""
    result: list[str] = []
    for word in words:
        option = result[-2] if len(result) > 1 else ""
        if option in ("--deb", "--prebuilt") and word.endswith(".deb") and not word.startswith("-"):
            result.append(option)
        result.append(word)
    return result


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _show(error: BaseException) -> int:
    """Print a failure and return the exit code that it ends the run with."""
    from builders.host.time_limit import TimeBoxOver

    if isinstance(error, TimeBoxOver):
        error = _time_over(error.at)
    elif isinstance(error, OSError):
        error = _disk_error(error)
    if not isinstance(error, ReefError):
        _say("\ninterrupted: nothing unfinished is kept; run the same command to continue")
        return INTERRUPTED
    if isinstance(error.__cause__, BrokenPipeError) and isinstance(error, OutputError):
        return PIPE_BROKEN  # the reader has seen enough
    lines = [f"\nerror: {error.what}", *(f"  {line}" for line in error.detail.splitlines())]
    _say(*lines, *([f"  what to do: {error.fix}"] if error.fix else []))
    return error.exit_code


def _say(*lines: str) -> None:
    """Print lines on standard error; a failure is shown by the exit code alone where that cannot be written."""
    with suppress(OSError):
        for line in lines:
            print(as_typed(line), file=sys.stderr)


def _time_over(at: str) -> TimeError:
    return TimeError(
        "the time box is over" + (f" during: {at}" if at else ""),
        "nothing unfinished is kept; finished downloads, compiled files and Bazel's actions are",
        "run the same command again: it continues from there",
    )


def _disk_error(error: OSError) -> ReefError:
    from builders.host.files import disk_error

    try:
        return disk_error(error, find_project())
    except InputError as no_project:
        return no_project


def find_project() -> Path:
    """Return the project's folder: REEF_FOLDER, else the nearest one upward with a reef.yml, else Reef's checkout.

    Raises InputError if there is none.
    """
    if named := os.environ.get("REEF_FOLDER"):
        return Path(named).resolve()
    try:
        current = Path.cwd()
    except OSError as error:
        raise InputError("the current folder no longer exists", str(error), "change to a project's folder") from error
    above = (folder for folder in (current, *current.parents) if os.path.isfile(folder / "reef.yml"))
    if found := next(above, CHECKOUT):
        return found
    raise InputError(
        "no project here",
        f"no reef.yml in {current} or a folder above",
        "change to a project's folder, or begin one: echo 'maintainer: Your Name <you@example.org>' >reef.yml",
    )


def open_project(
    *, without_recipes: bool = False, settings_alone: bool = False, anywhere: bool = False
) -> "Project":  # fmt: skip
    """Open the project of `find_project`; ``without_recipes`` for what works before there is a recipe.

    With ``settings_alone`` no recipe is read, so that none of them can be wrong.

    With ``anywhere``, where there is no project, it is the current folder with the default settings.

    Prints which it is, unless the current folder is in Reef's own checkout and so is the project.
    """
    from builders.host.log import Log
    from builders.pipeline.project import Project

    try:
        folder = find_project()
    except InputError:
        if not anywhere:
            raise
        folder = Path.cwd()
    if folder.is_dir() and (CHECKOUT is None or folder != CHECKOUT or not Path.cwd().is_relative_to(CHECKOUT)):
        named = bool(os.environ.get("REEF_FOLDER"))
        why = " (REEF_FOLDER)" if named else " (Reef's own: no reef.yml here or above)" if folder == CHECKOUT else ""
        _say_once(f"project: {folder}{why}")
    return Project.open(folder, Log(), without_recipes=without_recipes, settings_alone=settings_alone)


@functools.cache
def _say_once(text: str) -> None:
    """Print a line on standard error, where several commands of one command line would print it again."""
    print(text, file=sys.stderr)


def number(option: str, text: str) -> int:
    """Return the whole number given to an option; raises InputError (Invoke's own parser ends in a traceback)."""
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{option} needs a whole number", f"given: {text!r}", "write digits, as in 30") from None


class Reef(Program):
    """Invoke's program with Reef's tasks: it lists them in groups, and shows both versions."""

    def core_args(self) -> list[Argument]:
        arguments: list[Argument] = super().core_args()
        for argument in arguments:
            short = SHORT_FORMS.get(argument.names[0])
            argument.names = (argument.names[0], *([short] if short else []))
        return arguments

    def parse_core(self, argv: list[str] | None) -> None:
        # Invoke switches Python's cache of compiled modules off; without it every start would compile all of Reef.
        without_cache = sys.dont_write_bytecode
        super().parse_core(each_deb(sys.argv if argv is None else argv))
        sys.dont_write_bytecode = without_cache

    def parse_tasks(self) -> None:
        # Invoke takes the word after a command for its required argument, also --help.
        for command, word in pairwise(self.core.unparsed):
            if command in self.collection.task_names and word in ("--help", "-h"):
                self.args.help.set_value(command, cast=False)
                self.core.unparsed = []
                break
        try:
            super().parse_tasks()
        except ParseError as error:
            raise ParseError(f"{error}\n  what to do: {self._advice(error)}", error.context) from None

    def _advice(self, error: ParseError) -> str:
        """Return the way out of a command line that Invoke does not understand."""
        unknown = re.search(r"No idea what '(.+?)(?:=.*)?' is!", str(error))
        command = error.context.name if error.context else None
        hint = ""
        if unknown and unknown[1].startswith("-") and error.context:
            hint = nearest(unknown[1], error.context.flags) if len(unknown[1]) > 2 else ""
        elif unknown:
            hint = nearest(unknown[1], self.collection.task_names)
        # Without a near word, the help lists all of them.
        return (f"{hint} " if hint.endswith("?") else "") + as_typed(
            f"./inv --help {command} shows its options" if command else "./inv --list shows all commands"
        )

    def print_version(self) -> None:
        from importlib.metadata import version

        print(f"Reef {builders.__version__} (Invoke {version('invoke')}, Python {platform.python_version()})")

    def print_help(self) -> None:
        print(f"usage: {self.binary} COMMAND [--OPTION VALUE ...] [COMMAND ...]")
        print(f"       {self.binary} --help COMMAND | --list | --version\n")
        self.list_tasks()

    def list_flat(self) -> None:
        commands = sorted(self.scoped_collection.tasks.items(), key=lambda item: GROUPS.index(item[1].group))
        width = max(len(name) for name, _ in commands)
        for group, members in groupby(commands, key=lambda item: item[1].group):
            heading = group
            for name, command in members:
                print(f"{heading:<13}{name:<{width}}  {helpline(command)}")
                heading = ""
        print(f"\nOptions of a command: {self.binary} --help COMMAND")


def tasks() -> Collection:
    """Return Reef's tasks; those of its developers only in Reef's checkout."""
    found = Collection.from_module(importlib.import_module("builders.cli.tasks"))  # which imports this module
    if CHECKOUT:
        return found
    return Collection(*(each for each in found.tasks.values() if each.group != "development"))


def program() -> Reef:
    """Return the program that ``./inv`` and ``reef`` run."""
    called = "inv" if CHECKOUT else "reef"  # completion scripts call it on PATH
    return Reef(namespace=tasks(), name="Reef", binary=own_command(), binary_names=[called])


def main() -> None:
    """Run the command line of this process."""
    surroundings.settle()
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # it would read the metadata of every package to find some
    try:
        try:
            program().run()
        finally:
            sys.stdout.flush()
    except OutputError as error:
        sys.exit(_show(error))
