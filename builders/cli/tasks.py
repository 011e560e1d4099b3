"""Reef's commands: names, help, one call each. ``./inv`` and ``reef`` run them, and Invoke through ``tasks.py``."""

import os

from builders.cli.app import Context, number, request_task, task
from builders.cli.board_tasks import *  # noqa: F403 - Invoke collects the tasks that it finds here
from builders.cli.command_line import RECIPE, TARGET, BuildRequest, PublishRequest

ANYWHERE = "0.0.0.0"  # noqa: S104 - boards on the network are to reach it
RUNNER = "CPU=LABEL of runners of your own, as in arm64=lab-pi (may be repeated)"
ALSO = "recipe to build besides those built by default (may be repeated)"


@request_task("build", BuildRequest)
def build_arm(context: Context, request: BuildRequest) -> None:
    """Build the .debs that are not up to date."""
    from builders.cli import build

    build.build_arm(context, request)


@request_task("publish", PublishRequest)
def publish_apt(context: Context, request: PublishRequest) -> None:
    """Check on the target CPU, then publish, signed."""
    from builders.cli import repository

    repository.publish_apt(context, request)


@task(
    "publish",
    to="destination's name in reef.yml (may be repeated; all by default)",
    plan="only show the files to send",
)
def upload_apt(_: Context, to: list[str], plan: bool = False) -> None:
    """Upload the repository to the places in reef.yml."""
    from builders.cli import repository

    repository.upload_apt(to, plan=plan)


@task("repository", suite="only this suite")
def snapshots(_: Context, suite: str | None = None) -> None:
    """Show every publication and what it changed."""
    from builders.cli import repository

    repository.snapshots(suite)


@task(
    "publish",
    suite="suite to roll back, as in trixie",
    stamp="publication to return to, as snapshots shows it (by default the previous publication)",
)
def rollback(_: Context, suite: str, stamp: str | None = None) -> None:
    """Publish an earlier publication's content again."""
    from builders.cli import repository

    repository.rollback(suite, stamp)


@task(
    "publish",
    source="suite to take from",
    suite="suite to add to",
    package="package to promote (may be repeated; all by default)",
)
def promote(_: Context, source: str, suite: str, package: list[str]) -> None:
    """Add one suite's packages to another, unchanged."""
    from builders.cli import repository

    repository.promote(source, suite, package)


@task(
    "repository",
    extend="days from now at which the signing keys expire",
    rotate="make a new signing key; the old key signs too until it is retired",
    retire="fingerprint of the old key, which no longer signs",
    load="load the secret key from the variable REEF_SIGNING_KEY (its text, or its file's name), as CI jobs do",
)
def keys(
    _: Context, extend: str = "0", rotate: bool = False, retire: str | None = None, load: bool = False
) -> None:  # fmt: skip
    """List, extend, rotate, retire or load signing keys."""
    from builders.cli import repository

    repository.keys(extend=number("--extend", extend), rotate=rotate, retire=retire, load=load)


@task(
    "repository",
    suite="only this suite",
    roots="also with the apt of every Debian release, in clean roots (takes minutes the first time)",
)
def verify_apt(_: Context, suite: str | None = None, roots: bool = False) -> None:
    """Verify as boards do, today and on later days."""
    from builders.cli import repository

    repository.verify_apt(suite, roots=roots)


@task(
    "boards",
    host="address to listen on; 127.0.0.1 serves this machine only",
    port="port to listen on",
    certificate="PEM file with the certificate chain, for HTTPS",
    key="PEM file with its private key",
)
def serve_apt(
    _: Context, host: str = ANYWHERE, port: str = "8000", certificate: str | None = None, key: str | None = None
) -> None:
    """Serve the repository to boards, until Ctrl-C."""
    from builders.cli import repository

    repository.serve_apt(host=host, port=number("--port", port), certificate=certificate, key=key)


