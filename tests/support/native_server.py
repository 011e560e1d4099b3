"""The model server compiled natively, in a real trixie root of the chroot engine, with the library it is packaged with.

The programs run on this machine through the loader and the libraries of that root, so that a client of this machine
reaches them on loopback.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from builders import sources
from builders.host.files import remove_tree
from builders.host.log import Log
from builders.model.arch import AMD64
from builders.model.jobs import CCACHE, BuildJob, Input, Root
from builders.model.recipe import Recipe
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT, NOWHERE, RUN, project_like
from tests.support.place import INVOKE

LITE = "tensorflow-lite"
SERVER = "edge-model-server"
COMPILERS = ("g++", "clang", "clang-format", "clang-tidy", "libclang-rt-dev", "ccache")
LIBRARIES = ("libgtest-dev", "libgmock-dev", "openssl")
PREPARE = """
dpkg --install /reef/packages/libtensorflow-lite[0-9-]*.deb >/dev/null
export CCACHE_DIR=/cache/ccache CCACHE_BASEDIR=/build CCACHE_NOHASHDIR=1
export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
# The same folders as in the recipe's tree.
export EMS_TF_TREE=/build/tree/tensorflow-tree EMS_TFS_WHEEL=/build/tree/tensorflow-serving-api
cd /build/server
"""
BUILD = """
cmake --preset "$PRESET" -B /build/native >/dev/null
cmake --build /build/native --parallel "$JOBS" --target ${TARGETS:-all}
"""
PROGRAMS = ("edge_model_server", "edge_model_worker", "edge_model_client", "make_test_models", "predict_cpu")
BUNDLE = r"""
# Several files at once and no debug information: a third of the time to compile.
cmake --preset dev -B /build/native -DCMAKE_UNITY_BUILD=ON -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O2 -DNDEBUG" >/dev/null
cmake --build /build/native --parallel "$JOBS" --target $PROGRAMS fake_edgetpu clock_jump
mkdir -p /build/out/bin /build/out/programs /build/out/lib
for program in $PROGRAMS; do
    path=$(find /build/native -name "$program" -type f -perm -u+x)
    cp "$path" /build/out/programs/
    printf '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")/..\nexec "$here"/lib/ld-linux-x86-64.so.2 %s\n' \
        "--library-path \"\$here/lib\" --argv0 \"\$0\" \"\$here/programs/$program\" \"\$@\"" >"/build/out/bin/$program"
    chmod +x "/build/out/bin/$program"
done
find /build/native '(' -name 'libfake_edgetpu.so.1*' -o -name libclock_jump.so ')' -exec cp -L -t /build/out/lib {} +
for file in /build/out/programs/* /build/out/lib/*.so*; do ldd "$file"; done |
    grep -oE '/[^ ]+' | sort -u | xargs cp -L -t /build/out/lib
"""


def project() -> Project:
    """Return the project in which the tests of a run build the server's packages, with the checkout's builds."""
    folder = RUN / "native-server-project"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            project_like(CHECKOUT, folder)
    return Project.open(folder, Log(quiet=True))


def built(project: Project, target: str, *recipes: str) -> list[Path]:
    """Return the folders with the .debs of recipes for ``target``, which are built where they are not up to date."""
    words = ["build-arm", "--target", target, *(word for name in recipes for word in ("--recipe", name))]
    done = subprocess.run(
        [str(INVOKE), "--search-root", str(CHECKOUT), *words], cwd="/", capture_output=True, text=True, check=False,
        env=_environment(project),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return [project.workspace.build(name, target.replace("/", "-")) for name in recipes]


def _environment(project: Project) -> Mapping[str, str]:
    return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": NOWHERE, "REEF_FOLDER": str(project.folder)}


def _root(project: Project, recipe: Recipe) -> Root:
    """Return the root of all jobs: each root takes half a minute to make."""
    development = next(p for p in project.recipes[LITE].packages if p.name.endswith("-dev"))
    needs = [name.split()[0] for name in development.depends if not name.startswith("libtensorflow-lite")]
    packages = dict.fromkeys([*COMPILERS, *LIBRARIES, *recipe.build.tools, *recipe.build.libraries, *needs,
                              *project.recipes[LITE].build.libraries])  # fmt: skip
    return Root("trixie", AMD64, AMD64, tuple(packages))


def run_job(
    name: str, script: str, output: Path, *, more: Mapping[str, Path] | None = None, **environment: str
) -> Path:  # fmt: skip
    """Run a shell script in ``server/`` of a root with the server's build dependencies; return its output folder.

    ``more`` are folders of this machine, by their paths in the root. The folder of the script's ``/build/out`` is
    ``output``. Raises BuildError with the script's last lines.
    """
    place = project()
    recipe = place.recipes[SERVER]
    tree = sources.fetch(recipe, place, offline=False)
    root = _root(place, recipe)
    [lite] = built(place, "trixie/amd64", LITE)
    inputs = (
        Input(CHECKOUT / "server", "/build/server"),
        Input(tree.path, "/build/tree"),
        Input(CHECKOUT / "recipes" / LITE, f"/build/recipes/{LITE}"),  # its model of digits
        Input(lite, "/reef/packages"),
        *(Input(folder, path) for path, folder in (more or {}).items()),
    )
    environment = {"JOBS": str(place.jobs(place.engines.get("chroot"), root)), **environment}
    job = BuildJob(f"native/{name}", root, PREPARE + script, inputs=inputs, environment=environment, caches=(CCACHE,))
    remove_tree(output)
    return place.run_in_root(job, output).output


def bundle() -> Path:
    """Return the folder with the server's programs in ``bin``; the run's first test that asks compiles them."""
    place = RUN / "native-server"
    RUN.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not place.exists():
            made = run_job("bundle", BUNDLE, RUN / "native-server.new", PROGRAMS=" ".join(PROGRAMS))
            shutil.move(made, place)
    return place
