"""The user's settings of pip that say where packages come from and how to get there; all others are left out.

``user``, ``target``, ``no-deps`` or ``require-hashes`` are meant for other work: they would put packages elsewhere,
leave some out, or refuse them. pip merges its files itself (``pip config list``). ./inv runs this file as a program,
before anything is installed, so it imports only Python's own modules.
"""

import ast
import os
import re
import shlex
import sys
from collections.abc import Mapping

KEPT = {
    "cache-dir", "cert", "client-cert", "default-timeout", "extra-index-url", "find-links", "index-url",
    "keyring-provider", "no-cache-dir", "no-index", "proxy", "resume-retries", "retries", "timeout", "trusted-host",
    "use-deprecated", "use-feature",
}  # fmt: skip
CERTIFICATES = {"truststore", "legacy-certs"}
"""The values of ``use-feature`` and ``use-deprecated`` that are kept: they choose the certificates."""
ENTRY = re.compile(r"(?P<section>[^.=]+)\.(?P<name>[^=]+)=(?P<value>.+)")
"""A line of ``pip config list``; the value is written as Python writes it."""


def variables_for_list(environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's variables for ``pip config list``: without those that change what it lists.

    A setting ``user`` means "of the user's file alone" to this command.
    """
    listing = dict.fromkeys(("PIP_USER", "PIP_GLOBAL", "PIP_SITE", "PIP_QUIET", "PIP_VERBOSE"), "0")
    return listing | {name: environ[name] for name in ["PIP_CONFIG_FILE"] if name in environ}


def variables(listing: str, environ: Mapping[str, str], command: str) -> dict[str, str]:
    """Return pip's variables for ``command`` (install, download): they alone decide, and pip reads no file.

    ``listing`` is the output of ``pip config list``. The variables of ``environ`` take precedence, as they do in pip.
    """
    found: dict[str, dict[str, str]] = {"global": {}, command: {}}
    for line in listing.splitlines():
        if (entry := ENTRY.fullmatch(line)) and entry["section"] in found:
            found[entry["section"]][entry["name"]] = str(ast.literal_eval(entry["value"]))
    given = {_name(name): value for name, value in environ.items() if name.startswith("PIP_")}
    kept = {name: value for name, value in (found["global"] | found[command] | given).items() if _useful(name, value)}
    if not kept.get("find-links"):
        kept.pop("no-index", None)  # nothing could be installed
    return {"PIP_CONFIG_FILE": os.devnull} | {_variable(name): " ".join(kept[name].split()) for name in sorted(kept)}


def _useful(name: str, value: str) -> bool:
    return name in KEPT and (not name.startswith("use-") or value in CERTIFICATES)


def _name(variable: str) -> str:
    return variable.removeprefix("PIP_").lower().replace("_", "-")


def _variable(name: str) -> str:
    return f"PIP_{name.upper().replace('-', '_')}"


def main() -> None:
    """Print the shell's commands that leave only the settings for ``pip install``; stdin is ``pip config list``."""
    for name in os.environ:
        if re.fullmatch(r"PIP_\w+", name):
            print(f"unset {name}")
    for name, value in variables(sys.stdin.read(), os.environ, "install").items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