@task(
    "boards",
    suite="suite that holds the package",
    package="package; its newest version is phased",
    percentage="percentage of boards that install it when they upgrade",
)
def phase(_: Context, suite: str, package: str, percentage: str = "100") -> None:
    """Let a new version reach more boards, or fewer."""
    from builders.cli import repository

    repository.phase(suite, package, number("--percentage", percentage))


@task("repository", plan="only show the files to remove")
def prune(_: Context, plan: bool = False) -> None:
    """Remove old versions, as repository.keep says."""
    from builders.cli import repository

    repository.prune(plan=plan)


@task(
    "build",
    name="name of the recipe, and of its folder",
    source="URL of an archive, git URL (#TAG for a tag or commit), source package of Debian, or folder",
    prebuilt="instead of a source, a .deb that somebody else built: file or URL (may be repeated)",
    build="build it once, which shows the packages that its files make",
)
def new(_: Context, name: str, prebuilt: list[str], source: str | None = None, build: bool = True) -> None:
    """Write a recipe for a source, or for .debs.

    Examples: --source hello (a source package of Debian), --source https://example.org/greet-1.2.tar.gz,
    --source https://git.example.org/greet.git#v1.2, --source ../greet, or --prebuilt vendor_1.0_arm64.deb
    """
    from builders.cli import new as command

    command.new(name, source, prebuilt, build=build)


@task("build")
def list_(_: Context) -> None:
    """Show what is built, stale and published."""
    from builders.cli import status

    status.list_all()


@task("build", recipe="recipe to explain", target=TARGET)
def explain(_: Context, recipe: str, target: list[str]) -> None:
    """Show why a recipe would be built again."""
    from builders.cli import status

    status.explain(recipe, target)


@task(
    "maintenance",
    recipe=RECIPE,
    source="NAME=FOLDER: compare with this checkout instead of the pinned source (may be repeated)",
    offline="compare only with cached sources",
)
def recheck(_: Context, recipe: list[str], source: list[str], offline: bool = False) -> None:
    """Compare recipes with upstream's sources."""
    from builders.cli import maintenance

    maintenance.recheck_upstream(recipe, source, offline=offline)


@task("maintenance", fix="register QEMU with the kernel if it is missing (as root)")
def doctor(_: Context, fix: bool = False) -> None:
    """Show what this machine needs, with reason and fix."""
    from builders.cli import maintenance

    maintenance.diagnose(fix=fix)


@task("maintenance")
def set_up(_: Context) -> None:
    """Install Debian packages that this machine lacks."""
    from builders.host.log import Log
    from builders.maintenance import host_packages

    host_packages.set_up(Log())


