"""debhelper's build systems: the keys below ``build.autotools``, ``build.cmake`` and so on."""

from builders.model.recipe.build_system import BuildSystemModel
from builders.model.yaml_file import Line, RelativePath


class DebhelperSpec(BuildSystemModel):
    """A build system that debhelper configures, builds, tests and installs, also for another CPU."""

    folder: RelativePath = "."
    """Folder of the tree that is built: the folder with CMakeLists.txt, configure and so on."""
    options: list[Line] = []
    """Options after debhelper's own, each as it is written; texts such as ``{{ version }}`` are expanded."""


class DetectedSpec(DebhelperSpec):
    """The build system that debhelper detects in the tree; no key names it."""

    key = "detected"


class AutotoolsSpec(DebhelperSpec):
    """GNU Autotools. ``options`` are those of ``configure``; the variants' flags follow them."""

    key = "autotools"


class CMakeSpec(DebhelperSpec):
    """CMake. ``options`` are those of ``cmake``, as in ``-DBUILD_SHARED_LIBS=ON``; the variants' flags follow them."""

    key = "cmake"


class MesonSpec(DebhelperSpec):
    """Meson. ``options`` are those of ``meson setup``, as in ``-Dtests=false``; the variants' flags follow them."""

    key = "meson"


class MakeSpec(DebhelperSpec):
    """A tree with a Makefile of its own. ``options`` are those of ``make``, as in ``WITH_SSL=1``.

    Without other values in ``options``, ``PREFIX`` and ``prefix`` are ``/usr``. ``install`` is the Makefile's target of
    that name.
    """

    key = "make"

    targets: list[Line] = []
    """Targets that are built. The default is the first target of the Makefile."""


class PythonSpec(DebhelperSpec):
    """Python modules, built by pybuild for Debian's Python 3. ``options`` are those of pybuild(1).

    The packages' ``Depends`` get ``${python3:Depends}``. If a package is for one CPU, modules in C are compiled.
    """

    key = "python"
