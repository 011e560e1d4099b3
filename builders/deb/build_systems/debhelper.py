"""debhelper's build systems in a build job: each step is a dh_auto_* program, unless the recipe replaces it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from builders.deb.build_systems.shell import ShellSteps
from builders.deb.templates import render
from builders.model.recipe import (
    AutotoolsSpec,
    BuildSystemModel,
    CMakeSpec,
    DebhelperSpec,
    DetectedSpec,
    MakeSpec,
    MesonSpec,
    PythonSpec,
    Recipe,
)
from builders.model.target import Suite, Target

DETECT = "reef/detect.sh"
DETECTED = "debian/reef/system"
"""The file with the name of the detected build system."""
PREFIX = ("PREFIX=/usr", "prefix=/usr")
"""A Makefile's usual names for the folder that it installs into; its own default is mostly /usr/local."""
HOST_IS_BUILD = 'eval "$(dpkg-architecture --force --host-arch "$DEB_BUILD_ARCH" --print-set)"\n'
"""Makes the build machine's CPU the target of a step, as where Debian builds packages for all CPUs."""
FIRST_STEPS = ("configure", "build")
"""The steps that name a missing folder. ``make`` has no configure, and a recipe may replace it."""
OWN = ("conffiles", "links", "manpages", "systemd", "udev")
"""Keys by which a package for all CPUs has content without a build."""
METAPACKAGES = "metapackages"
"""Debian's section of packages that only have relations."""


@dataclass(frozen=True)
class DebhelperBuild(ShellSteps):
    """Configures, builds, tests and installs by debhelper, which knows how each build system compiles for another CPU.

    ``system`` is debhelper's name of the build system.
    """

    spec: DebhelperSpec

    system: ClassVar[str] = ""
    programs: ClassVar[tuple[str, ...]] = ()
    """Debian packages of the programs that the build system uses."""

    def tools(self, suite: Suite) -> tuple[str, ...]:
        return (*self.programs, _pkg_config(suite))

    def libraries(self, suite: Suite) -> tuple[str, ...]:
        # Its program for another CPU, such as aarch64-linux-gnu-pkg-config; the older pkg-config makes one itself.
        return ("pkgconf",) if _pkg_config(suite) == "pkgconf" else ()

    def build_depends(self, suite: Suite) -> tuple[str, ...]:
        return self.tools(suite)

    def configure(self) -> str:
        return self._step(self.recipe.build.configure, "configure", self._options())

    def compile(self) -> str:
        return self._step(self.recipe.build.compile, "build", self._build_options())

    def test(self) -> str:
        if self.recipe.build.skip_tests is not None:
            return ""
        return self._step(self.recipe.build.test, "test", self._test_options())

    def install(self) -> str:
        if self.recipe.build.install is not None:
            return super().install()
        return self._step(None, "install", self._install_options(), '--destdir="$DESTDIR"') + render("installed.sh.j2")

    @property
    def dh_options(self) -> str:
        return "" if self.system == "autoconf" else " --without=autoreconf"

    @property
    def autoreconf(self) -> str:
        if self.system != "autoconf" or self.spec.folder == ".":
            return ""
        return self._folder_check + f"dh_autoreconf --sourcedirectory={shlex.quote(self.spec.folder)}\n"

    def _step(self, own: str | None, name: str, options: Sequence[str], *words: str) -> str:
        if own is not None:
            return own
        command = [f"dh_auto_{name}", f"--buildsystem={self._name()}", *words]
        if self.spec.folder != ".":
            command.append(f"--sourcedirectory={shlex.quote(self.spec.folder)}")
        if options:
            command += ["--", *map(shlex.quote, options)]
        check = self._folder_check if name in FIRST_STEPS else ""
        return f"{check}{' '.join(command)}\n"

    @property
    def _folder_check(self) -> str:
        if self.spec.folder == ".":
            return ""
        folder = shlex.quote(self.spec.folder)
        text = shlex.quote(f"reef: error: {self.spec.key}: the tree has no folder {self.spec.folder} (key folder:)")
        return f"[ -d {folder} ] || {{ echo {text} >&2; exit 1; }}\n"

    def _name(self) -> str:
        return self.system

    def _options(self) -> tuple[str, ...]:
        return (*self.spec.options, *self.spec.variants.get(self.recipe.variant, ()))

    def _build_options(self) -> tuple[str, ...]:
        return ()

    def _test_options(self) -> tuple[str, ...]:
        return ()

    def _install_options(self) -> tuple[str, ...]:
        return ()


class AutotoolsBuild(DebhelperBuild):
    """Autoconf, Automake, Libtool and gettext come with debhelper; trees from git need the others."""

    system = "autoconf"
    programs = ("autoconf-archive", "bison", "flex", "texinfo")


