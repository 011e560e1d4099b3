"""A test whether a disk can hold build roots: programs that run, owners, links and names as Debian's packages have."""

from pathlib import Path

from builders.engines.roots import namespaces
from builders.errors import HostError
from builders.host import process

ABILITIES = {
    "run programs (it is mounted noexec)": "cp /bin/true program && ./program",
    "hold files of several owners": "chown 1:1 program && [ $(stat --format=%u program) = 1 ]",
    "hold file modes": "chmod 4711 program && [ $(stat --format=%a program) = 4711 ]",
    "hold links": "ln -s program symbolic && ln program hard && [ -L symbolic ]",
    "keep upper and lower case in names apart": "touch case && [ ! -e CASE ]",
    "hold every name that packages use": "touch 'a:b' 'a\\b'",
}
"""The needs of a root, each with the commands that fail without it."""
DOCTOR = "./inv doctor shows what this machine lacks"
FIX = "mount it without that limit, or name a folder on another disk: cache: in reef.yml, or the variable REEF_CACHE"


def check(folder: Path) -> None:
    """Raise HostError unless a root could be made in ``folder``, which is empty and stays so."""
    tests = [f"{{ {commands}; }} 2>&1 || {{ echo '{ability}'; exit 1; }}" for ability, commands in ABILITIES.items()]
    script = "\n".join(["trap 'rm -rf ./*' EXIT", *tests])
    try:
        process.capture([*namespaces.prefix(network=False), "sh", "-uc", script], cwd=folder)
    except process.ProgramFailed as error:
        *reasons, ability = error.completed.tail.strip().splitlines() or [""]
        if ability not in ABILITIES:  # the test itself could not run
            raise HostError(
                f"it is unknown whether the disk of {folder.parent} can hold build roots", error.detail, DOCTOR
            ) from error
        kind = process.capture(["stat", "--file-system", "--format=%T", str(folder)]).strip()
        raise HostError(
            f"the disk of {folder.parent} ({kind}) holds no build roots: it cannot {ability}", "\n".join(reasons), FIX
        ) from error
