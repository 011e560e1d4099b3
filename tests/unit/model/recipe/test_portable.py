"""Portable packages in recipes: the packages for an older suite, the builds that they need, and named faults."""

from pathlib import Path

import pytest
import yaml

from builders.deb import debian_files
from builders.errors import InputError
from builders.model.arch import AMD64, ARM64
from builders.model.recipe import Acceptance, PortableFolders, Recipe, for_target, load_recipe
from builders.model.settings import Settings
from builders.model.target import parse_target
from tests.support.checkout import CHECKOUT

TRAPS = CHECKOUT / "tests" / "fixtures" / "portable" / "reef-traps"
BULLSEYE, TRIXIE = parse_target("bullseye/amd64"), parse_target("trixie/amd64")


def changed(folder: Path, change: str, by: str) -> Path:
    """Write the miniature with a change, which may be none. Its check names both packages."""
    text = (
        (TRAPS / "recipe.yml")
        .read_text()
        .replace("    packages: [reef-traps]\n", "    packages: [reef-traps, libreef-traps1]\n")
    )
    assert change in text
    place = folder / "reef-traps"
    place.mkdir(parents=True)
    (place / "recipe.yml").write_text(text.replace(change, by, 1))
    for name in ("files", "checks", "source"):
        (place / name).symlink_to(TRAPS / name)
    return place


def runtime(**more: object) -> Recipe:
    """Return a runtime for bullseye; ``more`` replaces keys of its recipe."""
    recipe = yaml.safe_load((CHECKOUT / "recipes" / "reef-portable-runtime" / "recipe.yml").read_text())
    recipe |= {
        "version": "13.7",
        "targets": {"suites": ["bullseye"], "architectures": ["amd64"]},
        "packages": [{"name": "reef-portable-runtime13.7", "summary": "libraries"}],
        "checks": [],
    }
    return Recipe.model_validate(recipe | more)


@pytest.fixture
def recipes() -> dict[str, Recipe]:
    return {"reef-traps": load_recipe(TRAPS), "reef-portable-runtime": runtime()}


def test_the_second_packaging(recipes: dict[str, Recipe]) -> None:
    made = for_target(recipes["reef-traps"], BULLSEYE, recipes)
    assert made.build.repack is not None
    assert (made.build.repack.native_version, made.build.repack.runtime_version) == ("1.0-1~deb13", "13.7")
    assert made.debian_version(BULLSEYE) == "1.0-1~deb11~portable13.7"
    assert (made.build.root, made.build.compile, made.sources) == ("trixie", None, [])
    program, library = made.packages
    assert (program.name, library.name) == ("reef-traps", "libreef-traps1-portable")
    assert program.depends == ["libreef-traps1-portable (= ${binary:Version})"]
    assert [package.pre_depends for package in made.packages] == [["${reef:Pre-Depends}"]] * 2
    assert [package.provides for package in made.packages] == [["${reef:Provides}"]] * 2
    assert [(package.files, package.conffiles, package.manpages) for package in made.packages] == [([], {}, [])] * 2
    assert (program.systemd, library.udev) == ("files/reef-traps.service", "files/reef-traps.rules")
    assert made.folder == TRAPS
    assert made.checks == recipes["reef-traps"].checks


def test_names_of_portable_packages_in_relations(recipes: dict[str, Recipe]) -> None:
    native = recipes["reef-traps"]
    relations = ["libreef-traps1:any", "a | libreef-traps1 (>= 1)", "libreef-traps1(>= 1)", "libreef-traps1-dev"]
    fields = ("pre_depends", "depends", "recommends", "suggests")
    program = native.packages[0].model_copy(update={field: relations for field in (*fields, "breaks")})
    recipes["reef-traps"] = native.model_copy(update={"packages": [program, *native.packages[1:]]})
    made = for_target(recipes["reef-traps"], BULLSEYE, recipes)
    new = "libreef-traps1-portable"
    renamed = [f"{new}:any", f"a | {new} (>= 1)", f"{new}(>= 1)", "libreef-traps1-dev"]
    [program, _] = made.packages
    assert [getattr(program, field) for field in fields[1:]] == [renamed] * 3
    assert program.pre_depends == [*renamed, "${reef:Pre-Depends}"]
    assert program.breaks == relations


def test_relations_of_its_own(tmp_path: Path, recipes: dict[str, Recipe]) -> None:
    own = "{recommends: [a], breaks: [b], pre_depends: [c]}"
    recipe = load_recipe(changed(tmp_path, "    reef-traps: {}", f"    reef-traps: {own}"))
    [program, _] = for_target(recipe, BULLSEYE, recipes).packages
    assert (program.recommends, program.breaks) == (["a"], ["b"])
    assert program.pre_depends == ["c", "${reef:Pre-Depends}"]
    assert program.depends == ["libreef-traps1-portable (= ${binary:Version})"]


