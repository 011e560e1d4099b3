"""The page for people at the repository's root: what is there, and how to add it. Static, without scripts."""

import functools
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import jinja2

from builders.apt.index import Entry
from builders.apt.keys import SigningKey, day_of
from builders.apt.layout import ARMORED_KEYRING, KEYRING
from builders.apt.suite import NextSuite, sources_name, sources_text
from builders.log import size
from builders.settings import Settings

PAGE = "index.html"
SUMMARY = re.compile(rb"^Description: (.*)$", re.MULTILINE)


def page(settings: Settings, repository: Path, suites: Sequence[NextSuite], key: SigningKey) -> bytes:
    """Return the page over ``suites`` as they will be; the same content gives the same bytes."""
    url = (settings.repository.url or repository.as_uri()).rstrip("/") + "/"
    ordered = sorted(suites, key=lambda suite: suite.name)
    return (
        _template()
        .render(
            label=settings.repository.label, url=url, keyring=KEYRING, armored=ARMORED_KEYRING,
            fingerprints=key.fingerprints, expires=day_of(key.expires) if key.expires else "",
            changed=max((day_of(suite.shown_date) for suite in ordered), default=""),
            suites=[_suite(settings, repository, suite) for suite in ordered],
        )
        .encode()
    )  # fmt: skip


def _suite(settings: Settings, repository: Path, suite: NextSuite) -> dict[str, object]:
    shown = [entry for entry in suite.entries if entry.component == settings.repository.component]
    groups = groupby(
        sorted(shown, key=lambda entry: (entry.package, entry.architecture)), key=lambda e: (e.package, e.architecture)
    )
    return {
        "name": suite.name,
        "day": day_of(suite.shown_date),
        "size": size(sum(entry.size for entry in suite.entries)),
        "sources_name": sources_name(settings, suite.name),
        "sources": sources_text(settings, repository, suite.name),
        "packages": [_package(list(versions)) for _, versions in groups],
    }


def _package(versions: list[Entry]) -> dict[str, object]:
    newest, older = versions[-1], versions[-2::-1]
    found = SUMMARY.search(newest.stanza)
    return {
        "name": newest.package,
        "version": newest.version,
        "cpu": newest.architecture,
        "size": size(newest.size),
        "summary": found[1].decode() if found else "",
        "path": quote(newest.filename),
        "older": [(entry.version, quote(entry.filename)) for entry in older],
    }


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=True,
    )  # fmt: skip
    return environment.get_template("page.html.j2")
