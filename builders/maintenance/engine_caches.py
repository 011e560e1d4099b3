"""Caches inside an engine, visible only to its jobs; jobs copy them out and add to them."""

from dataclasses import replace
from pathlib import Path

from builders.deb import compiler_caches
from builders.engines import Engine
from builders.model.context import Context
from builders.model.jobs import BuildJob, Input, Root
from builders.model.target import MIRRORED
from builders.pipeline.project import Project

CARRIED = compiler_caches()
"""Caches that are exported; other caches are as fast to fetch again."""
GIVEN = "/build/given"
TAKE = """\
for name in {names}; do
    mkdir "/build/out/$name"
    cp -a "/cache/$name/." "/build/out/$name/" || cp -a "/cache/$name/." "/build/out/$name/"
done
"""
"""A second attempt: another project's build, which shares the engine's caches, may have renamed a file."""
GIVE = """\
for name in {names}; do
    [ ! -d "{given}/$name" ] || cp -an "{given}/$name/." "/cache/$name/"
done
"""
"""Nothing is overwritten: names are digests of the inputs, so that files of the same name are equal."""


def take(project: Project, engine: Engine, folder: Path) -> list[Path]:
    """Copy the caches of the nodes into folders below ``folder``; return them, with the layout of `Cache.mounts`.

    Raises the errors of engines.
    """
    jobs = [_job(root, "export", TAKE) for root in _roots(project, engine)]
    return [_run(project, engine, job, folder / job.root.build.debian) for job in jobs]


def give(project: Project, engine: Engine, scratch: Path, mounts: Path) -> None:
    """Add the files of ``mounts``, with the layout of `Cache.mounts`, to the caches of the nodes.

    ``scratch`` is a folder for the jobs' results. Raises the errors of engines.
    """
    for root in _roots(project, engine):
        job = replace(_job(root, "import", GIVE), inputs=(Input(mounts, GIVEN),))
        _run(project, engine, job, scratch / root.build.debian)


def _job(root: Root, verb: str, script: str) -> BuildJob:
    names = " ".join(cache.name for cache in CARRIED)
    return BuildJob(f"caches/{verb}/{root.build}", root, script.format(names=names, given=GIVEN), caches=CARRIED)


def _run(context: Context, engine: Engine, job: BuildJob, output: Path) -> Path:
    engine.check(job.root)
    return engine.run(job, output, context.log).output


def _roots(project: Project, engine: Engine) -> list[Root]:
    """Return a minimal root for each CPU on which builds run, and with it for each node of reef.yml."""
    targets = project.targets([])
    machines = dict.fromkeys(project.engines.machine_for(target.architecture, engine.name) for target in targets)
    # No root can be made of some targets' suites: portable packages are made in a root of a newer suite.
    suite = next((target.suite.name for target in targets if target.suite.mirrored), MIRRORED[-1])
    return [Root(suite, machine, machine, ()) for machine in machines]
