"""The disk, kernel and keys of virtual boards: made once by a build job, kept in the cache with a readable manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from builders.errors import HostError
from builders.host import process
from builders.host.files import document_digest, remove_tree, write_whole
from builders.model.arch import ARM64
from builders.model.jobs import BuildJob, Root
from builders.pipeline.project import Project

HERE = Path(__file__).parent
PACKAGES = (
    "busybox-static", "cpio", "dbus", "e2fsprogs", "iproute2", "kmod", "libpam-systemd", "openssh-server", "sudo",
    "systemd-sysv", "systemd-timesyncd", "udev", "xz-utils",
)  # fmt: skip
NEEDED = (("qemu-system-aarch64", "qemu-system-arm"), ("qemu-img", "qemu-utils"), ("zstd", "zstd"))
"""Programs of this machine, and Debian's packages that have them."""
MANIFEST = "manifest.yml"
USER = "pi"
"""The user who logs in, and may run sudo without a password."""


@dataclass(frozen=True)
class Image:
    """A folder with ``base.qcow2``, ``vmlinuz``, ``initrd.gz``, ``identity`` and ``host_key.pub``."""

    folder: Path

    @property
    def identity(self) -> Path:
        """The private key that logs in as the user ``pi``."""
        return self.folder / "identity"

    @property
    def host_key(self) -> tuple[str, str]:
        """The kind and the base64 text of the host key."""
        kind, text = (self.folder / "host_key.pub").read_text().split()[:2]
        return kind, text


def image(project: Project, suite: str = "trixie", more: Sequence[str] = ()) -> Image:
    """Return the image of a suite with the Debian packages ``more``, made first if the cache has none.

    Raises HostError if this machine lacks QEMU, RootError and BuildError from the job.
    """
    require_programs()
    root = Root(suite, ARM64, ARM64, tuple(sorted({*PACKAGES, *more})))
    document = {
        "suite": suite, "packages": list(root.packages), "script": (HERE / "image.sh").read_text(),
        "qemu": qemu_version(),
    }  # fmt: skip
    place = project.workspace.cache.virtual / f"{suite}-arm64-{document_digest(document)[:12]}"
    if (place / MANIFEST).is_file():
        return Image(place)
    with project.workspace.locked(
        place.name, what="the image of virtual boards", say=project.log.note, beside=place.parent
    ):
        if not (place / MANIFEST).is_file():
            _make(project, root, place, document)
    return Image(place)


def qemu_version() -> str:
    """Return the version of this machine's QEMU, in its own words."""
    return process.capture(["qemu-system-aarch64", "--version"]).splitlines()[0]


def require_programs() -> None:
    """Raise HostError for a missing program."""
    missing = [package for program, package in NEEDED if not process.find(program)]
    if missing:
        raise HostError(
            "virtual boards need QEMU",
            f"missing: {', '.join(missing)}",
            f"sudo apt-get install --no-install-recommends {' '.join(missing)}",
        )


def _make(project: Project, root: Root, place: Path, document: Mapping[str, object]) -> None:
    job = BuildJob(
        name=f"virtual-board/{root.suite}-arm64", root=root, fetch=(HERE / "fetch.sh").read_text(),
        script=(HERE / "image.sh").read_text(),
    )  # fmt: skip
    with project.workspace.cache.scratch_folder("virtual") as scratch:
        made = scratch / "made"
        project.run_in_root(job, made)
        with project.log.step("write the disk of virtual boards"):
            process.run(["qemu-img", "convert", "-O", "qcow2", str(made / "disk.img"), str(made / "base.qcow2")])
        (made / "disk.img").unlink()
        (made / "identity").chmod(0o600)
        remove_tree(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        made.rename(place)
        # The manifest comes last: a folder without it is not complete.
        write_whole(place / MANIFEST, yaml.safe_dump(dict(document), sort_keys=False))
