"""``inv``, ``list`` and ``build-arm --plan`` in every environment that a shell, cron, ssh or a container may leave."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from builders.host import pip_settings
from tests.support.odd_clone import LATIN1, OddClone, make_locale

GIT = (
    "[core]\nautocrlf = true\nhooksPath = /nonexistent/hooks\n[init]\ntemplateDir = /nonexistent/template\n"
    '[safe]\ndirectory = /elsewhere\n[url "https://127.0.0.1:9/"]\ninsteadOf = https://\n[color]\nui = always\n'
)
PYTHON = {
    "PYTHONHOME": "/nonexistent", "PYTHONPATH": "{folder}/evil", "PYTHONSTARTUP": "{folder}/evil/yaml.py",
    "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2", "PYTHONIOENCODING": "ascii", "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONINSPECT": "1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPLATLIBDIR": "none",
}  # fmt: skip
TOOLS = {
    "CDPATH": "/:/tmp", "GREP_OPTIONS": "--color=always -v", "MAKEFLAGS": "-n -j99", "TAR_OPTIONS": "--exclude=*",
    "DEB_BUILD_OPTIONS": "parallel=x nonsense", "DEB_HOST_ARCH": "mips", "GZIP": "-1", "XZ_OPT": "-0",
    "POSIXLY_CORRECT": "1", "IFS": "/e", "ENV": "/nonexistent", "BASH_ENV": "/nonexistent", "LS_COLORS": "x",
    "GIT_DIR": "/nonexistent", "GIT_WORK_TREE": "/", "GIT_CONFIG_PARAMETERS": "'core.bare=x'", "SHELL": "/bin/false",
    "VIRTUAL_ENV": "/nonexistent", "LC_CTYPE": "tlh", "LANGUAGE": "de:fr", "COLUMNS": "1", "LINES": "x",
}  # fmt: skip


@dataclass(frozen=True)
class Odd:
    """An environment: ``variables`` over those of ``base``, ``within`` a program, ``shell`` before and around it."""

    variables: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    within: tuple[str, ...] = ()
    shell: str = '"$@"'
    status: int = 0
    shows: bool = True
    encoding: str = "utf-8"


CASES = {
    "locale C": Odd({"LC_ALL": "C"}),
    "locale POSIX": Odd({"LC_ALL": "POSIX", "LANG": ""}),
    "locale latin1": Odd({"LC_ALL": LATIN1, "LOCPATH": "{folder}/locales"}, encoding="latin-1"),
    "locale latin1 by reef itself": Odd(
        {"LC_ALL": LATIN1, "LOCPATH": "{folder}/locales"}, encoding="latin-1",
        shell="shift; exec '{clone}/.venv/bin/python' '{clone}/.venv/bin/reef' \"$@\"",
    ),
    "locale that is missing": Odd({"LC_ALL": "xx_YY.KOI8-R", "LANG": "nonsense"}),
    "TERM dumb": Odd({"TERM": "dumb", "NO_COLOR": "1"}),
    "TERM unset": Odd({"FORCE_COLOR": "1", "CI": "true"}, without=("TERM",)),
    "HOME unset": Odd(without=("HOME",)),
    "HOME empty": Odd({"HOME": ""}),
    "HOME that cannot be written": Odd({"HOME": "/proc/self"}),
    "umask 077": Odd(shell='umask 077; "$@"'),
    "umask 0": Odd(shell='umask 0; "$@"'),
    "user without a name": Odd(without=("HOME", "USER"), within=("unshare", "--user", "--map-user=54321", "--")),
    "TMPDIR that is missing": Odd({"TMPDIR": "/nonexistent"}),
    "TMPDIR with spaces": Odd({"TMPDIR": "{folder}/tëmp ör"}),
    "TMPDIR noexec": Odd(
        {"TMPDIR": "/mnt"}, within=("unshare", "--user", "--map-root-user", "--mount", "--"),
        shell='mount -t tmpfs -o noexec tmpfs /mnt; "$@"',
    ),
    "cron": Odd({"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "HOME": "/"}, only=()),
    "nothing at all": Odd(only=()),
    "cache with spaces": Odd({"REEF_CACHE": "{folder}/cäche of all"}),
    "another Python's variables": Odd(PYTHON),
    "other tools' variables": Odd(TOOLS),
    "settings of git": Odd({"HOME": "{folder}/git home"}),
    "settings of pip": Odd({"PIP_USER": "1", "PIP_TARGET": "/nonexistent", "PIP_CONFIG_FILE": "/nonexistent"}),
    "current folder gone": Odd(shell='mkdir gone; cd gone; rmdir ../gone; "$@"'),
    "stdin closed": Odd(shell='"$@" <&-'),
    "stdout closed": Odd(shell='"$@" >&-', shows=False),
    "stderr closed": Odd(shell='"$@" 2>&-'),
    "all closed": Odd(shell='"$@" <&- >&- 2>&-', shows=False),
    "stdout full": Odd(shell='"$@" >/dev/full', status=14, shows=False),
    "stdout without a reader": Odd(
        shell='{{ sleep 0.2; "$@"; echo $? >status; }} | true; exit $(cat status)', status=141, shows=False
    ),
    "stderr full": Odd(shell='"$@" 2>/dev/full'),
}  # fmt: skip


@pytest.fixture(scope="module")
def clone() -> Iterator[OddClone]:
    with tempfile.TemporaryDirectory(prefix="reef odd ") as folder:
        made = OddClone(Path(folder))
        for name in ("evil", "tëmp ör", "git home"):
            (Path(folder) / name).mkdir()
        (Path(folder) / "evil" / "yaml.py").write_text("raise SystemExit('evil')\n")
        (Path(folder) / "git home" / ".gitconfig").write_text(GIT)
        locales = Path(folder) / "locales"
        locales.mkdir()
        make_locale(locales)
        yield made


def run(clone: OddClone, odd: Odd, *words: str) -> "subprocess.CompletedProcess[bytes]":
    folder = clone.folder.parent
    kept = {name: value for name, value in os.environ.items() if odd.only is None or name in odd.only}
    kept = {name: value for name, value in kept.items() if name not in odd.without and not name.startswith("REEF_")}
    given = {name: value.format(folder=folder) for name, value in odd.variables.items()}
    shell = odd.shell.format(clone=clone.folder)
    start = [str(shutil.which(word)) if number == 0 else word for number, word in enumerate(odd.within)]
    return subprocess.run(
        [*start, "/bin/sh", "-c", shell, "sh", str(clone.folder / "inv"), *words],
        env=kept | given | {"REEF_FOLDER": str(clone.project)}, cwd=folder, capture_output=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_list_and_plan(clone: OddClone, name: str) -> None:
    odd = CASES[name]
    done = run(clone, odd, "list", "build-arm", "--plan")
    output = done.stdout + done.stderr
    assert done.returncode == odd.status, output
    for word in (b"Traceback", b"Exception", b"evil", b"DeprecationWarning"):
        assert word not in output
    if odd.shows:
        shown = done.stdout.decode(odd.encoding)
        assert "Grüße for boards" in shown
        assert "build   reef-hello  trixie/amd64" in shown
    if odd.status == 14:
        assert b"error: the output cannot be written\n  [Errno 28] No space left on device\n" in done.stderr


def test_the_list_of_commands(clone: OddClone) -> None:
    for name in ("nothing at all", "locale latin1", "user without a name"):
        done = run(clone, CASES[name])
        assert done.returncode == 0, done.stderr
        assert b"build-arm" in done.stdout
    done = run(clone, CASES["stdout full"])
    assert (done.returncode, done.stdout) == (14, b"")


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("locale")])
def test_files_and_their_names_are_utf8(clone: OddClone, name: str) -> None:
    code = "import os; from builders.host import surroundings; surroundings.settle(); "
    code += "print(os.fsencode(chr(252)), open(0).encoding.lower())"
    odd = replace(CASES[name], shell=f"exec '{clone.folder}/.venv/bin/python' -c '{code}'")
    assert run(clone, odd).stdout.decode().split() == [repr("ü".encode()), "utf-8"]


@pytest.mark.nightly
def test_a_fresh_set_up(tmp_path: Path) -> None:
    """pip itself, with settings that would put packages elsewhere, for a user without a name; test_inv.py is quick."""
    clone = OddClone(tmp_path, fresh=True)
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nuser = true\nrequire-virtualenv = true\nquiet = 3\n"
        "[install]\nprefix = /nonexistent\nno-deps = true\nno-build-isolation = true\n"
    )
    within = ("unshare", "--user", "--map-user=54321", "--")
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    index = pip_settings.variables(listing.stdout, os.environ, "install")  # this machine's, which may be in a HOME
    given = index | {"PIP_TARGET": "/nonexistent", "PIP_DRY_RUN": "1", "PIP_CONFIG_FILE": str(settings), **PYTHON}
    done = run(clone, Odd(given, without=("HOME", "USER"), within=within), "list")
    assert done.returncode == 0, done.stderr
    assert "Grüße for boards" in done.stdout.decode()
