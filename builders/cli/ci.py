"""The commands for CI: the matrix of builds, and pipeline files."""

import re

from builders.cli.app import open_project
from builders.errors import InputError
from builders.maintenance import ci
from builders.maintenance.ci.installation import installation


def matrix(
    recipe: list[str], target: list[str], runner: list[str], also: list[str], *, service: str, every: bool
) -> None:  # fmt: skip
    """Print the matrix of builds; nothing else goes to standard output."""
    if recipe and (also or every):
        raise InputError(
            "--recipe excludes --also and --every", "--also and --every add recipes to those built by default",
            "name every recipe with --recipe, or leave it out",
        )  # fmt: skip
    jobs = ci.jobs(open_project(), ci.service(service), ci.runners(runner), recipe, target, also=also, every=every)
    print(ci.matrix(service, jobs))


def files(
    runner: list[str], also: list[str], *, install: str | None, branch: str, check: bool, force: bool = False,
    reef: str | None = None,
) -> None:  # fmt: skip
    """Write the pipeline files, or with ``check`` raise InputError if one would change."""
    project, labels = open_project(), ci.runners(runner)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", branch):
        raise InputError(f"not the name of a branch: {branch!r}", fix="correct --branch")
    installed = installation(project.folder, reef)
    for name in [install] if install else ci.SERVICES:
        on = ci.service(name)
        path = project.folder / (on.live if install else on.example)
        text = ci.pipeline_file(name, project, labels, branch, installed, also=also)
        if check:
            if not path.is_file() or path.read_text() != text:
                raise InputError(
                    f"{path} is not up to date", fix="run ./inv ci-files with the options that it was written with"
                )
            project.log.note(f"up to date: {path}")
        else:
            changed = ci.write_file(path, text, force=force)
            project.log.note(f"{'wrote' if changed else 'unchanged'}: {path}")
