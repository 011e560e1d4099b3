"""How the jobs of a pipeline get Reef: the repository's own ``./inv``, or an installation with pip."""

import importlib.metadata
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from builders.errors import InputError

NAMED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*\s*(\[[^]]*\])?)\s*@\s*(?P<place>.+)")
"""A requirement with the place that it is from (PEP 508)."""
ARCHIVE = re.compile(r".*\.(whl|zip|tar(\.\w+)?|tgz)")
WHEEL = re.compile(r"[^-]+-[^-]+(-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")
"""The name of a wheel; pip refuses other names (PEP 427)."""
FIX = (
    "name it as pip takes it: --reef 'git+https://HOST/reef@COMMIT', or a wheel in the repository: "
    "--reef ./tools/reef-1.0-py3-none-any.whl"
)


@dataclass(frozen=True)
class Installation:
    """Reef in a pipeline: the ``command`` that its steps call, and what pip installs, nothing for ``./inv``."""

    command: str = "./inv"
    requirement: str = ""

    @property
    def warning(self) -> str:
        """The warning of a requirement whose content can change between two runs of a pipeline, else empty."""
        place = _place("".join(shlex.split(self.requirement)))
        ref = urlsplit(place).path.rpartition("/")[2].partition("@")[2]
        if not place.startswith("git+") or re.fullmatch(r"[0-9a-f]{40}", ref):
            return ""
        return f"--reef names no commit: jobs install what {place} has then; end it with @ and the commit's 40 digits"


def installation(folder: Path, given: str | None) -> Installation:
    """Return how jobs of the project in ``folder`` get Reef; ``given`` is a requirement as pip takes it.

    Without it, a repository that holds Reef uses its ``./inv``, and another one the git commit that this Reef was
    installed from. Raises InputError if neither exists, and for what jobs cannot reach: in an index, the name could be
    another project's.
    """
    if given is None and (folder / "inv").is_file():
        return Installation()
    requirement = given or _commit()
    if not requirement:
        raise InputError(
            "pipelines need to know what to install Reef from",
            f"no file inv is in {folder}, and this Reef was not installed from a git repository that others reach",
            FIX,
        )
    if "\n" in requirement or "${{" in requirement or requirement.startswith("-"):
        raise InputError(f"not a requirement of pip: {requirement!r}", fix="correct --reef")
    if given:
        _require_reached(folder, given)
    return Installation("reef", shlex.quote(requirement))


def _commit() -> str:
    """Return the requirement of the git commit that this Reef was installed from, empty if it was not (PEP 610)."""
    try:
        text = importlib.metadata.distribution("reef").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return ""
    origin = json.loads(text or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id")
    public = commit and not origin["url"].startswith("file:")  # a folder of this machine is not on another
    return f"reef @ git+{origin['url']}@{commit}" if public else ""


def _place(requirement: str) -> str:
    """Return where a requirement is from: a URL or a path; the requirement itself if it names no place."""
    named = NAMED.fullmatch(requirement)
    return named["place"] if named else requirement


def _require_reached(folder: Path, given: str) -> None:
    """Raise InputError for the name of a package in an index, and for a file that no job of the repository has."""
    place = _place(given).strip()
    if "://" in place and not re.match(r"(git\+)?file:", place):
        return
    if re.fullmatch(r"[\w.+-]*://.*|file:.*|~.*|/.*", place):
        raise InputError(f"a path of this machine: {given}", "the jobs run on other machines", FIX)
    if "/" not in place and not ARCHIVE.fullmatch(place):
        raise InputError(f"the name of a package alone: {given}", "in an index, it can be another project's", FIX)
    path = (folder / place).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"a path outside the repository: {given}", "the jobs run on other machines", FIX)
    if not path.exists():
        raise InputError(f"no such file: {path}", "given with --reef", FIX)
    if path.suffix == ".whl" and not WHEEL.fullmatch(path.name):
        raise InputError(f"not the name of a wheel: {path.name}", "pip refuses it (PEP 427)", FIX)
