"""``systemd``: units have only keys that the suite's systemd knows, because it ignores all others."""

from collections.abc import Iterator

from builders.checks.static.contents import Contents
from builders.checks.verdict import judged
from builders.model.packages import Verdict
from builders.model.target import Target
from builders.model.unit_file import newer_settings

FIX = (
    "name the unit in systemd: of the package, then Reef removes such keys from it; "
    "if the program cannot do without them, remove the suite from targets:"
)


def check_units(contents: Contents, target: Target) -> Verdict:
    """Judge the keys of each service, socket and timer, and of their drop-ins."""
    count = len(contents.units)
    return judged("systemd", contents.deb.package, _faults(contents, target), FIX, passed=f"{count} units")


def _faults(contents: Contents, target: Target) -> Iterator[str]:
    version = target.suite.systemd
    for path, text in contents.units.items():
        for setting in newer_settings(text, version):
            yield (f"/{path}: {setting.key}= needs systemd {setting.since}; {target.suite.name} has {version}")
