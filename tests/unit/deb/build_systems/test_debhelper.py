"""debhelper's build systems: the steps, the root's packages and the relations of each."""

from pathlib import Path

import pytest

from builders.deb import PlannedJob, debian_files, plan_job
from builders.model.arch import AMD64, ARM64
from builders.model.recipe import BuildSpec, Recipe, StrategyName, load_recipe
from builders.model.settings import Settings
from builders.model.source_tree import SourceTree
from builders.model.target import parse_target
from tests.support.checkout import HELLO, SYSTEMS

TARGET = parse_target("trixie/arm64")


def hello(**build: object) -> Recipe:
    recipe = load_recipe(SYSTEMS / "hello")
    return recipe.model_copy(update={"build": BuildSpec.model_validate(build)})


def files(**build: object) -> dict[str, str]:
    return debian_files(hello(**build), TARGET, Settings())


def planned(recipe: Recipe, strategy: StrategyName = "cross", suite: str = "trixie") -> PlannedJob:
    target = parse_target(f"{suite}/arm64")
    debian = debian_files(recipe, target, Settings())
    return plan_job(recipe, target, strategy=strategy, machine=ARM64 if strategy == "native" else AMD64, debian=debian)


def steps(**build: object) -> dict[str, str]:
    return {path[5:-3]: text for path, text in files(**build).items() if path.startswith("reef/")}


def test_each_step_is_debhelpers() -> None:
    made = steps(cmake={"options": ["-DNAME=two words", "-DVERSION={{ upstream_version }}"], "folder": "native"})
    where = "--sourcedirectory=native"
    check, configure = made["configure"].splitlines()
    assert configure == f"dh_auto_configure --buildsystem=cmake {where} -- '-DNAME=two words' '-DVERSION=2.10'"
    assert made["compile"] == f"{check}\ndh_auto_build --buildsystem=cmake {where}\n"
    assert made["test"] == f"dh_auto_test --buildsystem=cmake {where}\n"
    assert made["install"].startswith(f'dh_auto_install --buildsystem=cmake --destdir="$DESTDIR" {where}\n')


@pytest.mark.parametrize("step", ["configure", "compile", "test", "install"])
def test_a_step_can_be_replaced_alone(step: str) -> None:
    whole = steps(system="meson")
    made = steps(system="meson", **{step: "mine\n"})
    assert made.pop(step) == "mine\n"
    del whole[step]
    assert made == whole


def test_an_empty_step_does_nothing() -> None:
    assert steps(system="cmake", configure="")["configure"] == ""


def test_a_variant_adds_its_flags() -> None:
    variants = {"cortex-a53": ["-DNEON=ON"], "plain": ["-DNEON=OFF"]}
    recipe = hello(cmake={"options": ["-DX=1"], "variants": variants})
    made = debian_files(recipe.as_variant("plain"), TARGET, Settings())["reef/configure.sh"]
    assert made.endswith(" -- -DX=1 -DNEON=OFF\n")


def test_make_installs_below_usr() -> None:
    made = steps(make={"options": ["PREFIX=/opt", "V=1"], "targets": ["tool"]})
    variables = "PREFIX=/usr prefix=/usr PREFIX=/opt V=1"  # make takes the last value
    assert made["configure"] == ""
    assert made["compile"] == f"dh_auto_build --buildsystem=makefile -- {variables} tool\n"
    assert made["test"] == f"dh_auto_test --buildsystem=makefile -- {variables}\n"
    assert f" -- {variables}\n" in made["install"]


def test_a_detected_system_is_asked_for_in_each_step() -> None:
    made = steps()
    assert ". debian/reef/detect.sh\n" in made["configure"]
    assert made["compile"] == '. debian/reef/detect.sh\ndh_auto_build --buildsystem="$system" $variables\n'
    assert "PREFIX=/usr prefix=/usr" in made["detect"]
    packages = planned(hello()).root.packages
    assert {"cmake", "meson", "pkgconf", "pkgconf:arm64", "texinfo"} <= set(packages)


@pytest.mark.parametrize(
    ("build", "named"),
    [
        ({"system": "cmake"}, {"cmake", "pkgconf", "pkgconf:arm64"}),
        ({"system": "meson"}, {"meson", "pkgconf", "pkgconf:arm64"}),
        ({"system": "make"}, {"pkgconf", "pkgconf:arm64"}),
        ({"system": "autotools"}, {"autoconf-archive", "bison", "flex", "texinfo", "pkgconf", "pkgconf:arm64"}),
    ],
)
def test_the_root_has_the_tools_of_the_build_system_alone(build: dict[str, object], named: set[str]) -> None:
    packages = set(planned(hello(**build)).root.packages) - set(planned(hello(configure="true")).root.packages)
    assert packages == named
    source = files(**build)["control"].split("\n\n")[0]
    assert all(name in source for name in named - {"pkgconf:arm64"})


def test_bullseyes_pkg_config_serves_all_cpus() -> None:
    packages = planned(hello(system="make"), suite="bullseye").root.packages
    assert "pkg-config" in packages
    assert not any(name.startswith("pkgconf") for name in packages)


def test_only_autotools_run_autoreconf() -> None:
    assert "\tdh $@\n" in files(system="autotools")["rules"]
    assert "\tdh $@\n" in files()["rules"]
    assert "\tdh $@ --without=autoreconf\n" in files(system="cmake")["rules"]
    assert "reef/autoreconf.sh" not in files(system="autotools")
    found = files(autotools={"folder": "a b $(shell x)/{{ upstream_version }}"})
    assert "\tsh -eu debian/reef/autoreconf.sh\n" in found["rules"]
    assert "shell" not in found["rules"].split("\n%:\n")[1]
    assert found["reef/autoreconf.sh"].endswith("\ndh_autoreconf --sourcedirectory='a b $(shell x)/2.10'\n")


