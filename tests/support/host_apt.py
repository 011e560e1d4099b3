"""A machine whose apt has sources, settings and indices of a test's own; the programs are the real ones."""

import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from builders.host import apt_access, debian_mirror, process

FOLDERS = ("etc/apt.conf.d", "etc/sources.list.d", "etc/auth.conf.d", "etc/preferences.d", "lists/partial", "cache")
RELEASE = "Origin: {origin}\nLabel: {label}\nCodename: bookworm\nComponents: main\nArchitectures: amd64\n"


class HostApt:
    """apt's settings in a folder. Programs that Reef starts see it through APT_CONFIG."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "apt"
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True)
        (self.folder / "status").touch()
        methods = self.folder / "methods"
        shutil.copytree("/usr/lib/apt/methods", methods)
        for name in ("ssh", "tor+https"):
            shutil.copy(methods / "http", methods / name)
        self.config = folder / "apt.conf"
        self.config.write_text(
            f'Dir::Etc "{self.folder}/etc"; Dir::State "{self.folder}"; Dir::State::lists "{self.folder}/lists";\n'
            f'Dir::State::status "{self.folder}/status"; Dir::Cache "{self.folder}/cache"; APT::Sandbox::User "root";\n'
            f'Dir::Bin::methods "{methods}"; Dir::Bin::Methods::ssh "ssh";\n'
            'APT::Architecture "amd64"; APT::Architectures { "amd64"; };\n'
        )
        monkeypatch.setenv("APT_CONFIG", str(self.config))
        monkeypatch.setattr(process, "PASSED_ON", (*process.PASSED_ON, "APT_CONFIG"))

    def __enter__(self) -> Self:
        self._forget()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._forget()

    @staticmethod
    def _forget() -> None:
        for cached in (debian_mirror.host_mirror, debian_mirror._security, debian_mirror._fetched, apt_access.access):
            cached.cache_clear()

    def setting(self, text: str | bytes) -> None:
        """Write a file of apt's settings."""
        data = text.encode() if isinstance(text, str) else text
        (self.folder / "etc" / "apt.conf.d" / "50test").write_bytes(data)

    def source(self, kind: str, text: str) -> None:
        """Write the list of sources in one of apt's two formats."""
        (self.folder / "etc" / "sources.list.d" / f"test.{kind}").write_text(text)

    def has(self, uri: str, *, origin: str = "Debian", label: str = "Debian") -> None:
        """Let apt have the lists of its sources at this URI, as after an update."""
        printed = process.capture(["apt-get", "update", "--print-uris"])
        for found, name in re.findall(r"^'(.*)' (\S+) \d", printed, re.MULTILINE):
            if found.replace("//[", "[").startswith(uri.rstrip("/")):
                text = RELEASE.format(origin=origin, label=label) if name.endswith("InRelease") else ""
                (self.folder / "lists" / name).write_text(text)