class CMakeBuild(DebhelperBuild):
    system = "cmake"
    programs = ("cmake",)


class MesonBuild(DebhelperBuild):
    system = "meson"
    programs = ("meson",)


class MakeBuild(DebhelperBuild):
    """Gives make the same variables in each step; nothing is configured."""

    system = "makefile"

    def configure(self) -> str:
        return self.recipe.build.configure or ""

    def _build_options(self) -> tuple[str, ...]:
        spec = self.spec
        return (*self._variables(), *(spec.targets if isinstance(spec, MakeSpec) else ()))

    def _test_options(self) -> tuple[str, ...]:
        return self._variables()

    def _install_options(self) -> tuple[str, ...]:
        return self._variables()

    def _variables(self) -> tuple[str, ...]:
        return (*PREFIX, *self._options())


class DetectedBuild(DebhelperBuild):
    """Asks debhelper for the build system once the tree is complete; the root has the tools of all that it may be."""

    programs = (*AutotoolsBuild.programs, *CMakeBuild.programs, *MesonBuild.programs)

    def files(self, target: Target) -> dict[str, str]:  # noqa: ARG002 - other kinds need it
        expected = _expects_files(self.recipe)
        text = render("detect.sh.j2", file=DETECTED, prefix=" ".join(PREFIX), expected=expected)
        return {DETECT: text, "clean": f"{DETECTED}\n"}

    @property
    def dh_options(self) -> str:
        return ""

    def _step(self, own: str | None, name: str, options: Sequence[str], *words: str) -> str:
        if own is not None:
            return own
        return f". debian/{DETECT}\n" + super()._step(None, name, options, *words).replace("\n", " $variables\n")

    def _name(self) -> str:
        return '"$system"'


class PythonBuild(DebhelperBuild):
    """Builds Python modules by pybuild; dh_python3 finds their dependencies."""

    system = "pybuild"

    def tools(self, suite: Suite) -> tuple[str, ...]:
        interpreters = ("python3-all-dev",) if self._compiles else ("python3-all",)
        return (*interpreters, "dh-python", *_backends(suite))

    def libraries(self, suite: Suite) -> tuple[str, ...]:  # noqa: ARG002 - other kinds need it
        return ("libpython3-all-dev",) if self._compiles else ()

    def build_depends(self, suite: Suite) -> tuple[str, ...]:
        # Whoever builds the source package for another CPU runs this Python and compiles for that CPU's.
        native = ("python3-all-dev:any", "libpython3-all-dev") if self._compiles else ("python3-all:any",)
        return ("dh-sequence-python3", *native, *_backends(suite))

    @property
    def depends(self) -> tuple[str, ...]:
        return ("${python3:Depends}",)

    def _step(self, own: str | None, name: str, options: Sequence[str], *words: str) -> str:
        step = super()._step(own, name, options, *words)
        # For another CPU, pybuild names that CPU's _sysconfigdata, which only its libpython3-dev has.
        return step if own is not None or self._compiles else HOST_IS_BUILD + step

    @property
    def _compiles(self) -> bool:
        return any(package.architecture == "any" for package in self.recipe.packages)

    def _build_options(self) -> tuple[str, ...]:
        return self._options()

    def _test_options(self) -> tuple[str, ...]:
        return self._options()

    def _install_options(self) -> tuple[str, ...]:
        return self._options()


DEBHELPER: dict[type[BuildSystemModel], type[DebhelperBuild]] = {
    AutotoolsSpec: AutotoolsBuild,
    CMakeSpec: CMakeBuild,
    MesonSpec: MesonBuild,
    MakeSpec: MakeBuild,
    PythonSpec: PythonBuild,
    DetectedSpec: DetectedBuild,
}


def _expects_files(recipe: Recipe) -> bool:
    """Return whether the build must install files: none for metapackages, and for files of the recipe's folder.

    A package for one CPU would be without its programs, and nothing would notice.
    """
    if any(package.files or package.dkms for package in recipe.packages):
        return True
    only = recipe.packages[0]
    content = only.architecture == "all" and any(getattr(only, key) for key in OWN)
    return len(recipe.packages) == 1 and only.section != METAPACKAGES and not content


def _pkg_config(suite: Suite) -> str:
    # Bullseye's pkgconf has no program for another CPU.
    return "pkgconf" if suite.release > 11 else "pkg-config"


def _backends(suite: Suite) -> tuple[str, ...]:
    """Return the packages by which pybuild reads pyproject.toml: of each build backend that is common in Debian."""
    if suite.release <= 11:
        return ("python3-setuptools",)
    names = ("flit", "python3-hatchling", "python3-hatch-vcs", "python3-poetry-core", "python3-setuptools")
    return ("pybuild-plugin-pyproject", *names, "python3-setuptools-scm", "python3-wheel")
