"""The keys of ``boards.yml``, a strict subset of Ansible's inventories in YAML."""

import re
import shlex
from typing import Annotated, Any

import pydantic

from builders.model.yaml_file import FaultyPart, Line, Model

BOARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names of boards. Ansible's ranges, as in ``pi[1:3]``, are not names."""
GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Names of groups that Ansible accepts without a warning."""
WISH = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[0-9][A-Za-z0-9.+~:-]*)?")
"""A package's name, and a version after a ``=`` (Policy 5.6.7, 5.6.12)."""
PASSWORD = re.compile(r"ansible_.*pass(word)?")
RESERVED = ("all", "ungrouped")
"""Groups that Ansible makes by itself."""


def _no_template(value: str) -> str:
    if "{{" in value or "{%" in value:
        raise ValueError(f"{value!r}: Reef reads no templates; write the value itself")
    return value


def _words(value: str) -> str:
    try:
        shlex.split(value)
    except ValueError as error:
        raise ValueError(f"{value!r}: {error}; expected words as for a shell") from error
    return value


def _wish(value: str) -> str:
    if not WISH.fullmatch(value):
        raise ValueError(f"{value!r}: expected the name of a package, or NAME=VERSION")
    return value


Text = Annotated[Line, pydantic.AfterValidator(_no_template)]
Empty = Annotated[str, pydantic.AfterValidator(_no_template), pydantic.StringConstraints(pattern=r"^\S*$")]
"""A word, or an empty text, which stands for none."""
Wish = Annotated[str, pydantic.AfterValidator(_wish)]
ModelName = Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


def _absolute(value: str) -> str:
    if not value.startswith(("/", "~/")):
        raise ValueError(f"{value!r}: expected an absolute path, or a path below ~")
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class BoardKeys(Model):
    """Keys of a board, or of all boards of a group: a board's own keys take precedence, then those of the innermost
    group.

    A board without ``ansible_`` keys is reached under its own name, which may be an alias in ``~/.ssh/config``.
    """

    ansible_host: Annotated[Text, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9]\S*$")] | None = None
    """Name or address of the board for ssh. The default is the board's name."""
    ansible_port: Annotated[int, pydantic.Field(ge=1, le=65535)] | None = None
    """Port of the board's ssh server. The default is ssh's."""
    ansible_user: Annotated[Text, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$")] | None = (
        None
    )
    """User of the board: root, or a user who may run sudo. The default is ssh's."""
    ansible_ssh_private_key_file: Annotated[Text, pydantic.AfterValidator(_absolute)] | None = None
    """File of the private key for ssh: absolute, or below ``~``."""
    ansible_ssh_common_args: Annotated[Text, pydantic.AfterValidator(_words)] | None = None
    """More words for ssh's command line, as in ``-J gateway``."""
    reef_packages: tuple[Wish, ...] = ()
    """Packages to install, each as ``NAME`` (the newest published version) or ``NAME=VERSION``. Packages that they
    need follow from apt."""
    reef_suite: Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] | None = None
    """Published suite that the board installs from. The default is the suite of the board's own system."""
    reef_service: Empty | None = None
    """Service that must stay active after an installation. The default is that of the installed packages; an empty
    text stands for none."""
    reef_gate: Annotated[tuple[Text, ...], pydantic.BeforeValidator(_listed)] | None = None
    """Tests that decide whether the board keeps what was installed: names of gates of recipes, or script files relative
    to boards.yml, which contain a ``/``. The default is the gates of the installed packages."""
    reef_gate_timeout_s: Annotated[int, pydantic.Field(ge=1, le=3600)] = 120
    """Time limit of each gate, in seconds."""
    reef_settle_s: Annotated[int, pydantic.Field(ge=0, le=600)] = 10
    """Time, in seconds, for which the service must stay active."""
    reef_lock_wait_s: Annotated[int, pydantic.Field(ge=0, le=3600)] = 300
    """Longest wait for another apt or another rollout on the board, in seconds."""
    reef_models: dict[ModelName, Text] = {}  # noqa: RUF012 - pydantic copies a field's default
    """Models to serve, each as ``NAME: FOLDER``. The folder is relative to boards.yml. It holds a folder for each
    version, whose name is a number, as TensorFlow Serving reads them."""
    reef_offline: bool = False
    """Whether the board has no network: packages then come as a bundle, with all that they need."""
    reef_batch: Annotated[int, pydantic.Field(ge=1)] = 5
    """How many boards are installed side by side after the canary."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _no_password(cls, value: Any) -> Any:
        for key in value if isinstance(value, dict) else ():
            if PASSWORD.fullmatch(str(key)):
                raise FaultyPart((key,), "Reef reads no passwords from files; use ssh keys, and --ask-sudo for sudo")
        return value

    @pydantic.field_validator("reef_packages")
    @classmethod
    def _named_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = [wish.partition("=")[0] for wish in value]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise FaultyPart((number,), f"{name} is named twice")
        return value


class Group(Model):
    """A group of boards. Groups may contain groups, and a board may be in several."""

    hosts: dict[str, BoardKeys | None] | None = None
    """The boards of the group, each with its own keys."""
    vars: BoardKeys | None = None
    """Keys for all boards of the group and of the groups in it."""
    children: dict[str, "Group | None"] | None = None
    """The groups in the group."""

    @pydantic.field_validator("hosts")
    @classmethod
    def _boards_named(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        for name in value or ():
            if not BOARD.fullmatch(name):
                raise FaultyPart((name,), "expected a name of letters, digits, '.', '_' and '-'; one entry for a board")
        return value

    @pydantic.field_validator("children")
    @classmethod
    def _groups_named(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        for name in value or ():
            if name in RESERVED:
                raise FaultyPart((name,), "Ansible makes this group by itself; choose another name")
            if not GROUP.fullmatch(name):
                raise FaultyPart((name,), "expected a name of letters, digits and '_'")
        return value


class InventoryFile(Model):
    """The boards of a project, in ``boards.yml`` beside ``reef.yml``.

    The file is also an inventory of Ansible: ``ansible -i boards.yml all -m ping``.
    """

    all: Group
    """The group of all boards."""
