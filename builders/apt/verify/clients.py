"""How real apt accepts a published suite: today, and on later days up to the end of its keys.

The same script runs on this machine, with Reef's own server, and in clean roots of the boards' releases, as a
`BuildJob` with a server of its own.
"""

import functools
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from builders.apt.indices.entry import IndexEntry, parse, parse_index
from builders.apt.indices.kinds import stanzas
from builders.apt.indices.release import CHANGEPATH
from builders.apt.keys import secret_keys
from builders.apt.keys.gnupg import Home
from builders.apt.keys.keyring_package import PACKAGE
from builders.apt.keys.signatures import issuers
from builders.apt.keys.signing import DAY_S, day_of
from builders.apt.repository.layout import KEYRING, RepositoryLayout
from builders.apt.repository.publication import PublishedSuite, read_live
from builders.apt.verify.server import serving
from builders.errors import HostError, PublishError
from builders.host import process, templates
from builders.model.arch import Architecture
from builders.model.deb_file import members
from builders.model.jobs import BuildJob, Input, JobLimits, Root
from builders.model.packages import SOURCE

TODAY = "today"
"""Name of the keyring at the repository's root."""
CONTENTS = "contents"
DEEDS = ("download", CONTENTS, "changelog")
"""Acts of a board with today's keyring, after its update."""
SERVED, KEYRINGS, WORK, PORT = "/srv/reef", "/reef/keyrings", "/build/out", 8642
TIME_LIMIT_S = 900.0
FIRST_LINE = 1000
"""Bytes that contain a changelog's first line."""


@dataclass(frozen=True)
class Trial:
    """One try of a board with a keyring, some seconds from now; ``said`` is apt's output where it refused.

    ``keyring`` is the keyring's name, or what was done with today's (`DEEDS`).
    """

    client: str
    keyring: str
    seconds: int
    accepted: bool
    said: str


@dataclass(frozen=True)
class Outlook:
    """When boards with a keyring are locked out: ``until`` in seconds since 1970, None for never.

    ``why`` names what ends. ``by_key`` says that it is a key: gpgv then refuses everything that the key signed. sqv
    (apt 3) judges a key on the day of its signature and refuses only what is signed later.
    """

    keyring: str
    until: int | None
    why: str
    by_key: bool = True


def outlooks(repository: Path, suite: str, keyring: Path | None = None) -> list[Outlook]:
    """Return how long boards with each published keyring accept the live publication; today's keyring first.

    ``keyring`` is today's, by default the one at the root.
    """
    place = RepositoryLayout(repository.absolute())
    live = _live(place, suite)
    valid_until = live.release.valid_until
    signers = issuers(live.folder / "InRelease")
    result = []
    with tempfile.TemporaryDirectory(prefix="reef-keyrings-") as folder:
        for name, path in keyrings(place, live, Path(folder), keyring):
            known = {key: end for key, end in key_ends(path).items() if key in signers}
            ends = list(known.values())
            last = 0 if not ends else None if None in ends else max(end for end in ends if end is not None)
            why = "it contains none of the keys that sign now" if not ends else "the last of its keys that sign ends"
            if valid_until is not None and (last is None or valid_until < last):
                last, why = valid_until, "Valid-Until passes, unless something is published before"
            result.append(Outlook(name, last, why if last is not None else "", by_key=last != valid_until))
    return result


def key_ends(keyring: Path) -> dict[str, int | None]:
    """Return the primary keys and subkeys in a keyring file and their ends (seconds since 1970, None for never).

    A subkey ends with its primary key at the latest.
    """
    with tempfile.TemporaryDirectory(prefix="reef-gpg-") as folder:
        home = Home(Path(folder))
        records = home.records("--show-keys", str(keyring))
    keys = secret_keys.parse(records, secret_keys.PUBLIC)
    return {part.fingerprint: secret_keys.end_of(key, part) for key in keys for part in key.parts}


def keyrings(
    place: RepositoryLayout, live: PublishedSuite, folder: Path, keyring: Path | None = None
) -> list[tuple[str, Path]]:
    """Return today's keyring and those of every keyring package that is still published, as name and file."""
    today = keyring or place.path / KEYRING
    found, known = [(TODAY, today)], {today.read_bytes()}
    for entry in sorted(_keyring_packages(live), key=lambda entry: entry.version, reverse=True):
        content = next((c for e, c in members(place.path / entry.filename) if str(e.name).endswith(KEYRING)), None)
        if content and content not in known:
            known.add(content)
            path = folder / f"{entry.version.partition('~')[0]}.gpg"
            path.write_bytes(content)
            found.append((path.stem, path))
    return found


