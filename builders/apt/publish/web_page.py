"""The landing page at the repository's root: its packages, what changed, and how to add a suite.

Static and in one file: it works without scripts, from any folder and without other hosts. Its one script copies the
commands, and shows its own buttons.
"""

import functools
import re
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import jinja2

from builders.apt.indices.entry import IndexEntry
from builders.apt.keys.signing import SigningKey, day_of
from builders.apt.packages.changelogs import Changelogs
from builders.apt.publish.suite import NextSuite
from builders.apt.repository.layout import ARMORED_KEYRING, INSTALLED_KEYRING, KEYRING
from builders.apt.repository.sources_file import sources_name, sources_text
from builders.host import templates
from builders.host.log import size
from builders.model.settings import Settings

RULES = 3
"""Raise this number when the same content gives another page than before: the next publication makes it again."""
MOST_SHOWN = 500
"""Number of a suite's packages on the page; apt searches longer lists."""
SUMMARY = re.compile(rb"^Description: (.*)$", re.MULTILINE)
ROW = 4
"""Characters in a group of a fingerprint."""


def page(
    settings: Settings, repository: Path, suites: Sequence[NextSuite], key: SigningKey, changelogs: Changelogs
) -> bytes:
    """Return the page over the next ``suites``; the same content gives the same bytes. Raises DiskError."""
    url = (settings.repository.url or repository.as_uri()).rstrip("/") + "/"
    # wget does not know file: URLs.
    folder = shlex.quote(unquote(urlsplit(url).path).rstrip("/")) if url.startswith("file:") else ""
    ordered = sorted(suites, key=lambda suite: suite.name)
    arrival = max((suite.date for suite in suites), default=0)
    shown = [_suite(settings, repository, suite, arrival, changelogs) for suite in ordered]
    prints = [[name[start : start + ROW] for start in range(0, len(name), ROW)] for name in key.fingerprints]
    return (
        _template()
        .render(
            label=settings.repository.label, url=url, folder=folder, keyring=KEYRING, armored=ARMORED_KEYRING,
            installed=INSTALLED_KEYRING, fingerprints=prints, expires=day_of(key.expires) if key.expires else "",
            changed=max((day_of(suite.shown_date) for suite in ordered), default=""), suites=shown,
        )
        .encode()
    )  # fmt: skip


def _suite(
    settings: Settings, repository: Path, suite: NextSuite, arrival: int, changelogs: Changelogs
) -> dict[str, object]:
    binary = [entry for entry in suite.entries if not entry.is_source]
    main = [entry for entry in binary if entry.component == settings.repository.component]
    groups = [list(some) for _, some in groupby(sorted(main, key=lambda e: e.package), key=lambda e: e.package)]
    newest = {group[0].package: _newest(group) for group in groups[:MOST_SHOWN]}
    changes = changelogs.of([some[0] for some in newest.values()], repository)
    lines = sources_text(settings, repository, suite.name, suite.architectures, source=suite.keeps_sources).splitlines()
    return {
        "name": suite.name,
        "day": day_of(suite.shown_date),
        "size": size(sum(entry.size for entry in binary)),
        "cpus": suite.architectures,
        "sources_name": sources_name(settings, suite.name),
        "sources": [line for line in lines if not line.startswith("#")],
        "count": len(groups),
        "packages": [
            {
                "name": some[0].package,
                "summary": found[1].decode() if (found := SUMMARY.search(newest[some[0].package][0].stanza)) else "",
                "builds": [_build(entry, repository, arrival) for entry in newest[some[0].package]],
                "older": [
                    _build(entry, repository, arrival)
                    for entry in reversed(some)
                    if entry not in newest[some[0].package]
                ],
                "changes": changes[newest[some[0].package][0].sha256],
            }
            for some in groups[:MOST_SHOWN]
        ],
    }


def _newest(versions: Sequence[IndexEntry]) -> list[IndexEntry]:
    """Return the newest version for each CPU, the newest of all first; ``versions`` are sorted, oldest first."""
    last = {entry.architecture: entry for entry in versions}
    best = versions[-1].version
    return sorted(last.values(), key=lambda entry: (entry.version != best, entry.architecture))


def _build(entry: IndexEntry, repository: Path, arrival: int) -> dict[str, object]:
    try:
        published = int((repository / entry.filename).stat().st_mtime)
    except OSError:
        published = arrival  # it is arriving: its file gets this time
    return {
        "version": entry.version,
        "cpu": "every CPU" if entry.architecture == "all" else entry.architecture,
        "size": size(entry.size),
        "path": quote(entry.filename),
        "day": datetime.fromtimestamp(published, UTC).strftime("%Y-%m-%d"),
        "phase": entry.phase,
    }


@functools.cache
def _template() -> jinja2.Template:
    return templates.environment(Path(__file__).parent, html=True).get_template("web_page.html.j2")
