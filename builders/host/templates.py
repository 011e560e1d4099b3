"""The Jinja2 environment of all templates: an undefined variable is an error, and line ends are preserved."""

import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import jinja2
from jinja2.bccache import Bucket

from builders.host.files import document_digest


class _CompiledTemplates(jinja2.FileSystemBytecodeCache):
    """Compiled templates in ``__pycache__`` beside their sources, as Python keeps its modules.

    Jinja2 compares a digest of the source and Python's version; ``options`` and Jinja2's version are in the name.
    """

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        digest = document_digest([jinja2.__version__, sorted(map(str, options.items()))])[:12]
        super().__init__(str(folder / "__pycache__"), f"%s.{digest}.jinja2c")

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with suppress(OSError):  # the folder is another user's: templates are compiled each time
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)


def environment(folder: Path, *, html: bool = False, **syntax: Any) -> jinja2.Environment:
    """Return the environment of the templates in ``folder``; the filter ``quoted`` quotes a word for a shell.

    ``html`` escapes every value; ``syntax`` has Jinja2's delimiters that differ from the default.
    """
    lines = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True} | syntax
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined,
        bytecode_cache=_CompiledTemplates(folder, lines | {"html": html}),
        autoescape=html,  # noqa: S701 - control files, shell and YAML need no HTML escapes
        **lines,
    )  # fmt: skip
    made.filters["quoted"] = shlex.quote
    return made
