"""``./inv`` itself, over a Python that only writes down what it is asked: when it sets up again.

The machine around it is made up, too: which user calls, what dpkg says is installed, and what apt and sudo do.
"""

import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.checkout import CHECKOUT

PYTHON = """#!/bin/sh
# Stands for Python: `-m venv --clear FOLDER`, `-m pip install ...`, and `-c` with what is to be imported.
case $1 in
-E) shift 3; exec /bin/sh "$@" ;; # the command itself
*/pip_settings.py) exec {python} -E "$1" ;;
esac
if [ "$3" = config ]; then
    cat "{usr}/pip-settings" 2>/dev/null || :
    exit
fi
printf '%s %s\\n' "$1" "$2" >>"{calls}"
name=$(basename "$(readlink -f "$0")")
case "$1 $2" in
'-m venv')
    rm -rf "$4"
    mkdir -p "$4/bin" "$4/lib/$name"
    ln -s "{usr}/python3" "$4/bin/python"
    printf '#!/bin/sh\\nprintf "%%s\\\\n" "$*"\\n' >"$4/bin/reef"
    ;;
'-m pip') [ ! -e "{usr}/pip" ] || . "{usr}/pip" ;;
'-c import pydantic') [ ! -e "{usr}/broken" ] ;;
'-c import pip') [ -e "$(dirname "$0")/../lib/$name" ] ;;
esac
"""


TOOLS = (
    "basename", "cat", "chmod", "cksum", "dirname", "env", "flock", "grep", "ln", "mkdir", "readlink", "rm", "sed",
    "sh", "true",
)  # fmt: skip
"""All that ``inv`` and the Python above call, but for what a test makes up."""
DPKG_QUERY = r"""
for package in "$@"; do :; done
[ "$*" = "--show --showformat=\${db:Status-Status} $package" ] || exit 2
grep -qx "$package" "$installed" && echo installed
"""
APT_GET = """
echo "$as apt-get $*" >>"$apt_calls"
case $* in
update*) ;;
"install --quiet --quiet --yes --no-install-recommends "*)
    [ ! -e "$apt_fails" ] || { echo "E: Unable to fetch some archives" >&2; exit 100; }
    shift 5
    printf '%s\n' "$@" >>"$installed"
    ;;
esac
"""
SUDO = """
[ -e "$sudo_allowed" ] || { echo "sudo: a password is required" >&2; exit 1; }
[ "$1" != -n ] || shift
as=sudo exec "$@"
"""


