"""A rehearsal of recipes/gasket-dkms: its own edits and packaging on a miniature driver, compiled by DKMS against the
headers of Debian's kernels: that of the suite, and the newest. Upstream's own driver is no part of it.
"""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from builders.engines.chroot.engine import ChrootEngine
from builders.host.log import Log
from builders.model.arch import AMD64
from builders.model.deb_file import control_of
from builders.model.jobs import BuildJob, Input, Root
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT
from tests.support.place import Place

RECIPE = CHECKOUT / "recipes" / "gasket-dkms"
MINIATURE = CHECKOUT / "tests" / "fixtures" / "upstream" / "gasket-driver"
COMPILE = """
version=$(ls -d /usr/src/linux-headers-*-amd64 | sed 's,.*/linux-headers-,,')
dpkg --install /debs/gasket-dkms_*_all.deb
dkms build -m gasket -v "$(dpkg-query -W -f '${Version}' gasket-dkms | sed 's/-.*//')" -k "$version"
for module in gasket apex; do
    found=$(find /var/lib/dkms/gasket -path "*/$version/*" -name "$module.ko*")
    modinfo -F vermagic "$found" >>/build/out/modules
done
module=$(find /var/lib/dkms/gasket -path "*/$version/*" -name 'gasket.ko*')
modinfo -F import_ns "$module" >/build/out/namespaces
xz -dcf "$module" >/tmp/gasket.ko
nm --undefined-only /tmp/gasket.ko >/build/out/symbols
echo "$version" >/build/out/kernel
getent group apex >/build/out/group
dpkg --purge gasket-dkms
find /usr/src /var/lib/dkms -name 'gasket*' >/build/out/left
"""


KERNELS = {"trixie": ((6, 12), "zap_vma_ptes"), "forky": ((7, 1), "zap_special_vma_range")}
"""Suites that kernels come from, at least this one, and a function that it has and others have by another name: what
the recipe's edits choose between. trixie's stays as old as it is; forky's is past the newest change that they know."""


@pytest.fixture(scope="module")
def debs(module_place: Place) -> Path:
    recipe = module_place.folder / "recipes" / "gasket-dkms"
    shutil.copytree(RECIPE, recipe)
    shutil.copytree(MINIATURE, module_place.folder / "miniature")
    document = yaml.safe_load((recipe / "recipe.yml").read_text())
    document["sources"] = [{"name": "gasket-driver", "local": {"path": "../../miniature"}}]
    (recipe / "recipe.yml").write_text(yaml.safe_dump(document))
    module_place.run("build-arm", "--recipe", "gasket-dkms")
    return module_place.artifacts / "builds" / "gasket-dkms" / "trixie-arm64"


def test_the_package_wants_dkms(debs: Path) -> None:
    [deb] = debs.glob("gasket-dkms_*_all.deb")
    assert "dkms" in control_of(deb)["Depends"]
    assert (debs / "lintian.log").read_text() == "lintian-exit=0\n"


@pytest.mark.parametrize("suite", ["trixie", pytest.param("forky", marks=pytest.mark.nightly)])
def test_dkms_compiles_it_for_debians_kernel(debs: Path, module_place: Place, suite: str) -> None:
    job = BuildJob(
        name=f"gasket/{suite}",
        root=Root(suite, AMD64, AMD64, ("adduser", "dkms", "linux-headers-amd64")),
        script=COMPILE,
        inputs=(Input(debs, "/debs"),),
        output="/build/out",
    )
    engine = ChrootEngine(Project.open(module_place.folder, Log(live=False)))
    output = engine.run(job, module_place.folder / f"compiled-{suite}", Log()).output
    kernel = (output / "kernel").read_text().strip()
    oldest, function = KERNELS[suite]
    assert tuple(map(int, re.findall(r"\d+", kernel)[:2])) >= oldest
    vermagic = (output / "modules").read_text().splitlines()
    assert [line.split()[0] for line in vermagic] == [kernel, kernel]
    assert (output / "namespaces").read_text().strip() == "DMA_BUF"
    assert [line.split()[-1] for line in (output / "symbols").read_text().splitlines() if "zap_" in line] == [function]
    assert (output / "group").read_text().startswith("apex:")
    assert (output / "left").read_text() == ""
