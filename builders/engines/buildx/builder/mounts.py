"""What BuildKit keeps for jobs between their runs: cache mounts, which no file of this machine shows."""

import re

from builders.engines.buildx.builder import client
from builders.engines.buildx.builder.nodes import Node

MOUNT = re.compile(r"^Description:\s*cached mount /cache/(\S+) from exec .*/reef/runner\.pl ", re.MULTILINE)
"""How BuildKit describes one: by its place and the command that it was made for; newer ones tell its id, too."""
ID = re.compile(r"^ID:\s*(\w+)", re.MULTILINE)
SIZE = re.compile(r"^Size:\s*(\S+)$", re.MULTILINE)


def held(node: Node) -> list[tuple[str, str]]:
    """Return the names of the cache mounts that ``node`` has for jobs, and their sizes as buildx tells them.

    Raises HostError where it does not answer.
    """
    said = client.call(["du", "--verbose", f"--builder={node.builder}"], node.environment)
    found = []
    for record in said.split("\n\n"):
        name, size = MOUNT.search(record), SIZE.search(record)
        if name and size:
            found.append((name[1], size[1]))
    return sorted(found)


def remove(node: Node, word: str) -> None:
    """Remove the cache mounts that ``node`` has for commands with ``word`` in them; raises HostError."""
    said = client.call(["du", "--verbose", f"--builder={node.builder}"], node.environment)
    for record in said.split("\n\n"):
        name = ID.search(record)
        if name and word in record and MOUNT.search(record):
            # By its id: buildx makes of every other filter one for equality, which descriptions are too long for.
            client.call(["prune", "--force", f"--builder={node.builder}", f"--filter=id={name[1]}"], node.environment)
