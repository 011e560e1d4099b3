"""Real .debs, a repository to publish into, and apt in a folder of its own."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builders.apt.keys.signing import SigningKey
from builders.apt.packages import ar_reader, file_list
from builders.apt.publish.stage import Staged, stage
from builders.apt.publish.switch import make_live
from builders.apt.repository.layout import KEYRING, RepositoryLayout
from builders.apt.verify.verify import Verified, verify
from builders.host.log import Log
from builders.host.workspace import Workspace
from builders.model.arch import ARCHITECTURES
from builders.model.packages import DebFile, Publication
from builders.model.settings import Settings
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT

INVOKE = Path(sys.executable).with_name("invoke")
VERIFIER = "sqv" if shutil.which("sqv") and Path("/usr/lib/apt/methods/sqv").exists() else "gpgv"
"""What this machine's apt verifies signatures with: Debian 13's apt asks sqv."""
TAMPERED = {"gpgv": "BADSIG", "sqv": "Message has been manipulated"}[VERIFIER]
UNKNOWN_KEY = {"gpgv": "NO_PUBKEY", "sqv": "Missing key"}[VERIFIER]
PLACES = f"artifacts: .\nrecipes: {CHECKOUT}/tests/fixtures/recipes\n"
"""Settings of a project whose repository is a `Publisher`'s."""


def control_in(deb: Path) -> bytes:
    """Return the control file inside a .deb, as Reef reads it."""
    with deb.open("rb") as file:
        return ar_reader.control_bytes(file.fileno(), ar_reader.members_of(file.fileno())[0])


def files_in(deb: Path) -> bytes:
    """Return what a .deb installs, as Reef reads it."""
    with deb.open("rb") as file:
        return file_list.files_of(file.fileno(), ar_reader.members_of(file.fileno())[1])[0]


DATE = 1_750_000_000
"""A fixed Release date, 2025-06-15, in seconds since 1970."""


def make_deb(
    folder: Path,
    name: str = "reef-demo",
    version: str = "1.0-1",
    architecture: str = "arm64",
    *,
    fields: Mapping[str, str] | None = None,
    content: str = "",
    compression: str = "xz",
    files: Sequence[str] = (),
    texts: Mapping[str, str] | None = None,
    changelog: bytes | None = None,
) -> Path:
    """Build a .deb with dpkg-deb, the same bytes each time, and return its path.

    ``texts`` are more files by their paths, also maintainer scripts, as ``DEBIAN/postinst``.
    """
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = {
        "Package": name, "Version": version, "Architecture": architecture, "Maintainer": "Reef <reef@localhost>",
        **(fields or {}),
    }  # fmt: skip
    control.setdefault("Description", f"demo of {name}\n Long text of {name}.\n .\n Its end.")
    text = "".join(f"{key}: {value}\n" for key, value in control.items())
    (tree / "DEBIAN" / "control").write_text(text)
    payload = tree / "usr" / "share" / name / "content"
    payload.parent.mkdir(parents=True)
    payload.write_text(content or f"{name} {version}\n")
    if changelog is not None:
        path = tree / "usr" / "share" / "doc" / name / "changelog.Debian.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(changelog)
    for more in files:
        (tree / more).parent.mkdir(parents=True, exist_ok=True)
        (tree / more).touch()
    for name_of, text_of in (texts or {}).items():
        (tree / name_of).parent.mkdir(parents=True, exist_ok=True)
        (tree / name_of).write_text(text_of)
        (tree / name_of).chmod(0o755 if "/bin/" in name_of or name_of.startswith("DEBIAN/") else 0o644)
    path = folder / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "-b", str(tree), str(path)],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )  # fmt: skip
    shutil.rmtree(tree)
    return path