def test_the_packages_of_recipes_that_it_builds_against(recipes: dict[str, Recipe]) -> None:
    """Also those of recipes behind them: a library may need a library of the next recipe."""
    whole = recipes["reef-traps"]

    def against(name: str, *others: str) -> Recipe:
        build = whole.build.model_copy(update={"recipes": {other: ["x-dev"] for other in others}})
        return whole.model_copy(update={"name": name, "build": build})

    native = against("native").model_copy(update={"portable": None})
    recipes |= {"one": against("one", "two", "native"), "two": against("two", "three"), "three": against("three")}
    recipes["native"] = native
    recipes["top"] = against("top", "one")
    made = for_target(recipes["top"], BULLSEYE, recipes)
    assert list(made.build.recipes) == ["reef-portable-runtime", "one", "two", "three"]


def test_what_the_packages_say(recipes: dict[str, Recipe]) -> None:
    """A package of links alone brings no libraries; the changelog names the runtime, which alone may be newer."""
    native = recipes["reef-traps"]
    links = native.packages[0].model_copy(update={"files": [], "conffiles": {}, "links": {"usr/bin/b": "usr/bin/a"}})
    of_links = native.model_copy(update={"packages": [links, *native.packages[1:]]})
    note = "brings its own C library"
    [program, library] = for_target(native, BULLSEYE, recipes).packages
    assert note in program.description
    assert note in library.description
    made = for_target(of_links, BULLSEYE, recipes)
    assert note not in made.packages[0].description
    alone = native.model_copy(
        update={"packages": [native.packages[0].model_copy(update={"files": [], "conffiles": {}})]}
    )
    alone._takes_all = alone.packages[0].name
    assert note in for_target(alone, BULLSEYE, recipes).packages[0].description
    settings = Settings.model_validate({"maintainer": "Reef <reef@example.org>"})
    changelog = debian_files(made, BULLSEYE, settings)["changelog"]
    assert "\n  * Packaged for bullseye with the libraries of reef-portable-runtime13.7.\n" in changelog
    assert "Packaged for" not in debian_files(native, TRIXIE, settings)["changelog"]


def test_faults_that_the_native_package_accepts(recipes: dict[str, Recipe]) -> None:
    native = recipes["reef-traps"]
    assert native.portable
    accepted = Acceptance(check="purge", match="/var/x", reason="data")
    added = Acceptance(check="portable", match="DT_RPATH", reason="a plug-in")
    [name, *_] = native.portable.packages
    differs = native.portable.packages[name].model_copy(update={"accept": [added]})
    accepting = native.model_copy(
        update={
            "packages": [each.model_copy(update={"accept": [accepted]}) for each in native.packages],
            "portable": native.portable.model_copy(update={"packages": {**native.portable.packages, name: differs}}),
        }
    )
    made = {each.name: each for each in for_target(accepting, BULLSEYE, recipes).packages}
    assert made[differs.name or name].accept == [accepted, added]


def test_no_checks_are_no_checks(tmp_path: Path, recipes: dict[str, Recipe]) -> None:
    recipe = load_recipe(changed(tmp_path, "  native: trixie\n", "  native: trixie\n  checks: []\n"))
    assert recipe.checks
    assert for_target(recipe, BULLSEYE, recipes).checks == []


def test_the_version_is_below_the_native_package_of_the_same_and_of_newer_suites(recipes: dict[str, Recipe]) -> None:
    native = recipes["reef-traps"]
    made = for_target(native, BULLSEYE, recipes)
    assert made.debian_version(BULLSEYE) == f"{native.debian_version(BULLSEYE)}~portable13.7"


def test_it_needs_the_native_build_and_the_runtime(recipes: dict[str, Recipe]) -> None:
    made = for_target(recipes["reef-traps"], BULLSEYE, recipes)
    assert set(made.needs(BULLSEYE)) == {("reef-portable-runtime", BULLSEYE), ("reef-traps", TRIXIE)}
    assert recipes["reef-traps"].needs(TRIXIE) == []


def test_the_native_build_makes_the_transitional_package(recipes: dict[str, Recipe]) -> None:
    made = for_target(recipes["reef-traps"], TRIXIE, recipes)
    assert [package.name for package in made.packages] == ["reef-traps", "libreef-traps1", "libreef-traps1-portable"]
    transitional = made.packages[-1]
    assert (transitional.section, transitional.multi_arch) == ("oldlibs", "same")
    assert transitional.depends == ["libreef-traps1 (= ${binary:Version})"]
    assert made.build is recipes["reef-traps"].build
    # It holds the same files, in other packages.
    library = ["libreef-traps1-portable (<< ${binary:Version})"]
    assert [(package.breaks, package.replaces) for package in made.packages] == [([], []), (library, library), ([], [])]


def test_no_strategy_is_chosen_for_it(recipes: dict[str, Recipe]) -> None:
    made = for_target(recipes["reef-traps"], BULLSEYE, recipes)
    assert [made.strategy_for(machine, BULLSEYE) for machine in (AMD64, ARM64)] == ["repack", "repack"]
    assert not made.possible("native", AMD64, BULLSEYE)
    assert not recipes["reef-traps"].possible("repack", AMD64, TRIXIE)


def test_the_targets_that_are_served(recipes: dict[str, Recipe]) -> None:
    assert [str(target) for target in recipes["reef-traps"].served] == [
        "trixie/amd64",
        "bullseye/amd64",
        "bookworm/amd64",
    ]


