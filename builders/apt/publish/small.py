"""Small repositories: some .debs as a repository of their own, with the signature of the published one."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from builders.apt.keys.gnupg import home_path, opened
from builders.apt.keys.signing import SigningKey, chosen, signing_key
from builders.apt.publish.stage import stage
from builders.apt.repository.context import RepositoryContext
from builders.apt.repository.layout import KEYRING
from builders.errors import PublishError
from builders.host.files import disk_errors
from builders.model.packages import DebFile
from builders.model.settings import Keep


def small_repository(context: RepositoryContext, debs: Mapping[str, Sequence[DebFile]], folder: Path) -> Path:
    """Make a signed repository of ``debs``, by suite, below the empty ``folder``, and return it; publish nothing.

    Raises PublishError, DiskError.
    """
    settings = context.settings
    plain: dict[str, object] = {"url": None, "contents": False, "keep": Keep(), "upload": []}
    made = stage(
        folder / "absent", debs, folder / "repository",
        settings=settings.model_copy(update={"repository": settings.repository.model_copy(update=plain)}),
        key=_published_key(context), log=context.log, date=int(time.time()), state=folder / "state",
    )  # fmt: skip
    return made.path


def _published_key(context: RepositoryContext) -> SigningKey:
    """Return the key that boards know; raises PublishError if this machine signs with another one, or with none."""
    home, keyring = home_path(context.settings), context.workspace.apt / KEYRING
    with opened(home) as place:
        there = bool(chosen(place, context.settings))
    with disk_errors(keyring):
        known = keyring.read_bytes()
    key = signing_key(context.settings, context.log) if there else None
    if key is None or key.public != known:
        raise PublishError(
            "this machine does not have the key of the published repository",
            f"{keyring} has another key than {home}",
            "make bundles on the machine that publishes, or publish with this machine's key: ./inv publish-apt",
        )
    return key
