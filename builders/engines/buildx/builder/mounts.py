"""Cache mounts, which BuildKit keeps between runs of jobs; no file of this machine shows them."""

import re

from builders.engines.buildx.builder import client
from builders.engines.buildx.builder.nodes import Node

MOUNT = re.compile(r"^Description:\s*cached mount /cache/(\S+) from exec .*/reef/runner\.pl ", re.MULTILINE)
"""BuildKit's description of a cache mount: its path and command, and in newer versions its id."""
ID = re.compile(r"^ID:\s*(\w+)", re.MULTILINE)
SIZE = re.compile(r"^Size:\s*(\S+)$", re.MULTILINE)


def usage(node: Node) -> list[tuple[str, str]]:
    """Return the names of the cache mounts that ``node`` keeps for jobs, and their sizes in buildx's words.

    Raises HostError if the node does not answer.
    """
    listed = client.call(["du", "--verbose", f"--builder={node.builder}"], node.environment)
    found = []
    for record in listed.split("\n\n"):
        name, size = MOUNT.search(record), SIZE.search(record)
        if name and size:
            found.append((name[1], size[1]))
    return sorted(found)


def remove(node: Node, word: str) -> None:
    """Remove the cache mounts that ``node`` keeps for commands with ``word`` in them; raises HostError."""
    listed = client.call(["du", "--verbose", f"--builder={node.builder}"], node.environment)
    for record in listed.split("\n\n"):
        name = ID.search(record)
        if name and word in record and MOUNT.search(record):
            # By its id: buildx compares every other filter for equality, for which descriptions are too long.
            client.call(["prune", "--force", f"--builder={node.builder}", f"--filter=id={name[1]}"], node.environment)
