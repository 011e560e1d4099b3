"""The texts that clients read: golden files, with dpkg-scanpackages as the judge of entries."""

import re
import subprocess

from tests.support.golden import compare_with_golden
from tests.support.repository import Publisher

RICH = {
    "Source": "reef-source (1.0)",
    "Homepage": "https://example.org",
    "Section": "libs",
    "Priority": "optional",
    "Multi-Arch": "same",
    "Installed-Size": "12",
    "Provides": "reef-demo-tf2.14",
    "Depends": "libc6 (>= 2.36),\n libstdc++6 (>= 12)",
    "X-Reef-Train": "2.14",
    "Task": "demo",
}


def test_packages_text(publisher: Publisher) -> None:
    publisher.publish(
        publisher.deb("libreef1", "1:1.10-1", fields=RICH),
        publisher.deb("libreef1", "1:1.9-1", fields=RICH),
        publisher.deb("reef-data", "3", "all"),
        publisher.deb("reef-tool", "2.0~rc1-1", "armhf"),
    )
    stable = re.sub(r"^(Size|SHA256): .*$", r"\1: -", publisher.index(), flags=re.MULTILINE)
    compare_with_golden("apt/Packages", stable)


def test_entries_are_those_of_dpkg_scanpackages(publisher: Publisher) -> None:
    publisher.publish(
        publisher.deb("libreef1", "1:1.10-1", fields=RICH), publisher.deb("libreef1", "1:1.9-1", fields=RICH)
    )
    judge = subprocess.run(
        ["dpkg-scanpackages", "--multiversion", "--arch", "arm64", "pool"],
        cwd=publisher.repository, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    without = re.sub(r"^(MD5sum|SHA1): .*\n", "", judge, flags=re.MULTILINE)
    # The long description stands in Translation-en, its digest here.
    without = re.sub(r"^(Description: .*)\n( .*\n)+", r"\1\n", without, flags=re.MULTILINE)
    ours = re.sub(r"^Description-md5: .*\n", "", publisher.index(), flags=re.MULTILINE)
    assert sorted(ours.strip().split("\n\n")) == sorted(without.strip().split("\n\n"))
