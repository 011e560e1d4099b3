"""What is the user's own in this checkout: what it publishes, which no test may touch, and its settings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).parents[2]
HELLO = CHECKOUT / "tests" / "fixtures" / "recipes" / "reef-hello"
"""The miniature recipe."""
SYSTEMS = CHECKOUT / "tests" / "fixtures" / "systems"
"""Recipes of projects in Debian's pool, one for each build system."""
PUBLISHED = CHECKOUT / "artifacts" / "apt"
CACHE = Path(os.environ.get("REEF_TEST_CACHE") or os.environ.get("REEF_CACHE") or CHECKOUT / "artifacts" / "cache")
"""Roots and sources that all tests share: REEF_CACHE, or the checkout's own cache, which serves real runs too.

Under another name in the environment, as projects of the tests have caches of their own.
"""
RUN = CHECKOUT / "artifacts" / "tests" / f"run-{os.environ.setdefault('REEF_TEST_RUN', os.urandom(3).hex())}"
"""What the processes of one run of the tests share; the process that the user started removes it."""
NOWHERE = "/nonexistent/no project of a test"
"""The project of a command line that a test runs without naming one."""
SHARED = ("builds", "locks")
"""Parts of artifacts/ that a test's project may have in common with the checkout; who shares builds shares locks."""


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Fail where anything in ``folder`` is not afterwards what it was, whether it was there or not."""
    before = _facts(folder)
    yield
    changed = sorted(path for path, _ in before ^ _facts(folder))
    assert not changed, f"changed while the tests ran, which no test may do (did you publish meanwhile?): {changed[:5]}"


def _facts(folder: Path) -> set[tuple[str, tuple[int, ...]]]:
    paths = [folder, *folder.rglob("*")] if folder.exists() else []
    facts = {str(path): path.lstat() for path in paths}
    return {(name, (one.st_ino, one.st_mode, one.st_size, one.st_mtime_ns)) for name, one in facts.items()}


def project_like(checkout: Path, folder: Path) -> Path:
    """Make a project in ``folder`` that builds what the checkout builds, shares its builds and caches, and publishes
    into a place of its own. Return its repository's folder."""
    artifacts = folder / "artifacts"
    artifacts.mkdir(parents=True)
    for name in SHARED:
        (checkout / "artifacts" / name).mkdir(parents=True, exist_ok=True)
        (artifacts / name).symlink_to(checkout / "artifacts" / name)
    CACHE.mkdir(parents=True, exist_ok=True)
    (artifacts / "cache").symlink_to(CACHE)
    (folder / "reef.yml").write_text(settings_like(checkout))
    (folder / "recipes").symlink_to(checkout / "recipes")
    return artifacts / "apt"


def settings_like(checkout: Path) -> str:
    """Return the checkout's settings as text for a project of a test's own.

    Left out are those that say what is built for, and where results and signatures go: an upload is the user's.
    """
    settings = yaml.safe_load((checkout / "reef.yml").read_text()) or {}
    for name in ("artifacts", "cache", "signing", "targets"):
        settings.pop(name, None)
    (settings.get("repository") or {}).pop("upload", None)
    return yaml.safe_dump(settings)
