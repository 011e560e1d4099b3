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
    """Write the pipeline files, or with ``check`` raise InputError if one would change.

    ``check`` takes the options that are not given from the file's header.
    """
    project = open_project()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", branch):
        raise InputError(f"not the name of a branch: {branch!r}", fix="correct --branch")
    given = ci.Options(tuple(runner), tuple(also), branch, reef)
    for name in [install] if install else ci.SERVICES:
        on = ci.service(name)
        path = project.folder / (on.live if install else on.example)
        before = path.read_text() if check and path.is_file() else ""
        options = _completed(given, ci.options_of(before))
        installed = installation(project.folder, options.reef)
        labels = ci.runners(list(options.runner))
        text = ci.pipeline_file(name, project, labels, options.branch, installed, also=options.also)
        if check:
            if before != text:
                command = options.words(installed.command, name)
                command = command if install else command.replace(f" --install {name}", "")
                raise InputError(f"{path} is not up to date", fix=f"run {command}")
            project.log.note(f"up to date: {path}")
        else:
            if installed.warning and name in (install, *list(ci.SERVICES)[:1]):  # once
                project.log.warn(installed.warning)
            changed = ci.write_file(path, text, force=force)
            project.log.note(f"{'wrote' if changed else 'unchanged'}: {path}")


def _completed(given: ci.Options, recorded: ci.Options) -> ci.Options:
    """Return the options of a command line; those that it leaves out are the recorded ones."""
    default = ci.Options()
    return ci.Options(
        given.runner or recorded.runner, given.also or recorded.also,
        given.branch if given.branch != default.branch else recorded.branch, given.reef or recorded.reef,
    )  # fmt: skip
