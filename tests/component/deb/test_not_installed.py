"""The end of the step install, which removes the files that the only package does not take, run by sh."""

import subprocess
from pathlib import Path

import pytest

from builders.deb import debian_files
from builders.model.settings import Settings
from tests.support.debs import AMD64_BOOKWORM, recipe_of

FILES = {"usr/bin/a", "usr/bin/b", "usr/bin/c d", "usr/bin/$x", "usr/lib/x.la", "usr/lib/x.so"}


@pytest.mark.parametrize(
    ("pattern", "removed"),
    [
        ("usr/bin/[!a]*", {"usr/bin/b", "usr/bin/c d", "usr/bin/$x"}),
        ("usr/bin/[^a]*", {"usr/bin/b", "usr/bin/c d", "usr/bin/$x"}),
        ("usr/{bin/{a,b},lib/*.la}", {"usr/bin/a", "usr/bin/b", "usr/lib/x.la"}),
        ("usr/bin/[$ac] d", {"usr/bin/c d"}),
        ("usr/bin/$x", {"usr/bin/$x"}),
        ("usr/bin/?{,x}", {"usr/bin/a", "usr/bin/b", "usr/bin/$x"}),
    ],
)
def test_only_the_files_of_the_patterns_go(tmp_path: Path, pattern: str, removed: set[str]) -> None:
    recipe = recipe_of("sample", build={"install": "true"}, not_installed=[pattern])
    step = debian_files(recipe, AMD64_BOOKWORM, Settings())["reef/install.sh"]
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["sh", "-euc", step], env={"DESTDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == FILES - removed
