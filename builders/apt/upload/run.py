"""One upload: read the destination, forecast, send what is missing in the safe order, verify, remove what is over.

It can be killed at any moment and run again: files that arrived are not sent again, and nothing is removed before the
new publication is shown and verified. Two kinds of files are kept: what a kept generation here names, and, until the
next upload, what the destination showed before, for readers who began with it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from builders.apt.repository.layout import RepositoryLayout
from builders.apt.upload import content, remote_state
from builders.apt.upload.content import Phase
from builders.apt.upload.store import File, RemoteFile, Store
from builders.errors import BusyError, PublishError
from builders.host.log import Log, size
from builders.model.settings import MB, S3, Destination, Folder, Rsync, Settings

MOST_NAMED = 5


@dataclass(frozen=True)
class Forecast:
    """The effect of an upload: files and bytes at the destination afterwards, to be sent, and to be removed."""

    files: int
    size: int
    new_files: int
    new_size: int
    going_files: int
    going_size: int

    def __str__(self) -> str:
        sent = f"{self.new_files} of {self.files} files, {size(self.new_size)} of {size(self.size)} to send"
        return f"{sent}, {self.going_files} files ({size(self.going_size)}) to remove"


@dataclass(frozen=True)
class Uploaded:
    """The result of one destination: ``changed`` is false where nothing was sent or removed."""

    name: str
    forecast: Forecast
    changed: bool


@dataclass(frozen=True)
class _Plan:
    """``sending`` are each phase's missing files; ``going`` keys to remove; ``carrying`` suites by old stamp."""

    sending: tuple[Phase, ...]
    going: tuple[str, ...]
    shown: Mapping[str, remote_state.ShownSuite]
    carrying: Mapping[str, str]
    forecast: Forecast
    largest: File | None


def upload(
    repository: Path, destination: Destination, settings: Settings, log: Log, *, base: Path, state: Path,
    show_only: bool = False,
) -> Uploaded:  # fmt: skip
    """Upload the published ``repository`` to a destination, or with ``show_only`` only return the forecast.

    ``base`` is the project's folder, which relative paths in the settings start from, ``state`` a folder for what
    uploads remember. The caller holds the repository's lock. Raises PublishError where the destination refuses, cannot
    be reached, is too small, or contains other files or a later publication; BusyError where another upload is at work
    there; HostError; DiskError.
    """
    place = RepositoryLayout(repository.absolute())
    if not place.suites():
        raise PublishError("nothing is published yet", f"in {place.path}", "run ./inv publish-apt first")
    store = _store(destination, place.path, base, state)
    plan = _planned(place, destination, store, settings.repository.generations)
    log.note(f"{destination.name}: {plan.forecast}")
    _require_room(destination, plan)
    if show_only:
        return Uploaded(destination.name, plan.forecast, changed=False)
    sent = [file for phase in plan.sending for file in phase.files]
    if sent:
        _send(place, destination, store, plan, log)
    if destination.url:
        with log.step(f"read {destination.url} as boards do"):
            from builders.apt.upload import http_check  # its HTTP library is slow to import

            http_check.require_public(place, destination.url, sent, destination.name)
    if plan.going:
        with log.step(f"remove {len(plan.going)} files at {destination.name}"):
            store.delete(plan.going)
    return Uploaded(destination.name, plan.forecast, changed=bool(sent or plan.going))


def _store(destination: Destination, root: Path, base: Path, state: Path) -> Store:
    match destination:
        case S3():
            from builders.apt.upload.s3 import s3_store

            return s3_store(destination, root, state / "uploads" / f"{destination.name}.json")
        case Rsync() | Folder():
            from builders.apt.upload.rsync import rsync_store

            return rsync_store(destination, root, base)
        case _:
            assert_never(destination)


