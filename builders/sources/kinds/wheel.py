"""Wheels of Python packages, fetched with pip and all of its settings: index, proxy, certificates, credentials.

pip only downloads: it installs nothing, builds nothing and asks for no dependency, so that no code of a package runs.
"""

import functools
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from builders.errors import HostError
from builders.host import pip_settings, process
from builders.host.files import disk_errors, raise_if_disk_full, write_whole
from builders.host.log import Step
from builders.model.recipe import PythonWheel
from builders.sources import file_cache
from builders.sources.context import FetchContext, Reason, Stopped, Unavailable, plain

ATTEMPTS = 2
TIME_LIMIT_S = 4 * 3600.0
OF_PIP = ("XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "NETRC", "REQUESTS_CA_BUNDLE", "ALL_PROXY", "all_proxy")
"""Names of environment variables that set pip up, beside its own ``PIP_...``."""
OPTIONS = (
    "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir", "--no-input", "--no-color",
    "--progress-bar=off", "--disable-pip-version-check", "-vv",
)  # fmt: skip
"""Without a cache of pip's: Reef has its own. ``-vv`` prints why an index did not answer."""
DOWNLOADING = re.compile(r"\s*Downloading (?:\S*/)?(?P<file>[^/\s]+)(?: \((?P<size>[\d.]+) (?P<unit>bytes|kB|MB)\))?$")
UNITS = {"bytes": 1, "kB": 1000, "MB": 1_000_000}
DIGESTS = re.compile(r"Expected sha256 [0-9a-f]{64}\s+Got\s+([0-9a-f]{64})")
VERSIONS = re.compile(r"ERROR: Could not find a version that satisfies the requirement .* \(from versions: (.*)\)$")
UNREACHED = re.compile(
    r"(?:Could not fetch URL (?!\S+ 404 )(.*) - skipping|WARNING: (The repository located at .*?)\. )"
)
ERROR = re.compile(r"\s*ERROR: (?!Exception:$)(.*)")
SHOWN_VERSIONS = 5


def download(context: FetchContext, name: str, way: PythonWheel) -> Path:
    """Return the wheel from the cache; if missing, pip downloads it.

    Raises Unavailable, DiskError, HostError if this Python has no pip, and Stopped.
    """
    path = file_cache.cache_path(context, way.sha256)
    with file_cache.locked(context, way.sha256, name):
        if file_cache.verified(context, way.sha256):
            return path
        if context.offline:
            raise Unavailable([Reason(way.file, f"not in the cache as {path}, and --offline downloads nothing")])
        with (
            context.workspace.cache.scratch_folder("wheel") as scratch,
            context.log.step(f"download {name} with pip") as step,
        ):
            file = _downloaded(context, way, scratch, step)
            with disk_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            file_cache.accept(file, path, way.sha256, way.purl)
    return path


def _downloaded(context: FetchContext, way: PythonWheel, scratch: Path, step: Step) -> Path:
    """Return the wheel's path below ``scratch``; raises Unavailable."""
    requirement = scratch / "requirement.txt"
    # With the digest, pip takes this file among those of the version, from whichever index has it.
    write_whole(requirement, f"{way.name}=={way.version} --hash=sha256:{way.sha256}\n")
    reason = Reason(way.file, "")
    for _ in range(ATTEMPTS):
        try:
            return _asked(context, way, requirement, step)
        except Unavailable as error:
            reason = error.reasons[0]
        if not reason.wrong_bytes:
            break  # pip itself repeats requests, but does not notice a connection that broke: the digest is wrong then
    if reason.wrong_bytes:
        context.log.warn(str(reason).strip())
    raise Unavailable([reason])


def _asked(context: FetchContext, way: PythonWheel, requirement: Path, step: Step) -> Path:
    scratch = requirement.parent
    files = scratch / "files"
    output = _Output(step)
    argv = [sys.executable, "-I", "-m", "pip", "download", *OPTIONS, *_target(way), f"--dest={files}"]
    try:
        process.run(
            [*argv, f"--requirement={requirement}"],
            extra_environment=_settings() | {"TMPDIR": str(scratch)},
            on_line=output.listen,
            on_sample=_progress(context, scratch, output),
            timeout_s=TIME_LIMIT_S,
        )
    except process.ProgramFailed as error:
        raise_if_disk_full(error, scratch)
        if "No module named pip" in error.completed.tail:
            raise HostError(
                f"{sys.executable} has no pip", fix=f"install pip for it: {sys.executable} -m ensurepip"
            ) from error
        raise Unavailable([_reason(way, output, error)]) from error
    [file] = files.iterdir()
    return file


def _settings() -> dict[str, str]:
    """Return the environment variables that set pip up."""
    own = {name: os.environ[name] for name in OF_PIP if name in os.environ}
    listing = _listing(tuple((own | pip_settings.variables_for_list(os.environ)).items()))
    return own | pip_settings.variables(listing, os.environ, "download")


@functools.cache
def _listing(variables: tuple[tuple[str, str], ...]) -> str:
    return process.capture([sys.executable, "-I", "-m", "pip", "config", "list"], extra_environment=dict(variables))


def _tags(way: PythonWheel) -> list[str]:
    """Return the tags of Python, ABI and platform in the wheel's name, each perhaps several with dots."""
    return way.file.removesuffix(".whl").split("-")[-3:]


def _target(way: PythonWheel) -> list[str]:
    """Return pip's options for a Python that the wheel is made for: it need not be this machine's."""
    python, abi, platform = (tags.split(".")[-1] for tags in _tags(way))
    implementation = python.rstrip("0123456789")
    digits = python.removeprefix(implementation)
    version = f"{digits[0]}.{digits[1:]}" if digits[1:] else digits
    return [
        f"--implementation={implementation}", f"--python-version={version}", f"--abi={abi}", f"--platform={platform}",
    ]  # fmt: skip


class _Output:
    """Reads pip's output: what it downloads, and why it fails."""

    def __init__(self, step: Step) -> None:
        self.file = ""
        self.size: int | None = None
        self.versions = ""
        self.errors: list[str] = []
        self.unreached: list[str] = []
        self.step = step

    def listen(self, line: str) -> None:
        if found := DOWNLOADING.match(line):
            self.file = found["file"]
            self.size = int(float(found["size"]) * UNITS[found["unit"]]) if found["size"] else None
        elif found := UNREACHED.match(line):
            self.unreached.append(found[1] or found[2])
        elif found := VERSIONS.match(line):
            self.versions = found[1]
        elif found := ERROR.match(line):
            self.errors.append(found[1])


def _progress(context: FetchContext, scratch: Path, output: _Output) -> Callable[[], None]:
    """Return a listener that shows how much pip has written, and raises Stopped when the fetch is stopped."""

    def sample() -> None:
        if context.stop.is_set():
            raise Stopped
        with suppress(FileNotFoundError):  # pip removes its folders at any time
            sizes = [path.stat().st_size for path in scratch.glob("pip-unpack-*/*")]
            if sizes:
                output.step.size(max(sizes), output.size)

    return sample


def _reason(way: PythonWheel, output: _Output, error: process.ProgramFailed) -> Reason:
    if found := DIGESTS.search(error.completed.tail):
        other = f" (of {output.file})" if output.file not in ("", way.file) else ""
        return file_cache.wrong_digest(way.file, way.sha256, found[1], other)
    if output.versions:
        causes = [*output.unreached, _missing(way, output)]
    else:
        causes = output.unreached + output.errors[:1] or error.completed.tail.splitlines()[-1:] or [error.what]
    return Reason(way.file, plain("; ".join(causes)))


def _missing(way: PythonWheel, output: _Output) -> str:
    indexes = "no index that answered" if output.unreached else "no index that pip uses"
    tags = "-".join(_tags(way))
    if output.versions == "none":
        return f"{indexes} has a wheel of {way.name} for {tags}"
    newest = ", ".join(output.versions.split(", ")[-SHOWN_VERSIONS:])
    return f"{indexes} has version {way.version} of {way.name} for {tags}; the newest are {newest}"