@pytest.mark.parametrize(("system", "step"), [("cmake", "configure"), ("make", "compile"), ("autotools", "autoreconf")])
def test_a_folder_that_the_tree_lacks_is_named_before_the_build(system: str, step: str) -> None:
    check, command = steps(**{system: {"folder": "no $where"}})[step].splitlines()
    assert check.startswith("[ -d 'no $where' ] || ")
    assert f"reef: error: {system}: the tree has no folder no $where (key folder:)" in check
    assert command.startswith("dh_auto")


def python(architecture: str) -> Recipe:
    recipe = hello(system="python")
    package = recipe.packages[0].model_copy(update={"architecture": architecture})
    return recipe.model_copy(update={"packages": [package]})


def test_python_modules_for_all_cpus() -> None:
    recipe = python("all")
    control = debian_files(recipe, TARGET, Settings())["control"]
    assert "dh-sequence-python3" in control
    assert "Depends: ${python3:Depends},\n" in control
    packages = planned(recipe).root.packages
    assert {"python3-all", "pybuild-plugin-pyproject", "python3-hatchling", "flit"} <= set(packages)
    assert not any("python3-all-dev" in name for name in packages)


def test_python_modules_for_all_cpus_are_not_cross_built() -> None:
    # Else pybuild names the target's _sysconfigdata, which only libpython3-dev for the target has.
    made = debian_files(python("all"), TARGET, Settings())
    for step in ("configure", "compile", "test", "install"):
        assert made[f"reef/{step}.sh"].startswith('eval "$(dpkg-architecture --force --host-arch "$DEB_BUILD_ARCH" ')


def test_python_modules_in_c_are_compiled_for_the_target() -> None:
    recipe = python("any")
    assert "dpkg-architecture" not in debian_files(recipe, TARGET, Settings())["reef/compile.sh"]
    control = debian_files(recipe, TARGET, Settings())["control"]
    assert "python3-all-dev:any" in control
    assert "Depends: ${shlibs:Depends},\n         ${python3:Depends},\n" in control
    packages = planned(recipe).root.packages
    assert {"python3-all-dev", "libpython3-all-dev:arm64"} <= set(packages)
    assert "libpython3-all-dev" in planned(recipe, "native").root.packages


def test_bullseyes_pybuild_has_no_build_backends() -> None:
    packages = planned(python("all"), suite="bullseye").root.packages
    assert "python3-setuptools" in packages
    assert "pybuild-plugin-pyproject" not in packages


@pytest.mark.parametrize(
    ("build", "strategy", "tested"),
    [
        ({"system": "cmake"}, "native", True),
        ({"system": "cmake"}, "emulate", True),
        ({"system": "cmake"}, "cross", False),
        ({}, "native", True),
        ({"system": "cmake", "skip_tests": "they need a network"}, "native", False),
        ({"compile": "cc x.c"}, "native", False),
        ({"compile": "cc x.c", "test": "./x"}, "native", True),
    ],
)
def test_upstreams_tests_run_where_the_cpu_does(
    build: dict[str, object], strategy: StrategyName, tested: bool, tmp_path: Path
) -> None:
    job = planned(hello(**build), strategy).with_inputs(
        tree=SourceTree("t", tmp_path, "", ()), rendered=tmp_path, settings=Settings(), jobs=2
    )
    assert ("nocheck" not in job.environment["DEB_BUILD_OPTIONS"]) == tested
    assert ("nocheck" not in job.script) == tested


def test_the_reason_for_skipped_tests_is_kept() -> None:
    made = files(system="cmake", skip_tests="they need a network")
    assert "# Upstream's tests do not run: they need a network\n" in made["rules"]
    assert "reef/test.sh" not in made


def test_a_single_package_without_files_gets_everything() -> None:
    assert "DESTDIR=$(CURDIR)/debian/hello sh" in files()["rules"]
    miniature = debian_files(load_recipe(HELLO), TARGET, Settings())
    assert "DESTDIR=$(CURDIR)/debian/tmp sh" in miniature["rules"]


def test_files_that_no_package_takes_are_named_or_removed() -> None:
    patterns = ["usr/lib/*/*.la", "usr/share/my data", "usr/share/{{ version }}"]
    alone = hello().model_copy(update={"not_installed": patterns})
    made = debian_files(alone, TARGET, Settings())
    assert "not-installed" not in made
    removal = '(cd "$DESTDIR" && rm -rf -- usr/lib/*/*.la usr/share/my\\ data usr/share/2.10-10~deb13)\n'
    assert made["reef/install.sh"].endswith(removal)
    several = load_recipe(HELLO).model_copy(update={"not_installed": patterns})
    made = debian_files(several, TARGET, Settings())
    assert made["not-installed"] == "usr/lib/*/*.la\nusr/share/my${Space}data\nusr/share/1.2-2~deb13\n"
    assert "rm -rf" not in made["reef/install.sh"]


def test_libtools_archives_name_no_libraries() -> None:
    assert (
        """-name '*.la' -exec sed -i "/^dependency_libs=/s/'.*'/''/" {} +\n""" in steps(system="autotools")["install"]
    )
