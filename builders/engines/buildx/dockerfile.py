"""The build of a job: a folder with its merged inputs and its scripts, and a Dockerfile.

It is one folder with plain instructions, because the BuildKit inside Docker Engine 20.10 (Debian 12) knows neither
named contexts nor ``RUN --network``.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from builders.engines.environment import environment
from builders.engines.relay import tunnel
from builders.host.apt_access import VARIABLES
from builders.model.jobs import BuildJob

PROGRAMS = (
    Path(__file__).with_name("runner.pl"), tunnel.PROGRAM, Path(__file__).with_name("dockerfiles") / "apt-access.sh",
)  # fmt: skip
"""Programs that accompany a job's scripts in the container."""

WITH_PROXIES = (
    'place=$1; shift; exec /usr/bin/env -i "$place" '
    + " ".join(f'${{{name}:+"{name}=${name}"}}' for name in VARIABLES)
    + ' "$@"'
)
"""Starts a command with no environment variables but those of proxies, which BuildKit sets."""


def assemble(job: BuildJob, folder: Path) -> list[str]:
    """Fill ``folder`` with a job's inputs and scripts; return the destinations: that of ``inputs/N`` has index N.

    Files are hard links if the file system allows, because the engine receives a copy.
    """
    (folder / "job").mkdir(parents=True)
    for program in PROGRAMS:
        shutil.copyfile(program, folder / "job" / program.name)
    for name, script in (("fetch", job.fetch), ("run", job.script)):
        if script:
            (folder / "job" / f"{name}.sh").write_text(script)
    (folder / "job" / "prepare.sh").write_text(_PREPARE)
    destinations = list(dict.fromkeys(layer.destination for layer in job.inputs))
    for layer in job.inputs:
        _merge(layer.path.resolve(), folder / "inputs" / str(destinations.index(layer.destination)))
    return destinations


_PREPARE = """\
# Makes the folders that a job expects (the arguments), and records the installed packages before it begins.
mkdir -p "$@"
dpkg-query --show --showformat='${binary:Package}=${Version}\\n' >/reef/records/packages
"""


def _merge(source: Path, target: Path) -> None:
    """Merge the tree ``source`` into ``target``: its files replace those of the same path."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(source):
        place = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                place.unlink()
            _merge(Path(entry.path), place)
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        elif place.is_symlink() or place.exists():
            place.unlink()
        _link(Path(entry.path), place)
    shutil.copystat(source, target)


def _link(source: Path, place: Path) -> None:
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError:  # another file system, or another user's file (fs.protected_hardlinks)
        shutil.copy2(source, place, follow_symlinks=False)


def job_dockerfile(
    job: BuildJob, root: str, destinations: Sequence[str], *, nonce: str, run_network: bool, fetched: str | None = None,
    storage: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Return the Dockerfile of a job: stages ``start``, ``fetch``, ``run`` and ``output``.

    ``root`` is the text whose last stage, ``start``, is the root. ``nonce`` makes BuildKit run the scripts even
    if it ran equal scripts before. With ``run_network``, the script's instruction has no network; otherwise the caller
    denies it to the whole build. ``fetched`` names the image of an earlier build's stage ``fetch``; then the text has
    only the later stages. ``storage`` has the variables that lead to a storage; with it the script gets its tunnel.
    """
    lines = [] if fetched else [root, *_start(job, destinations)]
    if not fetched:
        lines += ["FROM start AS fetch", *([_run(job, "fetch", nonce, "")] if job.fetch else [])]
    lines += [
        f"FROM {fetched or 'fetch'} AS run",
        _run(job, "run", nonce, "--network=none " if run_network else "", storage),
        "FROM scratch AS output",
        f"COPY --from=run {_words(job.output.rstrip('/') + '/', '/out/')}",
        f"COPY --from=run {_words('/reef/records/', '/records/')}",
    ]
    return "\n".join(lines) + "\n"


def _start(job: BuildJob, destinations: Sequence[str]) -> list[str]:
    folders = [job.workdir, job.output, "/reef/records"]
    lines = [f"ENV {name}={value}" for name, value in job.root.build.emulation.items()]
    lines += [f"COPY {_words('job/', '/reef/')}"]
    lines += [
        f"COPY {_words(f'inputs/{number}/', place.rstrip('/') + '/')}" for number, place in enumerate(destinations)
    ]
    return [*lines, f"RUN {json.dumps(['/bin/sh', '/reef/prepare.sh', *folders], ensure_ascii=False)}"]


def _run(job: BuildJob, name: str, nonce: str, network: str, storage: Mapping[str, str] | None = None) -> str:
    """Return the instruction that runs a script of the job with exactly the job's environment."""
    variables = environment(job) | dict(storage or {})
    limit = str(job.limits.time_s or 0)
    start = ["/bin/sh", "-c", WITH_PROXIES, "sh"] if name == "fetch" else ["/usr/bin/env", "-i"]
    words = [*start, f"--chdir={job.workdir}", *(f"{k}={v}" for k, v in variables.items())]
    words += ["/usr/bin/perl", "/reef/runner.pl", name, limit, nonce]
    mounts = [f"--mount=type=cache,id=reef-{cache.name},target={cache.destination} " for cache in job.caches]
    if name == "fetch":
        mounts += ["--mount=type=secret,id=reef-apt,target=/reef/apt-files ", "--mount=type=tmpfs,target=/reef/apt "]
    # Not required: the build that keeps a root runs no script and has no tunnel.
    mounts += [f"--mount=type=ssh,id={tunnel.NAME},target={tunnel.SOCKET} "] if storage else []
    return f"RUN {network}{''.join(mounts)}{json.dumps(words, ensure_ascii=False)}"


def _words(*paths: str) -> str:
    """Return paths as a JSON list, with ``$`` and backslashes escaped against the Dockerfile's substitution."""
    return json.dumps([path.replace("\\", "\\\\").replace("$", "\\$") for path in paths], ensure_ascii=False)
