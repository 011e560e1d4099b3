"""How a recipe's tree is compiled: its build system, and steps in shell."""

from typing import Annotated, Literal

import pydantic

from builders.model.recipe.acceptance import Reason
from builders.model.recipe.bazel import BazelSpec
from builders.model.recipe.build_system import BuildSystemModel
from builders.model.recipe.debhelper import AutotoolsSpec, CMakeSpec, DetectedSpec, MakeSpec, MesonSpec, PythonSpec
from builders.model.recipe.portable import RepackSpec, RuntimeSpec
from builders.model.recipe.prebuilt import PrebuiltSpec
from builders.model.yaml_file import Model

SystemName = Literal["autotools", "cmake", "meson", "python", "make", "bazel"]


InstalledPackage = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?$")]
"""A Debian package's name (Policy 5.6.1), and the CPU if it is another one."""


class BuildSpec(Model):
    """How the tree is compiled: by a build system, by POSIX shell in the source tree, or by both.

    debian/rules runs ``configure``, ``compile``, ``test`` and ``install``; ``fetch`` runs before it. Each is a script
    for ``sh -eu``. They see Debian's ``DEB_*`` variables (dpkg-architecture), the flags of dpkg-buildflags (``CFLAGS``,
    ...), ``DESTDIR`` (install only), ``JOBS``, and ``RECIPE`` (the folder with the recipe's ``files/``).

    A recipe with neither a build system nor ``configure``, ``compile`` and ``install`` uses the build system that
    debhelper detects. A step of a build system can be replaced.
    """

    tools: list[InstalledPackage] = []
    """Debian packages for the build machine's CPU."""
    libraries: list[InstalledPackage] = []
    """Debian packages for the target's CPU."""
    recipes: dict[str, list[str]] = {}
    """Packages of other recipes that are installed before the build, by the recipe that builds them."""
    root: str | None = None
    """Suite of the build root, if not the target's: an older suite, so that all suites get the same programs. Only a
    ``runtime`` comes from a newer suite."""
    system: SystemName | None = None
    """Build system of the tree. The key of its name has its options, and alone names it too."""
    autotools: AutotoolsSpec | None = None
    """Options of GNU Autotools."""
    cmake: CMakeSpec | None = None
    """Options of CMake."""
    meson: MesonSpec | None = None
    """Options of Meson."""
    python: PythonSpec | None = None
    """Options of a build of Python modules."""
    make: MakeSpec | None = None
    """Options of a tree with a Makefile of its own."""
    bazel: BazelSpec | None = None
    """Bazel's part of the build, after ``configure`` and before ``compile``."""
    runtime: RuntimeSpec | None = None
    """Libraries that are bundled for portable programs, before ``install``."""
    fetch: str | None = None
    """Script that runs before all others in the source tree, the only script with a network."""
    configure: str | None = None
    """Script that configures the build."""
    compile: str | None = None
    """Script that compiles."""
    install: str | None = None
    """Script that installs below ``DESTDIR``."""
    test: str | None = None
    """Script that runs upstream's tests after ``compile``, where the target's CPU runs: not in ``cross`` builds."""
    skip_tests: Reason | None = None
    """Why upstream's tests do not run, on one line. By default, they run where the target's CPU runs."""
    time_limit_s: float | None = None
    """Time limit of each script, in seconds."""

    _made: RepackSpec | PrebuiltSpec | None = pydantic.PrivateAttr(default=None)

    @pydantic.field_validator("autotools", "cmake", "meson", "python", "make", "bazel", "runtime", mode="before")
    @classmethod
    def _key_alone(cls, value: object) -> object:
        # "cmake:" without options is YAML's null.
        return {} if value is None else value

    @pydantic.model_validator(mode="after")
    def _one_system(self) -> "BuildSpec":
        keys = [spec.key for spec in self._specs]
        if self.system and self.system not in keys:
            keys.append(self.system)
        if len(keys) > 1:
            raise ValueError(f"two build systems, {keys[0]} and {keys[1]}; remove one")
        if self.system == "bazel" and self.bazel is None:
            raise ValueError("system: bazel needs the key bazel:, with its version and targets")
        if self.test is not None and self.skip_tests is not None:
            raise ValueError("test and skip_tests exclude each other; remove one")
        return self

    @property
    def _specs(self) -> list[BuildSystemModel]:
        specs = (self.runtime, self.bazel, self.autotools, self.cmake, self.meson, self.python, self.make)
        return [spec for spec in specs if spec is not None]

    @property
    def repack(self) -> RepackSpec | None:
        """The second packaging of native packages, None for every other build."""
        return self._made if isinstance(self._made, RepackSpec) else None

    @property
    def prebuilt(self) -> PrebuiltSpec | None:
        """The .debs that somebody else built, None for every other build."""
        return self._made if isinstance(self._made, PrebuiltSpec) else None

    @property
    def only_strategy(self) -> Literal["repack", "prebuilt"] | None:
        """The strategy of a build that compiles nothing, None for others."""
        return "repack" if self.repack else "prebuilt" if self.prebuilt else None

    @property
    def portable(self) -> bool:
        """Whether the packages bring their own C library: a runtime, or packages that use it."""
        return self.runtime is not None or self.repack is not None

    @property
    def kind(self) -> BuildSystemModel | None:
        """The recipe's build system with its options, None if only its shell scripts compile."""
        if self._made:
            return self._made
        if self._specs:
            return self._specs[0]
        if self.system:
            return NAMED[self.system]()
        steps = (self.configure, self.compile, self.install)
        return None if any(step is not None for step in steps) else DetectedSpec()

    @staticmethod
    def of_repack(repack: RepackSpec, recipes: dict[str, list[str]]) -> "BuildSpec":
        """Return the build of portable packages, in the root of the native suite, beside builds of ``recipes``."""
        made = BuildSpec(root=repack.native, recipes=recipes)
        made._made = repack
        return made

    @staticmethod
    def of_prebuilt(prebuilt: PrebuiltSpec, root: str | None) -> "BuildSpec":
        """Return the build that copies .debs, in the root of the suite ``root`` if that is not the target's."""
        made = BuildSpec(root=root)
        made._made = prebuilt
        return made

    @property
    def variants(self) -> dict[str, list[str]]:
        """The flags of each variant that can be built."""
        return self.kind.variants if self.kind else {}


NAMED: dict[str, type[BuildSystemModel]] = {
    spec.key: spec for spec in (AutotoolsSpec, CMakeSpec, MesonSpec, PythonSpec, MakeSpec)
}
"""The build systems that need no options."""
