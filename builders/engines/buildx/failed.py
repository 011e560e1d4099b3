"""Failed jobs' roots: images that can be entered until the job's next run."""

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path

from builders.engines.buildx.docker import daemon, endpoint
from builders.engines.buildx.docker.daemon import LABEL
from builders.engines.buildx.docker.endpoint import Endpoint
from builders.errors import HostError, ReefError, RootError
from builders.host import process
from builders.host.files import remove_tree, write_whole
from builders.host.workspace import Workspace
from builders.model.jobs import BuildJob

FILE = "image.json"


def image_name(kind: str, workspace: Workspace, job: str) -> str:
    """Return the name of an image of a job's root, different for each project."""
    digest = hashlib.sha256(f"{workspace.path.absolute()}\n{job}".encode()).hexdigest()[:8]
    return f"{kind}:{re.sub(r'[^A-Za-z0-9_.-]+', '-', job).strip('-.')[:100]}-{digest}"


def note(workspace: Workspace, job: BuildJob, place: Endpoint | None, image: str) -> None:
    """Record that ``image`` on the engine at ``place`` keeps a failed job's root.

    A builder without an engine (None) has no images: buildx loads them into the engine that Docker's own tools use.
    """
    place = place or endpoint.current()
    document = {
        "job": job.name, "image": image, "platform": job.root.build.oci, "workdir": job.workdir,
        "host": place.host, "tls": str(place.tls) if place.tls else None,
    }  # fmt: skip
    write_whole(_file(workspace, job.name), json.dumps(document, indent=1) + "\n")


def names(workspace: Workspace) -> list[str]:
    """Return the names of the failed jobs whose roots are kept as images."""
    return sorted(path.parent.name for path in (workspace.path / "failed").glob(f"*/{FILE}"))


def enter(workspace: Workspace, job: str) -> int:
    """Enter a failed job's root with an interactive shell and return its status; raises RootError, HostError."""
    again = "build again, then enter its new root"
    try:
        document = json.loads(_file(workspace, job).read_text())
        place, image = _place(document), document["image"]
    except (ValueError, KeyError, TypeError) as error:
        detail = f"{_file(workspace, job)} is damaged: {error}"
        raise RootError(f"the root of {job!r} cannot be entered", detail, again) from error
    if not process.find("docker"):
        raise HostError(
            "Docker's command line is not installed; it enters kept roots",
            fix="sudo apt-get install docker-cli (Debian 12: docker.io)",
        )
    if not daemon.connect(place).has_image(image):
        raise RootError(f"the root of {job!r} was removed", image, again)
    words = ["docker", *_options(place)]
    words += ["run", "--rm", "--interactive", *(["--tty"] if process.on_terminal() else []), f"--label={LABEL}=shell"]
    words += [f"--label={daemon.OWNER}={daemon.owner(workspace)}"]
    words += [f"--platform={document['platform']}", f"--workdir={document['workdir']}", image, "/bin/bash"]
    return process.interactive(words)


def forget(workspace: Workspace, job: str) -> None:
    """Remove a failed job's record, and its image if the image's engine answers."""
    path = _file(workspace, job)
    if path.exists():
        # The engine is gone or the record is damaged: clean --what images finds the image by its label.
        with suppress(ReefError, ValueError, KeyError, TypeError):
            document = json.loads(path.read_text())
            daemon.connect(_place(document)).remove_image(document["image"])
    # The chroot engine's file in the same folder is removed first, so that half a root is never entered.
    (path.parent / "entry.json").unlink(missing_ok=True)
    remove_tree(path.parent)


def _file(workspace: Workspace, job: str) -> Path:
    return workspace.path / "failed" / job.replace("/", "-") / FILE


def _place(document: dict[str, str]) -> Endpoint:
    if not document["host"]:  # as older versions wrote it
        return endpoint.current()
    return Endpoint(document["host"], tls=Path(document["tls"]) if document["tls"] else None)


def _options(place: Endpoint) -> list[str]:
    words = [f"--host={place.host}"]
    if place.tls:
        words += ["--tlsverify", *(f"--{kind}={place.tls / file}" for kind, file in _TLS_FILES.items())]
    return words


_TLS_FILES = {"tlscacert": "ca.pem", "tlscert": "cert.pem", "tlskey": "key.pem"}