class Clone:
    """A clone with ``inv`` and what it reads, and a system whose ``python3`` is version 3.11 at first.

    On its PATH is nothing but the tools that are needed and, with `packages`, a Debian of the test's own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a clone"
        self.bin, self.state = folder / "bin", folder / "state"
        self.bin.mkdir()
        self.state.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.calls, self.usr = folder / "calls", folder / "usr"
        for name in ("builders/host/packages.txt", "tests/host-packages.txt"):
            (self.folder / name).parent.mkdir(parents=True)
            (self.folder / name).write_text("# none\n")
        (self.folder / "pyproject.toml").write_text("[project]\n")
        (self.folder / "constraints.txt").write_text("invoke==3.0\n")
        shutil.copy(CHECKOUT / "inv", self.folder)
        shutil.copy(CHECKOUT / "builders" / "host" / "pip_settings.py", self.folder / "builders" / "host")
        self.usr.mkdir()
        self.upgrade("3.11")

    def upgrade(self, version: str) -> None:
        """Let the system's Python be of this version from now on."""
        for old in self.usr.iterdir():
            old.unlink()
        program = self.usr / f"python{version}"
        program.write_text(PYTHON.format(calls=self.calls, usr=self.usr, python=shlex.quote(sys.executable)))
        program.chmod(0o755)
        (self.usr / "python3").symlink_to(program.name)

    def call(self, *words: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        """Run ``inv`` to its end, which may be a failure."""
        names = ("installed", "apt_calls", "apt_fails", "sudo_allowed")
        environment = {name: str(self.state / name) for name in names} | {"as": "self"}
        environment |= {"PATH": str(self.bin), "REEF_PYTHON": str(self.usr / "python3")} | extra
        return subprocess.run(
            [str(self.folder / "inv"), *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    def run(self, *words: str, **extra: str) -> str:
        """Run ``inv`` and return what invoke was given."""
        done = self.call(*words, **extra)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def program(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def packages(self, *, expected: str, installed: str, user: int) -> None:
        """Let the machine be a Debian with some of the ``wanted`` packages, and let ``user`` be who calls."""
        lines = [f"{name}  a reason of several words\n" for name in expected.split()]
        (self.folder / "builders" / "host" / "packages.txt").write_text("# why\n" + "".join(lines))
        (self.state / "installed").write_text("".join(f"{name}\n" for name in installed.split()))
        self.program("dpkg-query", DPKG_QUERY)
        self.program("apt-get", APT_GET)
        self.program("id", f"echo {user}")

    def apt_calls(self) -> list[str]:
        """Return what apt was told since the last time, each with who told it."""
        calls = self.state / "apt_calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return lines

    def asked(self) -> list[str]:
        """Return what Python did since the last time it was asked for that: venv, pip."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return [line.removeprefix("-m ") for line in lines if line.startswith("-m ")]


@pytest.fixture
def fresh(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


@pytest.fixture
def clone(fresh: Clone) -> Clone:
    made = fresh
    made.run()
    assert made.asked() == ["venv", "pip"]
    return made


def test_a_second_call_goes_straight_to_invoke(clone: Clone) -> None:
    assert clone.run("build-arm", "--recipe", "x y") == "build-arm --recipe x y\n"
    assert clone.run() == "--list\n"
    assert not clone.calls.exists()


def test_what_tests_need_is_set_up_once_too(clone: Clone) -> None:
    clone.run("test", "--quick")
    assert clone.asked() == ["pip"]
    clone.run("test")
    clone.run("list")
    assert not clone.calls.exists()


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt", "builders/host/packages.txt"])
def test_what_is_needed_changed(clone: Clone, file: str) -> None:
    (clone.folder / file).write_text("# something else\n")
    clone.run()
    assert clone.asked() == ["pip"]
    clone.run()
    assert not clone.calls.exists()


def test_pip_installs_the_versions_of_constraints_txt(fresh: Clone) -> None:
    (fresh.usr / "pip").write_text(f"printf '%s\\n' \"$@\" >'{fresh.state}/pip'")
    fresh.run("test")
    words = (fresh.state / "pip").read_text().splitlines()
    assert words[words.index("--constraint") :] == [
        "--constraint", f"{fresh.folder}/constraints.txt", "--editable", f"{fresh.folder}[test]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("listed", "given", "expected"),
    [
        ("global.user='true'\ninstall.target='/x'", {}, {}),
        ("", {"PIP_USER": "1", "PIP_NO_DEPS": "1", "PIP_PYTHON": "/none", "PIP_CONFIG_FILE": "/etc/mine"}, {}),
        ("global.index-url='https://me:a%20b@x/simple'", {}, {"PIP_INDEX_URL": "https://me:a%20b@x/simple"}),
        (
            "global.find-links='\\n/a\\n/b'\nglobal.no-index='true'\ndownload.proxy='p'", {},
            {"PIP_FIND_LINKS": "/a /b", "PIP_NO_INDEX": "true"},
        ),
        ("global.no-index='true'\nglobal.cert='/c'", {"PIP_CERT": "/it's mine"}, {"PIP_CERT": "/it's mine"}),
        ("global.use-feature='fast-deps'\ninstall.timeout='5'\nglobal.timeout='9'", {}, {"PIP_TIMEOUT": "5"}),
        ("global.use-feature='truststore'", {"PIP_PROXY": ""}, {"PIP_USE_FEATURE": "truststore", "PIP_PROXY": ""}),
    ],
)  # fmt: skip
def test_pips_settings_that_say_where_packages_come_from_apply(
    fresh: Clone, listed: str, given: dict[str, str], expected: dict[str, str]
) -> None:
    (fresh.usr / "pip").write_text(f"env >'{fresh.state}/pip'")
    (fresh.usr / "pip-settings").write_text(listed)
    fresh.run("list", **given, PYTHONHOME="/nonexistent", PYTHONWARNINGS="error")
    told = dict(line.split("=", 1) for line in (fresh.state / "pip").read_text().splitlines())
    assert {name: told[name] for name in told if name.startswith(("PIP_", "PYTHON"))} == {
        "PIP_CONFIG_FILE": "/dev/null"
    } | expected


def test_the_systems_python_was_upgraded(clone: Clone) -> None:
    clone.run("test")
    clone.asked()
    clone.upgrade("3.13")
    clone.run()
    assert clone.asked() == ["venv", "pip"]
    clone.run()
    assert not clone.calls.exists()
    clone.run("test")
    assert clone.asked() == ["pip"]


INSTALL = "install --quiet --quiet --yes --no-install-recommends"


@pytest.mark.parametrize(("user", "by"), [(0, "self"), (1000, "sudo")])
def test_only_packages_that_are_missing_are_installed_and_once(fresh: Clone, user: int, by: str) -> None:
    fresh.packages(expected="first second third", installed="second", user=user)
    fresh.program("sudo", SUDO)
    (fresh.state / "sudo_allowed").touch()
    done = fresh.call()
    assert done.returncode == 0, done.stderr
    assert "inv: installing Debian packages: first third \n" in done.stderr
    assert fresh.apt_calls() == [f"{by} apt-get update --quiet --quiet", f"{by} apt-get {INSTALL} first third"]
    assert fresh.asked() == ["venv", "pip"]
    assert fresh.call().stderr == ""
    assert fresh.apt_calls() == fresh.asked() == []


def test_packages_of_the_tests_are_installed_for_the_tests(fresh: Clone) -> None:
    fresh.packages(expected="first", installed="first", user=0)
    (fresh.folder / "tests" / "host-packages.txt").write_text("# why\ngcc  a reason\n")
    fresh.run()
    assert fresh.apt_calls() == []
    fresh.run("test")
    assert fresh.apt_calls()[1:] == [f"self apt-get {INSTALL} gcc"]


@pytest.mark.parametrize("sudo", [True, False], ids=["sudo wants a password", "no sudo"])
def test_who_cannot_install_is_shown_the_one_command(fresh: Clone, *, sudo: bool) -> None:
    fresh.packages(expected="first second third", installed="second", user=1000)
    if sudo:
        fresh.program("sudo", SUDO)
    done = fresh.call()
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.splitlines()[-2:] == [
        "inv: these Debian packages are missing: first third ",
        "inv: run: sudo apt-get update && sudo apt-get install --yes --no-install-recommends first third ",
    ]
    assert fresh.apt_calls() == fresh.asked() == []
    assert not (fresh.folder / ".venv").exists()


def test_an_apt_that_fails_is_reported_and_asked_again(fresh: Clone) -> None:
    fresh.packages(expected="first", installed="", user=0)
    (fresh.state / "apt_fails").touch()
    for _ in range(2):
        done = fresh.call()
        assert done.returncode == 5
        assert "E: Unable to fetch some archives\ninv: these Debian packages are missing: first" in done.stderr
        assert fresh.apt_calls()[1:] == [f"self apt-get {INSTALL} first"]
    (fresh.state / "apt_fails").unlink()
    fresh.run()
    assert fresh.apt_calls()[1:] == [f"self apt-get {INSTALL} first"]


def test_a_machine_without_dpkg_goes_on_without_packages(fresh: Clone) -> None:
    (fresh.folder / "builders" / "host" / "packages.txt").write_text("first  a reason\n")
    done = fresh.call()
    assert done.returncode == 0, done.stderr
    assert "inv: not a Debian machine: skipping Debian packages\n" in done.stderr
    assert fresh.asked() == ["venv", "pip"]


def test_a_pip_that_fails_is_reported_and_asked_again(fresh: Clone) -> None:
    (fresh.usr / "pip").write_text("echo 'ERROR: No matching distribution' >&2; exit 1")
    for _ in range(2):
        done = fresh.call()
        assert (done.returncode, done.stdout) == (5, "")
        venv = fresh.folder / ".venv"
        assert done.stderr.splitlines()[-3:] == [
            "ERROR: No matching distribution",
            f"inv: the project cannot be installed in {venv} (see above)",
            f"inv: run: '{venv}/bin/python' -m pip install --constraint '{fresh.folder}/constraints.txt' "
            f"--editable '{fresh.folder}' (it prints more); once that works, ./inv again",
        ]
        assert fresh.asked() == ["venv", "pip"]  # what was half made is not built upon
    (fresh.usr / "pip").unlink()
    fresh.run()
    assert fresh.asked() == ["venv", "pip"]


def test_packages_that_do_not_work_are_reported(fresh: Clone) -> None:
    (fresh.usr / "broken").touch()
    done = fresh.call("list")
    assert (done.returncode, done.stdout) == (5, "")
    assert "noexec" in done.stderr.splitlines()[-1]
    (fresh.usr / "broken").unlink()
    fresh.run("list")


def test_what_was_whole_stays_so_where_pip_cannot_get_more(clone: Clone) -> None:
    (clone.usr / "pip").write_text("exit 1")
    assert clone.call("test").returncode == 5
    assert clone.asked() == ["pip"]
    clone.run("list")
    assert clone.asked() == []


@pytest.mark.parametrize(("killed", "status"), [("$PPID", -9), ("$$", 5)], ids=["inv and pip", "pip"])
def test_what_was_killed_half_way_is_made_anew(clone: Clone, killed: str, status: int) -> None:
    (clone.usr / "pip").write_text(f"kill -9 {killed}; exit 1")
    assert clone.call("test").returncode == status
    assert clone.asked() == ["pip"]
    (clone.usr / "pip").unlink()
    clone.run("list")
    assert clone.asked() == ["venv", "pip"]


def test_a_call_starts_few_programs_before_invoke(clone: Clone) -> None:
    note = clone.state / "started"
    for tool in TOOLS:
        real = (clone.bin / tool).readlink()
        (clone.bin / tool).unlink()
        clone.program(tool, f'echo {tool} >>"{note}"\nexec {real} "$@"')
    clone.run("list")
    assert Counter(note.read_text().split()) == {"readlink": 2, "dirname": 1, "cat": 2, "cksum": 1}
