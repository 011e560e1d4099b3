"""Virtual environments of the tests' own, for packages that Reef itself never installs."""

import hashlib
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from builders.host.files import remove_tree
from tests.support.checkout import CHECKOUT


def environment(name: str, requirements: Path, *without_dependencies: str) -> Path:
    """Return the interpreter of an environment with these packages; the first test that asks makes it.

    ``without_dependencies`` are installed after the others, without what they depend on.
    """
    inputs = [requirements.read_bytes(), *(package.encode() for package in without_dependencies), sys.version.encode()]
    place = CHECKOUT / "artifacts" / "tests" / f"{name}-{hashlib.sha256(b' '.join(inputs)).hexdigest()[:12]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not (place / "whole").exists():
            remove_tree(place)
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
            pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
            subprocess.run([*pip, "--requirement", str(requirements)], check=True)
            if without_dependencies:
                subprocess.run([*pip, "--no-deps", *without_dependencies], check=True)
            (place / "whole").touch()
    return place / "bin" / "python"
