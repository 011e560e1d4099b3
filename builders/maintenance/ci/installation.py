"""How the jobs of a pipeline get Reef: the repository's own ``./inv``, or an installation with pip."""

import importlib.metadata
import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from builders.errors import InputError


@dataclass(frozen=True)
class Installation:
    """Reef in a pipeline: the ``command`` that its steps call, and what pip installs, nothing for ``./inv``."""

    command: str = "./inv"
    requirement: str = ""


def installation(folder: Path, given: str | None) -> Installation:
    """Return how jobs of the project in ``folder`` get Reef; ``given`` is a requirement as pip takes it.

    Without it, a repository that holds Reef uses its ``./inv``, and another one the git commit that this Reef was
    installed from. Raises InputError if neither exists: in an index, the name could be another project's.
    """
    if given is None and (folder / "inv").is_file():
        return Installation()
    requirement = given or _commit()
    if not requirement:
        raise InputError(
            "pipelines need to know what to install Reef from",
            f"no file inv is in {folder}, and this Reef was not installed from a git repository that others reach",
            "name it as pip takes it: --reef 'git+https://HOST/reef@COMMIT', or a wheel in the repository: "
            "--reef ./tools/reef.whl",
        )
    if "\n" in requirement or "${{" in requirement or requirement.startswith("-"):
        raise InputError(f"not a requirement of pip: {requirement!r}", fix="correct --reef")
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