def _planned(place: RepositoryLayout, destination: Destination, store: Store, generations: int) -> _Plan:
    phases = content.linked(place) if destination.links else content.flat(place, generations)
    held = store.listing()
    shown = remote_state.shown_suites(store, held, destination.name)
    remote_state.require_not_newer(shown, place, destination.name)
    old = [suite for suite in shown.values() if remote_state.forgotten(suite, place, generations)]
    kept = {key for suite in old for key in remote_state.named_by(suite, store, destination.name)}
    carrying = {suite.suite: suite.stamp for suite in old if suite.stamp and suite.suite in place.suites()}
    files = {file.key: file for phase in phases for file in phase.files}
    differing = {file.key for file in store.differing(list(files.values()), held)}
    sending = tuple(
        Phase(phase.title, tuple(file for file in phase.files if file.key in differing), phase.shows)
        for phase in phases
    )
    going = _going(place, held, {*files, *kept}, carrying)
    staying = {key: file.size for key, file in held.items() if key not in going} | {k: f.size for k, f in files.items()}
    new = [files[key] for key in differing]
    forecast = Forecast(
        len(staying), sum(staying.values()), len(new), sum(file.size for file in new),
        len(going), sum(held[key].size for key in going),
    )  # fmt: skip
    largest = max(files.values(), key=lambda file: file.size, default=None)
    return _Plan(sending, going, shown, carrying, forecast, largest)


def _going(
    place: RepositoryLayout, held: Mapping[str, RemoteFile], staying: Collection[str], carrying: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the keys that nothing needs: below the pool and this repository's suites, nowhere else."""
    ours = ["pool/"]
    for suite in place.suites():
        stamps = {*place.stamps(suite), carrying.get(suite, "")}
        gone = {key.split("/")[2] for key in held if key.startswith(f"snapshots/{suite}/")} - stamps
        ours += [f"dists/{suite}/", *(f"snapshots/{suite}/{stamp}/" for stamp in gone)]
    return tuple(sorted(key for key in held if key.startswith(tuple(ours)) and key not in staying))


def _require_room(destination: Destination, plan: _Plan) -> None:
    limits, forecast, largest = destination.bounds, plan.forecast, plan.largest
    trouble = []
    if limits.file_mb and largest and largest.size > limits.file_mb * MB:
        trouble.append(
            f"{largest.key} has {size(largest.size)}, it accepts files of up to {size(int(limits.file_mb * MB))}"
        )
    if limits.total_mb and forecast.size > limits.total_mb * MB:
        trouble.append(f"all files have {size(forecast.size)}, it accepts up to {size(int(limits.total_mb * MB))}")
    if limits.files and forecast.files > limits.files:
        trouble.append(f"{forecast.files} files, it accepts up to {limits.files}")
    if trouble:
        raise PublishError(
            f"{destination.name} has no room for this repository",
            "\n".join(trouble),
            "choose another kind of host (S3, a machine of your own), or keep less: repository.keep, then ./inv prune",
        )


def _send(place: RepositoryLayout, destination: Destination, store: Store, plan: _Plan, log: Log) -> None:
    checked = False
    if hindrance := store.discard_unfinished([file for phase in plan.sending for file in phase.files]):
        log.note(f"{destination.name}: unfinished files of earlier runs stay there: {hindrance}")
    for phase in plan.sending:
        if phase.shows and not checked:
            for suite, stamp in plan.carrying.items():
                store.carry(suite, stamp, place.live_stamp(suite) or "")
            _require_unmoved(store, plan, destination.name)
            checked = True
        if phase.files:
            amount = size(sum(file.size for file in phase.files))
            with log.step(f"upload {phase.title} to {destination.name}: {len(phase.files)} files, {amount}") as step:
                store.put(phase.files, step)
    sent = [file for phase in plan.sending for file in phase.files if not file.link]
    with log.step(f"verify {len(sent)} files at {destination.name}"):
        _require_sound(store, sent, destination.name)
        live = [f"dists/{suite}/InRelease" for suite in place.suites()]
        found = store.read(live)
        for key in live:
            if found.get(key) != (place.path / key).read_bytes():
                raise BusyError(f"{destination.name} shows another {key} than was uploaded",
                                "another upload was at work there", "run ./inv upload-apt again")  # fmt: skip


def _require_unmoved(store: Store, plan: _Plan, name: str) -> None:
    keys = [f"dists/{suite}/InRelease" for suite in plan.shown]
    found = store.read(keys) if keys else {}
    for suite, shown in plan.shown.items():
        if found.get(f"dists/{suite}/InRelease") != shown.inrelease:
            raise BusyError(f"another upload to {name} showed {suite} meanwhile", fix="run ./inv upload-apt again")


def _require_sound(store: Store, files: Sequence[File], name: str) -> None:
    if wrong := store.unsound(files):
        more = f"\nand {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
        raise PublishError(
            f"{name} does not contain what was uploaded", "\n".join(wrong[:MOST_NAMED]) + more,
            "run ./inv upload-apt again; if the error remains, check the disk there",
        )  # fmt: skip