@task("development")
def check(_: Context) -> None:
    """Run the linters and the type checker."""
    from builders.cli import maintenance

    words = ["python", "-m", "tools.words"]
    maintenance.run_tools(["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], words)


@task(
    "development",
    only="run only tests whose name matches this expression (pytest -k)",
    quick="only unit tests and golden files: a minute",
    nightly="also the long tests that other tests cover in part",
)
def test(_: Context, only: str = "", quick: bool = False, nightly: bool = False) -> None:
    """Run Reef's tests, by default all that CI runs."""
    from builders.cli import maintenance

    # Files are dealt out whole, as their tests share builds; the longest stand first in pyproject.toml's testpaths.
    # One process more than cores, up to four: most of them wait now and then, for Debian's mirror or for each other.
    workers = str(min(4, (os.cpu_count() or 1) + 1))
    spread = ["--numprocesses", workers, "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "20"]
    chosen = [*(["-k", only] if only else []), *([] if nightly else ["-m", "not nightly"])]
    maintenance.run_tools(["pytest", *spread, *chosen, *(["tests/unit", "tests/golden"] if quick else [])])


@task(
    "development",
    apt="publishing instead of building: thousands of .debs, beside apt-ftparchive, reprepro and aptly",
    server="the model server instead, beside servers written in Python",
    portable="portable packages instead, beside the native packages",
    boards="rollouts instead, beside the same by hand over ssh",
    strict="end with exit code 9 if a budget is not met",
)
def bench(
    _: Context, apt: bool = False, server: bool = False, portable: bool = False, boards: bool = False,
    strict: bool = False,
) -> None:  # fmt: skip
    """Measure speed and memory as ratios (an hour)."""
    from builders.cli import maintenance

    wish = ["--strict"] if strict else []
    parts = {
        "publishing": apt, "model_server": server, "portable": portable, "boards": boards, "bundle": boards,
    }  # fmt: skip
    chosen = [name for name, asked in parts.items() if asked]
    names = chosen or ["start_up", "toolkit", "engines"]
    maintenance.run_tools(*(["python", "-m", f"tests.bench.{name}", *wish] for name in names))


@task("maintenance")
def schema(_: Context) -> None:
    """Write the JSON schemas for editors."""
    from builders.cli import maintenance

    maintenance.write_schema()


@task("build", job="name of the failed job, as its error message gives it")
def shell(_: Context, job: str | None = None) -> None:
    """Enter the kept root of a failed job."""
    from builders.cli import maintenance

    maintenance.enter_shell(job)


@task(
    "maintenance",
    export="write compiled files (ccache) and downloaded sources to this one file (tar in zstd), for another machine",
    import_="add the content of such a file to the caches; it overwrites nothing, and a damaged file changes nothing",
    engine="buildx: also the caches of the Docker engine; chroot: only the cache folder; or auto (as builds choose)",
)
def cache(_: Context, export: str | None = None, import_: str | None = None, engine: str | None = None) -> None:
    """Show the caches; export or import them as a file."""
    from builders.cli import caches

    caches.cache(export=export, import_=import_, engine=engine)


@task(
    "maintenance",
    recipe=RECIPE,
    target=TARGET,
    format_="github (the value of strategy.matrix) or gitlab (the value of parallel.matrix)",
    runner=RUNNER,
    also=ALSO,
    every="include every recipe, as nightly runs do",
)
def ci_matrix(
    _: Context, recipe: list[str], target: list[str], runner: list[str], also: list[str], format_: str = "github",
    every: bool = False,
) -> None:  # fmt: skip
    """Print the CI jobs that make all builds, as JSON."""
    from builders.cli import ci

    ci.matrix(recipe, target, runner, also, service=format_, every=every)


@task(
    "maintenance",
    install="service (github or gitlab) whose live pipeline file is written; by default examples are written to ci/",
    branch="branch whose builds are published",
    runner=RUNNER,
    also=ALSO,
    check="write nothing; fail if a file is out of date",
    force="overwrite a pipeline that was edited by hand",
    reef="what jobs install Reef from, as pip takes it; by default the repository's own ./inv, or the git commit that "
    "this Reef was installed from",
)
def ci_files(
    _: Context, runner: list[str], also: list[str], install: str | None = None, branch: str = "main",
    check: bool = False, force: bool = False, reef: str | None = None,
) -> None:  # fmt: skip
    """Write pipelines for GitHub Actions and GitLab CI."""
    from builders.cli import ci

    ci.files(runner, also, install=install, branch=branch, check=check, force=force, reef=reef)


@task("maintenance", suite="suite of the base image (may be repeated; by default every suite of a recipe)")
def pin(_: Context, suite: list[str]) -> None:
    """Record the digests of the base images for Docker."""
    from builders.cli import maintenance

    maintenance.pin(suite)


@task(
    "maintenance",
    create="create the missing builders of reef.yml",
    remove="remove the builders that --create made, with their caches",
)
def builders(_: Context, create: bool = False, remove: bool = False) -> None:
    """Show where the buildx engine builds."""
    from builders.cli import maintenance

    maintenance.builders(create=create, remove=remove)


@task(
    "maintenance",
    what="part to remove (may be repeated): scratch, failed, roots, trees, downloads, caches, logs, builds, images",
)
def clean(_: Context, what: list[str]) -> None:
    """Remove unfinished files, failed roots, or --what."""
    from builders.cli import maintenance

    maintenance.clean(what or ["scratch", "failed"])