def test_the_folders_on_a_board() -> None:
    folders = PortableFolders(ARM64, "13.7")
    assert folders.loader == "/usr/lib/aarch64-linux-gnu/reef-portable/13.7/ld-linux-aarch64.so.1"
    assert folders.rpath == "/usr/lib/aarch64-linux-gnu/reef-portable/13.7:/usr/lib/aarch64-linux-gnu/reef-portable"


def test_a_runtime_that_does_not_exist(recipes: dict[str, Recipe]) -> None:
    del recipes["reef-portable-runtime"]
    recipes["reef-portable-runtimes"] = recipes["reef-traps"]
    with pytest.raises(InputError) as caught:
        for_target(recipes["reef-traps"], BULLSEYE, recipes)
    assert "unknown recipe 'reef-portable-runtime' in portable.runtime of reef-traps" in str(caught.value)
    assert "did you mean 'reef-portable-runtimes'?" in str(caught.value)


def test_a_runtime_that_does_not_serve_the_target(recipes: dict[str, Recipe]) -> None:
    with pytest.raises(InputError) as caught:
        for_target(recipes["reef-traps"], parse_target("bookworm/amd64"), recipes)
    said = str(caught.value)
    assert "reef-traps for bookworm/amd64 needs the runtime reef-portable-runtime, which does not serve it" in said
    assert "add the target to it" in said


def test_a_recipe_that_is_no_runtime(recipes: dict[str, Recipe]) -> None:
    recipes["reef-portable-runtime"] = recipes["reef-traps"]
    with pytest.raises(InputError, match=r"name a recipe with build\.runtime in portable\.runtime"):
        for_target(recipes["reef-traps"], BULLSEYE, recipes)


@pytest.mark.parametrize(
    ("change", "by", "message"),
    [
        ("suites: [bullseye, bookworm]", "suites: [bullsey]", "unknown suite 'bullsey'; did you mean 'bullseye'?"),
        ("native: trixie", "native: trixi", "unknown suite 'trixi'; did you mean 'trixie'?"),
        ("native: trixie", "native: bookworm", "portable: bookworm is not older than bookworm, the suite in native"),
        (
            "native: trixie\n  suites: [bullseye, bookworm]",
            "native: bookworm\n  suites: [bullseye]",
            "portable.native bookworm is not a suite in targets",
        ),
        (
            "targets: {suites: [trixie]",
            "targets: {suites: [trixie, bookworm]",
            "bookworm is in targets and in portable: packages are either native or portable",
        ),
        ("    reef-traps: {}", "    reef-trap: {}", "portable: no package 'reef-trap'; did you mean 'reef-traps'?"),
        ("  packages:\n    reef-traps: {}\n", "  architectures: [amd46]\n  packages:\n    reef-traps: {}\n", "'amd46'"),
        (
            "{name: libreef-traps1-portable}",
            "{name: reef-traps}",
            "portable: two packages would have the name 'reef-traps'",
        ),
        (
            "  packages:\n    reef-traps: {}\n",
            "  architectures: [arm64]\n  packages:\n    reef-traps: {}\n",
            "portable: arm64 is not in targets, so that there are no native packages for it",
        ),
        (
            "    reef-traps: {}",
            "    reef-traps: {name: reef-traps-portable}",
            "portable: reef-traps has systemd: its service has the package's name; remove name",
        ),
        (
            "    udev: files/reef-traps.rules\n",
            "    udev: files/reef-traps.rules\n    dkms: files/dkms.conf\n",
            "portable: libreef-traps1 has dkms: boards compile a driver; add the suite to targets instead",
        ),
        (
            "    libreef-traps1: {name: libreef-traps1-portable}\n",
            "",
            "portable: the check works installs libreef-traps1, which is not portable; set portable.checks",
        ),
        (
            "  - revision: 1\n",
            "  - {revision: 1, date: 2026-01-02T12:00:00Z, changes: [More.]}\n  - revision: 1\n",
            "changelog: two entries of 1.0-1; raise revision, or give the older one its version",
        ),
        ("{name: libreef-traps1-portable}", "{nam: a1}", "unknown key 'portable.packages.libreef-traps1.nam'"),
        (
            "  packages:\n    reef-traps: {}\n    libreef-traps1: {name: libreef-traps1-portable}\n",
            "  packages: {}\n",
            "at least 1 item",
        ),
    ],
)
def test_faults_of_a_recipe(tmp_path: Path, change: str, by: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe(changed(tmp_path, change, by))
    assert message in str(caught.value)


def test_the_version_of_a_runtime_is_in_the_name_of_its_package() -> None:
    with pytest.raises(ValueError, match=r"expected one package, with a name that ends with 13\.8"):
        runtime(version="13.8")


def test_a_runtime_is_not_portable_itself() -> None:
    itself = {"native": "trixie", "suites": ["bullseye"], "packages": {"reef-portable-runtime13.7": {}}}
    with pytest.raises(ValueError, match="a runtime is portable by itself"):
        runtime(portable=itself, targets={"suites": ["trixie"], "architectures": ["amd64"]})
