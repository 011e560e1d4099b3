"""The keys of units by suite: the table of builders.model.unit_file beside each suite's systemd and trixie's manual
pages, and the units of all recipes as the systemd of each suite judges them.
"""

import functools
import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.deb import debian_files
from builders.engines.chroot.engine import ChrootEngine
from builders.host.log import Log
from builders.model.arch import AMD64, ARM64
from builders.model.jobs import BuildJob, Input, Root
from builders.model.recipe import load_recipe
from builders.model.settings import Settings
from builders.model.target import MIRRORED, SUITES, Suite, Target
from builders.model.unit_file import SINCE
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT
from tests.support.place import Place

OLDEST = SUITES["buster"].systemd
NEWEST = max(SUITES.values(), key=lambda suite: suite.systemd)
RECIPES = sorted({path.parents[1] for path in CHECKOUT.glob("recipes/*/files/*.service")})
LOOK = """
/lib/systemd/systemd --version >/build/out/version
/lib/systemd/systemd --dump-configuration-items >/build/out/keys
cp /usr/share/man/man5/systemd.*.5.gz /build/out
while read -r program; do
    [ -e "$program" ] || install -D -m 755 /dev/null "$program"
done </units/programs
# bullseye's systemd-analyze would move processes of this machine between control groups.
awk '$2 ~ "^/sys/fs/cgroup" { print $2 }' /proc/mounts | while read -r place; do
    mount -o remount,bind,ro,nosuid,nodev,noexec "$place"
done
for unit in /units/*/*.service; do
    systemd-analyze verify --man=no "$unit" >>/build/out/verified 2>&1 || echo "$unit: status $?" >>/build/out/verified
done
"""
PAGES = [
    "unit", "service", "socket", "timer", "mount", "automount", "swap", "path", "slice", "scope", "exec", "kill",
    "resource-control",
]  # fmt: skip
CORRECTED = {
    # An entry for several keys has the version of the first. NEWS says: 248, 250, 254.
    "ExecPaths": 248, "NoExecPaths": 248, "LoadCredentialEncrypted": 250, "SetCredentialEncrypted": 250,
    "StartupAllowedCPUs": 250, "StartupAllowedMemoryNodes": 250, "DefaultStartupMemoryLow": 254,
    "StartupMemoryHigh": 254, "StartupMemoryLow": 254, "StartupMemoryMax": 254, "StartupMemorySwapMax": 254,
    "StartupMemoryZSwapMax": 254, "UpheldBy": 254,
    # It came with OnSuccess=.
    "OnSuccessJobMode": 249,
    # In 247 its name was ManagedOOMMemoryPressureLimitPercent.
    "ManagedOOMMemoryPressureLimit": 248,
    # The manual pages have entries of their own for conditions since 244. NEWS has these two at 242.
    "ConditionMemory": 242, "ConditionCPUs": 242,
}  # fmt: skip
"""Keys whose version the manual pages have wrong -> the version that brought them."""
UNDOCUMENTED = {"DefaultMemoryLow": 243, "DefaultMemoryMin": 243}
"""Keys that the manual pages lack -> the version by NEWS."""
ENTRIES_SINCE = 244
"""The version that the manual pages give to conditions that are older."""

Look = Callable[[str], Path]


@pytest.fixture(scope="module")
def look(module_place: Place, tmp_path_factory: pytest.TempPathFactory) -> Look:
    """Return a function from a suite to its systemd's keys, manual pages and opinion on the units of all recipes."""
    engine = ChrootEngine(Project.open(module_place.folder, Log(live=False)))

    @functools.cache
    def of(suite: str) -> Path:
        units = tmp_path_factory.mktemp("units")
        programs = set()
        for kind in ("filtered", "original"):
            (units / kind).mkdir()
            for folder in RECIPES:
                for name, text in rendered(folder, NEWEST if kind == "original" else SUITES[suite]).items():
                    programs |= set(re.findall(r"^Exec\w+=[-+!@:]*(\S+)", text, re.MULTILINE))
                    (units / kind / name).write_text(text)
        (units / "programs").write_text("".join(f"{program}\n" for program in sorted(programs)))
        root = Root(suite, AMD64, AMD64, ("systemd",))
        job = BuildJob(f"systemd/{suite}", root, LOOK, inputs=(Input(units, "/units"),), output="/build/out")
        return engine.run(job, module_place.folder / f"systemd-{suite}", Log()).output

    return of


def rendered(folder: Path, suite: Suite) -> dict[str, str]:
    """Return the units of a recipe's packages for a suite: file name -> text."""
    files = debian_files(load_recipe(folder), Target(suite, ARM64), Settings())
    return {name: text for name, text in files.items() if name.endswith(".service")}


def known(folder: Path) -> set[str]:
    """Return the keys that a systemd prints as its own."""
    return set(re.findall(r"^(\w+)=", (folder / "keys").read_text(), re.MULTILINE))


@pytest.mark.parametrize("suite", MIRRORED)
def test_each_systemd_knows_the_keys_of_its_version_and_no_newer(look: Look, suite: str) -> None:
    version = SUITES[suite].systemd
    assert (look(suite) / "version").read_text().split()[1] == str(version)
    keys = known(look(suite))
    assert {key for key in SINCE if key in keys} == {key for key, since in SINCE.items() if since <= version}
    # Whatever trixie's knows besides is in the table.
    assert known(look(NEWEST.name)) - keys == {key for key, since in SINCE.items() if since > version}


def test_the_manual_pages_agree(look: Look) -> None:
    """They alone know what came between 241, of which there is no package any more, and bullseye's 247."""
    manual: dict[str, int] = {}
    for page in PAGES:
        with gzip.open(look(NEWEST.name) / f"systemd.{page}.5.gz", "rt") as file:
            for key, version in documented(file.read()):
                manual[key] = min(version, manual.get(key, version))
    assert len(manual) > 250
    assert {key for key in CORRECTED if manual[key] == SINCE[key]} == set(), "corrected in vain"
    expected = {
        key: version
        for key, version in manual.items()
        if version > OLDEST and not (key.startswith("Condition") and version == ENTRIES_SINCE)
    }
    assert set(UNDOCUMENTED).isdisjoint(manual)
    table = {key: version for key, version in SINCE.items() if not key.startswith("Assert")}
    assert table == expected | CORRECTED | UNDOCUMENTED


def documented(page: str) -> Iterator[tuple[str, int]]:
    """Yield each key of a manual page in roff's language with the version that the page gives."""
    terms: list[str] = []
    lines = page.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith(".RS"):
            terms.append(before)
        elif line.startswith(".RE"):
            terms.pop()
        elif (added := re.match(r"Added in version (\d+)", line)) and terms:
            names = re.sub(r"\\f[A-Z]", "", terms[-1])
            for key in re.findall(r"(?:^|, )([A-Z]\w+)=", names):
                yield key, int(added.group(1))


@pytest.mark.parametrize("suite", MIRRORED)
def test_systemd_finds_no_fault_in_the_units_of_the_recipes(look: Look, suite: str) -> None:
    found = look(suite) / "verified"
    lines = found.read_text().splitlines() if found.exists() else []
    assert [line for line in lines if "/units/original/" not in line] == []
    # It judges: the originals have keys that older suites lack.
    unknown = re.findall(r"Unknown key(?: name)? '(\w+)'", "\n".join(lines))
    assert unknown == ([] if suite == NEWEST.name else ["RestartSteps", "RestartMaxDelaySec"])
