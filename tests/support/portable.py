"""The miniature portable recipe beside the real runtime's recipe, cut to what it needs and for this machine's CPU."""

import shutil

import yaml

from tests.support.checkout import CHECKOUT
from tests.support.place import Place

RUNTIME = "reef-portable-runtime"
TRAPS = "reef-traps"
LIBRARIES = {
    "libc6": "libm.so.6",
    "libgcc-s1": "libgcc_s.so.1",
    "libstdc++6": "libstdc++.so.6",
    "zlib1g": "libz.so.1",
}
"""What the miniature bundles: the library, by its Debian package."""


def add_portable(place: Place) -> None:
    """Add the recipes of the miniature and of its runtime to a project."""
    recipes = place.folder / "recipes"
    shutil.copytree(CHECKOUT / "tests" / "fixtures" / "portable" / TRAPS, recipes / TRAPS)
    shutil.copytree(CHECKOUT / "recipes" / RUNTIME, recipes / RUNTIME)
    path = recipes / RUNTIME / "recipe.yml"
    recipe = yaml.safe_load(path.read_text())
    recipe["targets"]["architectures"] = ["amd64"]
    recipe["build"]["libraries"] = list(LIBRARIES)
    recipe["build"]["runtime"]["libraries"] = list(LIBRARIES.values())
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))


def warn_in_build(place: Place, text: str) -> None:
    """Let the runtime's next build leave a sentence for the run to show."""
    path = place.folder / "recipes" / RUNTIME / "recipe.yml"
    recipe = yaml.safe_load(path.read_text())
    recipe["build"]["fetch"] = f"mkdir -p debian/reef/out; echo '{text}' >>debian/reef/out/warnings.txt"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))


def runtime_version(place: Place) -> str:
    """Return the version of a project's runtime."""
    return str(yaml.safe_load((place.folder / "recipes" / RUNTIME / "recipe.yml").read_text())["version"])


def raise_runtime(place: Place, newer: str) -> None:
    """Give the runtime a newer version, and with it its package another name."""
    version = runtime_version(place)
    for path in (place.folder / "recipes" / RUNTIME).rglob("*.*"):
        path.write_text(path.read_text().replace(version, newer))
