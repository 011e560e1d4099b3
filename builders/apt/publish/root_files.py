"""The files at the repository's root: keyrings, ``.sources`` files, the landing page."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from builders.apt.keys.signing import SigningKey
from builders.apt.packages.changelogs import Changelogs
from builders.apt.packages.intake import IncomingPackage
from builders.apt.publish.suite import NextSuite, architectures_of
from builders.apt.publish.web_page import RULES, page
from builders.apt.repository.layout import ARMORED_KEYRING, KEYRING, PAGE, RepositoryLayout
from builders.apt.repository.publication import PublishedSuite
from builders.apt.repository.sources_file import sources_name, sources_text
from builders.apt.state import catalog
from builders.apt.state.catalog import SuiteChanges
from builders.host.files import disk_errors, document_digest, sha256_of
from builders.model.packages import SOURCE
from builders.model.settings import Settings


def root_files(place: RepositoryLayout, sources: Mapping[str, bytes], key: SigningKey) -> dict[str, bytes]:
    """Return the files at the repository's root that are missing or different."""
    return changed_files({KEYRING: key.public, ARMORED_KEYRING: key.armored, **sources}, place)


def sources_files(
    place: RepositoryLayout, incoming: Mapping[str, Sequence[IncomingPackage]], lives: Mapping[str, PublishedSuite],
    settings: Settings,
) -> dict[str, bytes]:  # fmt: skip
    """Return the ``.sources`` files of the suites with ``incoming`` packages by name."""
    files = {}
    for name, items in incoming.items():
        found, live = {item.pool_package.architecture for item in items}, lives.get(name)
        text = sources_text(
            settings, place.path, name, architectures_of(settings, name, live, found),
            source=bool(live and live.keeps_sources) or SOURCE in found,
        )  # fmt: skip
        files[sources_name(settings, name)] = text.encode()
    return files


def changed_files(files: Mapping[str, bytes], place: RepositoryLayout) -> dict[str, bytes]:
    """Return those of the root's ``files`` that are missing or different in the repository."""
    with disk_errors(place.path):
        return {name: content for name, content in files.items() if not _holds(place.path / name, content)}


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def new_page(
    place: RepositoryLayout, suites: Sequence[NextSuite], settings: Settings, key: SigningKey, *,
    state: Path, changelogs: Changelogs, changed: bool,
) -> bytes:  # fmt: skip
    """Return the landing page; nothing where the published page was made of the same."""
    if not changed:
        path = place.path / PAGE
        known = catalog.inputs_digest(state, PAGE)
        if path.is_file() and known == inputs_digest(releases(suites), sha256_of(path), settings, key):
            return b""
    return page(settings, place.path, suites, key, changelogs)


def releases(suites: Sequence[NextSuite], changes: Iterable[SuiteChanges] = ()) -> dict[str, str]:
    """Return the digest of every suite's Release once ``changes`` are published."""
    live = {suite.name: suite.live.release_sha256 for suite in suites if suite.live}
    return live | {change.suite: change.release for change in changes}


def inputs_digest(shown: Mapping[str, str], page_sha256: str, settings: Settings, key: SigningKey) -> str:
    """Return the digest of what a page with ``page_sha256`` was made of; ``shown`` are the suites' Release files."""
    facts = [sorted(shown.items()), page_sha256, settings.model_dump_json(), key.fingerprints, key.expires, RULES]
    return document_digest(facts)
