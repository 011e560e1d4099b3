"""Caches that only an engine's jobs see: ordinary jobs copy them out, and add to them."""

from dataclasses import replace
from pathlib import Path

from builders.deb import compiler_caches
from builders.engines import Engine
from builders.model.jobs import BuildJob, Input, Root
from builders.pipeline.project import Project

CARRIED = compiler_caches()
"""Caches that move from one machine to another; what else jobs keep comes as fast from where it came from."""
GIVEN = "/build/given"
TAKE = """\
for name in {names}; do
    mkdir "/build/out/$name"
    cp -a "/cache/$name/." "/build/out/$name/" || cp -a "/cache/$name/." "/build/out/$name/"
done
"""
"""Once more where it fails: another project's build may just have renamed a file. The caches are the engine's."""
GIVE = """\
for name in {names}; do
    [ ! -d "{given}/$name" ] || cp -an "{given}/$name/." "/cache/$name/"
done
"""
"""Nothing is overwritten: files are called by what went into them, so that one of the same name is as good."""


def take(project: Project, engine: Engine, folder: Path) -> list[Path]:
    """Copy what the nodes that build keep into folders below ``folder``; return them, laid out as `Cache.mounts`.

    Raises what engines raise.
    """
    jobs = [_job(root, "export", TAKE) for root in _roots(project, engine)]
    return [_run(project, engine, job, folder / job.root.build.debian) for job in jobs]


def give(project: Project, engine: Engine, scratch: Path, mounts: Path) -> None:
    """Add the files of ``mounts``, laid out as `Cache.mounts`, to what the nodes that build keep.

    ``scratch`` is a folder for what the jobs leave. Raises what engines raise.
    """
    for root in _roots(project, engine):
        job = replace(_job(root, "import", GIVE), inputs=(Input(mounts, GIVEN),))
        _run(project, engine, job, scratch / root.build.debian)


def _job(root: Root, verb: str, script: str) -> BuildJob:
    names = " ".join(cache.name for cache in CARRIED)
    return BuildJob(f"caches/{verb}/{root.build}", root, script.format(names=names, given=GIVEN), caches=CARRIED)


def _run(project: Project, engine: Engine, job: BuildJob, output: Path) -> Path:
    engine.check(job.root)
    return engine.run(job, output, project.log).output


def _roots(project: Project, engine: Engine) -> list[Root]:
    """Return a minimal root for each CPU that builds run on: each has its node, where reef.yml names several."""
    targets = project.targets([])
    machines = dict.fromkeys(project.engines.machine_for(target.architecture, engine.name) for target in targets)
    return [Root(targets[0].suite.name, machine, machine, ()) for machine in machines]