def make_source(
    folder: Path, name: str = "reef-demo", version: str = "1.0-1", *, upstream: str = "upstream\n", packaging: str = ""
) -> Path:
    """Build a source package with dpkg-source, the same bytes each time, and return its .dsc's path."""
    tree = folder / "tree" / f"{name}-{version.rpartition('-')[0]}"
    (tree / "debian" / "source").mkdir(parents=True)
    (tree / "hello.txt").write_text(upstream)
    orig = folder / f"{name}_{version.partition(':')[2].rpartition('-')[0] or version.rpartition('-')[0]}.orig.tar.gz"
    packed = ["tar", "-C", str(tree.parent), "--sort=name", "--mtime=@946684800", "--owner=0", "--group=0",
              "--numeric-owner", "-I", "gzip -9n", "--exclude=debian", "-cf", str(orig), tree.name]  # fmt: skip
    subprocess.run(packed, check=True)
    (tree / "debian/source/format").write_text("3.0 (quilt)\n")
    (tree / "debian/changelog").write_text(
        f"{name} ({version}) trixie; urgency=medium\n\n  * One.\n\n"
        " -- Reef <reef@localhost>  Sat, 31 Jan 2026 12:00:00 +0000\n"
    )
    (tree / "debian/control").write_text(
        f"Source: {name}\nSection: utils\nPriority: optional\nMaintainer: Reef <reef@localhost>\n"
        f"Standards-Version: 4.7.0\n\nPackage: {name}\nArchitecture: any\nDescription: demo of {name}\n"
    )
    (tree / "debian/rules").write_text(f"#!/usr/bin/make -f\n# {packaging}\n%:\n\tdh $@\n")
    subprocess.run(
        ["dpkg-source", "-Zgzip", "--build", str(tree)], check=True, cwd=folder, capture_output=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    shutil.rmtree(folder / "tree")
    (dsc,) = folder.glob("*.dsc")
    return dsc


@dataclass
class Publisher:
    """A repository folder with all that publishing into it takes."""

    folder: Path
    key: SigningKey
    log: Log
    settings: Settings = field(default_factory=Settings)
    runs: int = 0

    @property
    def repository(self) -> Path:
        return self.folder / "apt"

    @property
    def state(self) -> Path:
        return self.folder / "state" / "apt"

    @property
    def keyring(self) -> Path:
        return self.repository / KEYRING

    def deb(self, *arguments: str, **more: object) -> Path:
        """Build a .deb in a folder of its own, so that equal names do not meet."""
        folder = self.folder / "debs" / str(len(list((self.folder / "debs").glob("*"))))
        folder.mkdir(parents=True)
        return make_deb(folder, *arguments, **more)  # type: ignore[arg-type]

    def source(self, *arguments: str, **more: str) -> Path:
        """Build a source package in a folder of its own."""
        folder = self.folder / "sources" / str(len(list((self.folder / "sources").glob("*"))))
        folder.mkdir(parents=True)
        return make_source(folder, *arguments, **more)

    def stage(self, debs: Mapping[str, Sequence[Path | DebFile]], date: int = DATE) -> Staged:
        self.runs += 1
        return stage(
            self.repository, debs, self.folder / f"staging{self.runs}",
            settings=self.settings, key=self.key, log=self.log, date=date, state=self.state,
        )  # fmt: skip

    def publish(self, *debs: Path | DebFile, suite: str = "trixie", date: int = DATE) -> Publication:
        (result,) = make_live(self.stage({suite: debs}, date), self.repository)
        return result

    def project(self, **_: bool) -> Project:
        """Return a project whose repository this is; it has no recipes, whatever `cli.open_project` is asked for."""
        space = Workspace(self.folder)
        return Project(self.folder, self.settings, space, ARCHITECTURES["amd64"], self.log, {})

    def command(self, *words: str) -> "subprocess.Popen[str]":
        """Start `invoke` with ``words`` on the project whose repository this is; reef.yml begins with `PLACES`."""
        return subprocess.Popen(
            # A shell starts what it puts in the background deaf to Ctrl-C, and tests inherit that.
            ["env", "--default-signal=INT", str(INVOKE), "--search-root", str(CHECKOUT), *words],
            env={**os.environ, "REEF_FOLDER": str(self.folder)}, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def stamps(self, suite: str = "trixie") -> list[str]:
        return RepositoryLayout(self.repository).stamps(suite)

    def verify(self, suite: str = "trixie") -> Verified:
        return verify(self.repository, suite)

    def index(self, architecture: str = "arm64", component: str = "main", suite: str = "trixie") -> str:
        path = self.repository / "dists" / suite / component / f"binary-{architecture}" / "Packages"
        return path.read_text()


def tree_of(folder: Path) -> dict[str, str]:
    """Return every path below ``folder`` with what it is: a digest, a link's target or a folder."""
    result = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            result[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            result[name] = "folder"
        else:
            result[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return result


def facts_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what the filesystem says of every path below ``folder``; any write shows in it."""
    paths = [folder, *folder.rglob("*")]
    facts = {str(path): path.lstat() for path in paths}
    return {name: (f.st_ino, f.st_mode, f.st_nlink, f.st_mtime_ns, f.st_ctime_ns) for name, f in facts.items()}


class AptClient:
    """apt in a private folder: it reads one .sources file and one keyring, as a board would."""

    def __init__(self, folder: Path, sources: str, keyring: Path, architecture: str = "arm64") -> None:
        self.folder = folder
        for name in ("etc/sources.list.d", "etc/apt.conf.d", "etc/preferences.d", "state/lists/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "cache/archives/partial").mkdir(parents=True)
        (folder / "status").touch()
        shutil.copy(keyring, folder / "keyring.gpg")
        lines = [line for line in sources.splitlines() if not line.startswith("Signed-By:")]
        text = "\n".join([*lines, f"Signed-By: {folder / 'keyring.gpg'}", ""])
        (folder / "etc/sources.list.d/reef.sources").write_text(text)
        (folder / "apt.conf").write_text(
            f'Dir "{folder}";\nDir::Etc "{folder}/etc";\nDir::State "{folder}/state";\nDir::Cache "{folder}/cache";\n'
            f'Dir::State::status "{folder}/status";\nAPT::Architecture "{architecture}";\n'
            f'APT::Architectures {{ "{architecture}"; }};\nAPT::Sandbox::User "root";\n'
        )

    def run(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["apt-get", "-o", "Debug::Acquire::http=true", *arguments],
            env={"PATH": os.environ["PATH"], "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"},
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stdout
        return done.stdout

    def update(self, *, check: bool = True) -> str:
        said = self.run("update", "--error-on=any", check=check)
        if check:
            assert "W:" not in said, said
            assert "E:" not in said, said
        return said

    def download(self, name: str) -> str:
        """Download a package and return the SHA-256 of what came."""
        self.run("download", name)
        (path,) = self.folder.glob(f"{name.partition('=')[0]}_*.deb")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.unlink()
        return digest
