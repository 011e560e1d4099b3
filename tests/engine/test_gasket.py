"""A rehearsal of recipes/gasket-dkms: its own edits and packaging on a miniature driver, compiled by DKMS against the
headers of Debian's kernel. Upstream's own driver is no part of it.
"""

import shutil

import pytest
import yaml

from builders.arch import AMD64
from builders.debfile import control_of
from builders.engines.chroot.engine import ChrootEngine
from builders.log import Log
from builders.products import BuildJob, Input, Root
from builders.settings import load_settings
from builders.workspace import Workspace
from tests.engine.conftest import CHECKOUT, Place

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
modinfo -F import_ns "$(find /var/lib/dkms/gasket -path "*/$version/*" -name 'gasket.ko*')" >/build/out/namespaces
echo "$version" >/build/out/kernel
getent group apex >/build/out/group
dpkg --purge gasket-dkms
find /usr/src /var/lib/dkms -name 'gasket*' >/build/out/left
"""


@pytest.fixture
def rehearsal(place: Place) -> Place:
    recipe = place.folder / "recipes" / "gasket-dkms"
    shutil.copytree(RECIPE, recipe)
    shutil.copytree(MINIATURE, place.folder / "miniature")
    document = yaml.safe_load((recipe / "recipe.yml").read_text())
    document["sources"] = [{"name": "gasket-driver", "local": {"path": "../../miniature"}}]
    (recipe / "recipe.yml").write_text(yaml.safe_dump(document))
    return place


def test_the_package_is_built_and_dkms_compiles_it_for_debians_kernel(rehearsal: Place) -> None:
    rehearsal.run("build-arm", "--recipe", "gasket-dkms")
    debs = rehearsal.artifacts / "builds" / "gasket-dkms" / "trixie-arm64"
    [deb] = debs.glob("gasket-dkms_*_all.deb")
    assert "dkms" in control_of(deb)["Depends"]

    packages = ("adduser", "dkms", "linux-headers-amd64")
    job = BuildJob(
        name="gasket/compile",
        root=Root("trixie", AMD64, AMD64, packages),
        script=COMPILE,
        inputs=(Input(debs, "/debs"),),
        output="/build/out",
    )
    engine = ChrootEngine(Workspace(rehearsal.artifacts), load_settings(rehearsal.folder), AMD64)
    output = engine.run(job, rehearsal.folder / "compiled", Log()).output
    kernel = (output / "kernel").read_text().strip()
    vermagic = (output / "modules").read_text().splitlines()
    assert [line.split()[0] for line in vermagic] == [kernel, kernel]
    assert (output / "namespaces").read_text().strip() == "DMA_BUF"
    assert (output / "group").read_text().startswith("apex:")
    assert (output / "left").read_text() == ""
