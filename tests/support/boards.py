"""Boards for tests about relations: real apt in a folder of its own, over small .debs with real rendered controls."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from builders.deb import debian_files, write_debian
from builders.model.recipe import Recipe
from builders.model.settings import Settings
from builders.model.target import Target


def packages_of(recipe: Recipe, target: Target, folder: Path) -> Path:
    """Build the recipe's packages without content, their control made by dpkg-gencontrol, and return their folder."""
    source = folder / f"{recipe.name}-{target.slug}"
    write_debian(debian_files(recipe, target, Settings()), source)
    for package in recipe.packages:
        made = source / "made" / package.name
        (made / "DEBIAN").mkdir(parents=True)
        empty = [f"-V{name}=" for name in ("shlibs:Depends", "misc:Depends", "misc:Pre-Depends")]
        subprocess.run(
            ["dpkg-gencontrol", f"-p{package.name}", f"-P{made}", "-ffiles", *empty],
            cwd=source, check=True, capture_output=True,
            env={**os.environ, "DEB_HOST_ARCH": target.architecture.debian},
        )  # fmt: skip
        _packed(made, folder)
    return folder


def package(folder: Path, name: str, version: str, architecture: str, **fields: str) -> Path:
    """Build one package from its fields (``Provides`` and others) and return its folder."""
    made = folder / f"tree-{name}-{architecture}"
    (made / "DEBIAN").mkdir(parents=True)
    control = {"Package": name, "Version": version, "Architecture": architecture, "Maintainer": "A <a@example.org>"}
    text = "".join(f"{key}: {value}\n" for key, value in {**control, **fields, "Description": name}.items())
    (made / "DEBIAN" / "control").write_text(text)
    _packed(made, folder)
    return folder


def _packed(made: Path, folder: Path) -> None:
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(made), str(folder)], check=True, capture_output=True)


class Board:
    """apt of a board with ``architectures`` (its own first) that knows the package folders ``repositories``."""

    def __init__(self, folder: Path, repositories: Sequence[Path], *architectures: str, pin: str = "") -> None:
        for name in ("etc/sources.list.d", "etc/preferences.d", "etc/apt.conf.d", "state/lists/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "cache/archives/partial").mkdir(parents=True)
        (folder / "status").touch()
        lines = []
        for number, repository in enumerate(repositories):
            place = folder / f"repository{number}"
            place.symlink_to(repository)
            listing = subprocess.run(
                ["apt-ftparchive", "packages", "."], cwd=repository, check=True, capture_output=True
            )
            (repository / "Packages").write_bytes(listing.stdout)
            lines.append(f"deb [trusted=yes] file:{place} ./\n")
        (folder / "etc/sources.list").write_text("".join(lines))
        (folder / "etc/preferences.d/pin").write_text(pin)
        names = "; ".join(f'"{name}"' for name in architectures)
        (folder / "apt.conf").write_text(
            f'Dir "{folder}";\nDir::Etc "{folder}/etc";\nDir::State "{folder}/state";\nDir::Cache "{folder}/cache";\n'
            f'Dir::State::status "{folder}/status";\nAPT::Architecture "{architectures[0]}";\n'
            f'APT::Architectures {{ {names}; }};\nAPT::Sandbox::User "root";\nAPT::Install-Recommends "false";\n'
        )
        self.folder = folder
        self._apt("update")

    def _apt(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": os.environ["PATH"], "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(["apt-get", *words], env=environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def has(self, name: str, version: str, architecture: str, **fields: str) -> None:
        """Let the board have a package installed already."""
        control = {"Package": name, "Status": "install ok installed", "Version": version, "Architecture": architecture}
        more: Mapping[str, str] = {**control, "Maintainer": "A <a@example.org>", **fields, "Description": name}
        with (self.folder / "status").open("a") as status:
            status.write("".join(f"{key}: {value}\n" for key, value in more.items()) + "\n")

    def plan(self, *words: str) -> dict[str, str]:
        """Return what apt would install: ``name:architecture`` -> version, with ``remove`` where it would remove."""
        said = self._apt("-s", *words).stdout
        found = {}
        for line in re.findall(r"^Inst .*", said, re.MULTILINE):
            match = re.match(r"Inst (\S+) (?:\[\S+\] )?\((\S+) .*?\[(\w+)\]", line)
            assert match, line
            found[f"{match[1].partition(':')[0]}:{match[3]}"] = match[2]
        return found | dict.fromkeys(re.findall(r"^Remv (\S+)", said, re.MULTILINE), "remove")

    def refuses(self, *words: str) -> str:
        """Return what apt says where it cannot do it; it must not be able to."""
        done = self._apt("-s", *words, check=False)
        assert done.returncode == 100, done.stdout
        return done.stdout + done.stderr
