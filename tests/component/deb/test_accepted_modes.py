"""The script of debian/rules that keeps accepted modes, which dh_fixperms corrects."""

import subprocess
from pathlib import Path

from builders.deb import debian_files
from builders.model.settings import Settings
from tests.support.debs import AMD64_BOOKWORM, recipe_accepting

MODES = {
    "usr/bin/My 'tool'": 0o4755,
    "usr/bin/other": 0o4755,
    "var/lib/sample/shared": 0o666,
    "var/lib/sample/x": 0o666,
}
KEPT = ("usr/bin/My 'tool'", "var/lib/sample/shared")


def accepting(match: str) -> dict[str, object]:
    return {"check": "file-policy", "match": match, "reason": "a test"}


def test_accepted_modes_stay(tmp_path: Path) -> None:
    recipe = recipe_accepting(accepting("My 'tool': setuid"), accepting("shared: writable by everyone (mode 0666)"))
    files = debian_files(recipe, AMD64_BOOKWORM, Settings())
    script = files["reef/accepted_modes.sh"]
    assert "override_dh_usrlocal" not in files["rules"]
    for path, mode in MODES.items():
        file = tmp_path / "debian/sample" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        file.chmod(mode)
    (tmp_path / "debian/sample/usr/bin/link").symlink_to("other")
    subprocess.run(["sh", "-eu", "-s", "note"], input=script, cwd=tmp_path, text=True, check=True)
    for path in MODES:
        (tmp_path / "debian/sample" / path).chmod(0o755)
    subprocess.run(["sh", "-eu", "-s", "restore"], input=script, cwd=tmp_path, text=True, check=True)
    found = {path: (tmp_path / "debian/sample" / path).stat().st_mode & 0o7777 for path in MODES}
    assert found == {path: mode if path in KEPT else 0o755 for path, mode in MODES.items()}
    subprocess.run(["shellcheck", "--shell=sh", "-"], input="set -eu\n" + script, text=True, check=True)


def test_other_acceptances_change_no_build() -> None:
    assert debian_files(recipe_accepting(), AMD64_BOOKWORM, Settings()) == debian_files(
        recipe_accepting(accepting("/opt/vendor")), AMD64_BOOKWORM, Settings()
    )


def test_a_file_in_usr_local_is_kept() -> None:
    rules = debian_files(recipe_accepting(accepting("/usr/local/share")), AMD64_BOOKWORM, Settings())["rules"]
    assert "\noverride_dh_usrlocal:\n" in rules
