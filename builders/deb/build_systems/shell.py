"""The build system of recipes that name none: shell steps under debhelper, whose compilers share work by ccache."""

from dataclasses import dataclass
from typing import ClassVar

from builders.model.arch import Architecture
from builders.model.jobs import CCACHE, CacheMount, Storage
from builders.model.recipe import Recipe, StrategyName
from builders.model.settings import Settings, ccache_storage
from builders.model.target import Suite, Target


@dataclass(frozen=True)
class ShellSteps:
    """The additions of a build system to Debian's packaging; other kinds derive from it."""

    recipe: Recipe

    caches: ClassVar[tuple[CacheMount, ...]] = (CCACHE,)
    """Folders of finished work, kept between jobs by what went into them."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Debian packages that must be in the root, for the build machine."""
    compiles: ClassVar[bool] = True
    """Whether packages are built from a ``debian/`` folder; if not, the job only copies .debs."""
    executables: ClassVar[tuple[str, ...]] = ()
    """Paths of those `files` that are programs."""

    def fetch(self) -> tuple[str, ...]:
        """Return the shell steps that need the network; they run in the source tree, before everything else."""
        return (self.recipe.build.fetch,) if self.recipe.build.fetch else ()

    def configure(self) -> str:
        """Return the shell step that configures the build."""
        return self.recipe.build.configure or ""

    def compile(self) -> str:
        """Return the shell step that compiles, without a network."""
        return self.recipe.build.compile or ""

    def test(self) -> str:
        """Return the shell step that runs upstream's tests, empty if there is none."""
        return self.recipe.build.test or ""

    def install(self) -> str:
        """Return the shell step that installs below ``DESTDIR``."""
        return self.recipe.build.install or ""

    def tools(self, suite: Suite) -> tuple[str, ...]:  # noqa: ARG002 - other kinds need it
        """Return the Debian packages that must be in a root of ``suite``, for the build machine."""
        return self.packages

    def libraries(self, suite: Suite) -> tuple[str, ...]:  # noqa: ARG002
        """Return the Debian packages that must be in a root of ``suite``, for the target's CPU."""
        return ()

    def build_depends(self, suite: Suite) -> tuple[str, ...]:  # noqa: ARG002
        """Return the relations that the source package's Build-Depends get."""
        return ()

    @property
    def depends(self) -> tuple[str, ...]:
        """The relations that the Depends of each package get."""
        return ()

    @property
    def dh_options(self) -> str:
        """The options of dh(1) in debian/rules."""
        return ""

    @property
    def autoreconf(self) -> str:
        """The shell step that makes ``configure``, empty where debhelper's own is right."""
        return ""

    def files(self, target: Target) -> dict[str, str]:  # noqa: ARG002 - other kinds need it
        """Return the build system's own files: path inside ``debian/`` -> text."""
        return {}

    def environment(
        self,
        settings: Settings,
        strategy: StrategyName,  # noqa: ARG002 - other kinds need these
        machine: Architecture,  # noqa: ARG002
        jobs: int,  # noqa: ARG002
    ) -> dict[str, str]:
        """Return variables of the job, none of which changes a byte of the result.

        ``machine`` is the CPU that compilers run on, ``jobs`` how many of them the user or the cores allow at once.
        """
        return {
            "CCACHE_DIR": CCACHE.destination,
            "CCACHE_MAXSIZE": settings.ccache_size,
            # A root that is made again has equal compilers with other file times.
            "CCACHE_COMPILERCHECK": "content",
            # Included files come from the compiler's own dependency file, which saves preprocessing at a miss.
            "CCACHE_DEPEND": "true",
            "CCACHE_STATSLOG": "/build/ccache-stats.log",
        }

    def storage(self, settings: Settings) -> Storage | None:
        """Return the server that shares finished work between machines, if one is set; raises InputError."""
        return ccache_storage(settings.ccache_storage)
