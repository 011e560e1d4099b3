"""The ``.sources`` file by which a machine adds a suite to its apt."""

import re
from pathlib import Path

from builders.apt.repository.layout import DEBUG_COMPONENT, INSTALLED_KEYRING, KEYRING
from builders.model.settings import Settings


def sources_name(settings: Settings, suite: str) -> str:
    """Return the name of a suite's ``.sources`` file at the repository's root."""
    label = re.sub(r"[^a-z0-9]+", "-", settings.repository.label.lower()).strip("-") or "reef"
    return f"{label}-{suite}.sources"


def sources_text(settings: Settings, repository: Path, suite: str, *, source: bool = False) -> str:
    """Return the ``.sources`` file (sources.list(5), deb822 style) that adds one suite to a machine.

    ``source`` says that the suite contains source packages: apt warns of an index that does not exist. The file names
    no key, so that it stays the same when another key takes over: the keyring package installs it too, and dpkg asks
    about a changed file that its owner edited.
    """
    url = settings.repository.url or repository.absolute().as_uri()
    return (
        f"# Save as /etc/apt/sources.list.d/{sources_name(settings, suite)}; the key goes first, as root:\n"
        f"#   {KEYRING}, from the same folder as this file, to {INSTALLED_KEYRING}\n"
        f"# Debug symbols: add {DEBUG_COMPONENT} to Components.\n"
        f"Types: deb{' deb-src' if source else ''}\n"
        f"URIs: {url}\n"
        f"Suites: {suite}\n"
        f"Components: {settings.repository.component}\n"
        f"Signed-By: {INSTALLED_KEYRING}\n"
    )