def _keyring_packages(live: PublishedSuite) -> list[IndexEntry]:
    """Return the entries of the keyring packages; parses no others, which would take time and memory."""
    found: dict[str, IndexEntry] = {}
    for index in (name for name in live.release.files if name.endswith("/Packages")):
        texts = [text for name, text in stanzas(live.content(index)) if name == PACKAGE.encode()]
        found |= {entry.filename: entry for entry in parse(b"".join(texts), str(live.folder / index))}
    return list(found.values())


def offsets(known: Iterable[Outlook], now: float) -> list[int]:
    """Return the days to try, in seconds from ``now``: today, halfway, a day before today's keyring ends, a day after.

    A keyring without an end is tried ten years ahead.
    """
    end = next(outlook.until for outlook in known if outlook.keyring == TODAY)
    span = 10 * 365 * DAY_S if end is None else int(end - now)
    days = [0, span // 2, span - DAY_S] + ([] if end is None else [span + DAY_S])
    return sorted({day for day in days if day >= 0})


def require_tools() -> None:
    """Raise HostError where this machine cannot try what it publishes."""
    for program, reason in (("apt-get", "it checks each publication"), ("faketime", "it shows later days to apt")):
        if not process.find(program):
            package = program.removesuffix("-get")
            raise HostError(f"{program} is not installed; {reason}", fix=f"sudo apt-get install {package}")


def try_here(
    repository: Path, suite: str, component: str, scratch: Path, *,
    keyring: Path | None = None, known: Sequence[Outlook] = (),
) -> list[Trial]:  # fmt: skip
    """Let this machine's apt update and download over HTTP on loopback; raises HostError, PublishError.

    ``scratch`` is a folder to work in, ``keyring`` today's, by default the one at the root. ``known`` is the result of
    `outlooks`, where the caller has it.
    """
    require_tools()
    place = RepositoryLayout(repository.absolute())
    live, work = _live(place, suite), scratch / f"client-{suite}"
    rings = keyrings(place, live, scratch, keyring)
    with serving(place.path) as url:
        known = known or outlooks(place.path, suite, keyring)
        facts = _facts(place, live, component, rings=rings, url=url, work=work, serve="", known=known)
        process.run(["sh", "-eu", "-c", _script(facts)], timeout_s=TIME_LIMIT_S)
    return read_trials(work)


def job(
    repository: Path, suite: str, release: str, component: str, *, machine: Architecture, scratch: Path,
    keyring: Path | None = None, pool: Path | None = None, known: Sequence[Outlook] = (),
) -> BuildJob:  # fmt: skip
    """Return the job in which a clean root of ``release`` tries a suite with its own apt.

    ``scratch`` is a new folder that must stay until the job ends, ``keyring`` today's, by default the one at the root.
    ``pool`` is the published pool: the pool of a candidate links to its path on this machine. ``known`` as for
    `try_here`. `read_trials` reads the job's result.
    """
    place = RepositoryLayout(repository.absolute())
    live = _live(place, suite)
    scratch.mkdir(parents=True, exist_ok=True)
    rings = []
    for name, path in keyrings(place, live, scratch, keyring):
        if path.parent != scratch:
            shutil.copy(path, scratch / f"{name}.gpg")
        rings.append((name, Path(KEYRINGS, f"{name}.gpg")))
    facts = _facts(
        place, live, component, rings=rings, url=f"http://127.0.0.1:{PORT}", work=Path(WORK), serve=SERVED,
        known=known or outlooks(place.path, suite, keyring),
    )  # fmt: skip
    inputs = [Input(place.path, SERVED), Input(scratch, KEYRINGS)]
    if pool and pool.is_dir() and pool != place.pool:
        inputs.append(Input(pool, str(pool)))
    return BuildJob(
        name=f"clients/{suite}/{release}",
        root=Root(release, machine, machine, ("faketime", "gpgv", "python3")),
        script=_script(facts),
        inputs=tuple(inputs),
        limits=JobLimits(TIME_LIMIT_S),
    )


def read_trials(work: Path) -> list[Trial]:
    """Return the trials that a run of the script wrote into ``work``; raises PublishError where they are incomplete."""
    try:
        version, verifier = (work / "version").read_text().splitlines()
        rows = [line.split("\t") for line in (work / "trials.tsv").read_text().splitlines()]
        client = f"apt {version.split()[1]} ({verifier})"
        return [
            Trial(client, name, int(seconds), verdict == "ok", "" if verdict == "ok" else (work / log).read_text())
            for name, seconds, verdict, log in dict.fromkeys(map(tuple, rows))
        ]
    except (OSError, ValueError, IndexError) as error:
        raise PublishError(f"the trials in {work} are incomplete", str(error), "run the same command again") from error


def require_accepted(trials: Sequence[Trial], known: Sequence[Outlook], suite: str, now: float) -> None:
    """Raise PublishError where boards with today's keyring are refused before its end, or accepted after it."""
    today = next(outlook for outlook in known if outlook.keyring == TODAY)
    for trial in trials:
        expected = today.until is None or now + trial.seconds < today.until
        patient = not expected and today.by_key and trial.client.endswith("(sqv)")
        if trial.keyring in (TODAY, *DEEDS) and trial.accepted != expected and not patient:
            day = day_of(int(now + trial.seconds))
            verb = "accepts what it should refuse" if trial.accepted else "refuses"
            raise PublishError(f"{trial.client} {verb}: {suite} on {day}", trial.said, "roll back: ./inv rollback")


def _live(place: RepositoryLayout, suite: str) -> PublishedSuite:
    live = read_live(place, suite)
    if live is None:
        raise PublishError(f"the suite {suite} is not published", f"in {place.path}", "run ./inv publish-apt first")
    return live


def _facts(
    place: RepositoryLayout, live: PublishedSuite, component: str, *, rings: Sequence[tuple[str, Path]], url: str,
    work: Path, serve: str, known: Sequence[Outlook],
) -> dict[str, object]:  # fmt: skip
    source = _smallest(live, SOURCE, component)
    return {
        "work": str(work), "url": url, "serve": serve, "port": PORT, "probe": f"dists/{live.suite}/InRelease",
        "suite": live.suite, "component": component,
        "keyrings": [(name, str(path)) for name, path in rings],
        "offsets": offsets(known, time.time()),
        "downloads": [_download(place, live, cpu, component) for cpu in live.release.architectures],
        "changelogs": live.release.fields.get("Changelogs", "").partition(f"pool/{CHANGEPATH}")[0],
        "sources": live.keeps_sources, "source": f"{source.package}={source.version}" if source else "",
    }  # fmt: skip


def _download(
    place: RepositoryLayout, live: PublishedSuite, cpu: str, component: str
) -> tuple[str, str, bool, str | None]:
    """Return a CPU, the smallest package to download, whether Contents name files, and how its changelog begins.

    The last does not exist where apt should find no changelog.
    """
    best, files = _smallest(live, cpu, component), live.release.files
    if best is None:
        return cpu, "", False, None
    index = f"{component}/Contents-{cpu}"
    contents = files[index].size > 0 if index in files else f"{index}.gz" in files
    changelog = _changelog(place, best) if "Changelogs" in live.release.fields and best.changelog else None
    return cpu, f"{best.package}={best.version}", contents, changelog


def _changelog(place: RepositoryLayout, entry: IndexEntry) -> str | None:
    """Return the source and version with which the published changelog of a .deb begins; None where it has none.

    Empty where the .deb's own is not in Debian's form, as that of a package that somebody else built.
    """
    own = f"usr/share/doc/{entry.package}/changelog.Debian.gz"
    packed = next((c for e, c in members(place.path / entry.filename) if str(e.name).removeprefix("./") == own), None)
    source, version = entry.built_from
    begin = f"{source} ({version})"
    try:
        if packed and zlib.decompressobj(31).decompress(packed, FIRST_LINE).startswith(begin.encode()):
            return begin
    except zlib.error:
        pass  # a changelog that does not unpack is not published
    return "" if (place.path / entry.changelog).is_file() else None


def old_contents(repository: Path, suite: str) -> bool:
    """Return whether the Release lists Contents only compressed, as an earlier Reef published them; apt takes none."""
    files = _live(RepositoryLayout(repository.absolute()), suite).release.files
    return any(
        "/Contents-" in name and name.endswith(".gz") and name.removesuffix(".gz") not in files for name in files
    )


def _smallest(live: PublishedSuite, architecture: str, component: str) -> IndexEntry | None:
    """Return the smallest package to download; nothing where none exists."""
    index = f"{component}/source/Sources" if architecture == SOURCE else f"{component}/binary-{architecture}/Packages"
    there = parse_index(index, live.content(index), str(live.folder / index)) if index in live.release.files else ()
    return min(there, key=lambda e: (sum(size for _, size, _ in e.files), e.filename), default=None)


def _script(facts: Mapping[str, object]) -> str:
    return _template().render(facts)


@functools.cache
def _template() -> jinja2.Template:
    return templates.environment(Path(__file__).parent).get_template("client.sh.j2")
