"""The license of a source tree: recognised by the words of its text, and by SPDX marks in its files."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from builders.maintenance.new_recipe.discovered import Rights

FILES = re.compile(r"(?i)(un)?licen[cs]e|copying(\.lesser|\.lib)?|copyright")
SUFFIXES = ("", ".txt", ".md", ".rst")
SPDX = re.compile(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+-]+)")
STATEMENT = re.compile(r"(?i)[\s#*/;]*((?:copyright|©|\(c\)).*)")
MARK = re.compile(r"(?i)^(?:copyright\b|©|\(c\)|&copy;|:|\s)+")
CONTINUED = re.compile(
    r"(Foundation|Incorporated|Inc\b|Corporation|Corp\b|Company|Ltd\b|Limited|LLC|GmbH|and |\d{4}\b)"
)
"""The beginning of a line that goes on with the statement of the line before."""
DATED = re.compile(r"(?P<years>\d{4}[\d\s,\u2013-]*?)[,\s]+(?P<holder>[^\d\s,\u2013-].*)")
LATER = re.compile(r"any later version|or later")
TEXTS = (
    ("Apache-2.0", "apache license version 2.0"),
    ("AGPL-3", "gnu affero general public license version 3"),
    ("LGPL-3", "gnu lesser general public license version 3"),
    ("LGPL-2.1", "gnu lesser general public license version 2.1"),
    ("LGPL-2", "gnu library general public license version 2"),
    ("GPL-3", "gnu general public license version 3"),
    ("GPL-2", "gnu general public license version 2"),
    ("MPL-2.0", "mozilla public license version 2.0"),
    ("BSL-1.0", "boost software license - version 1.0"),
    ("CC0-1.0", "cc0 1.0 universal"),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("Zlib", "this software is provided 'as-is', without any express or implied warranty"),
    ("BSD-3-Clause", "neither the name of"),
    ("BSD-2-Clause", "redistributions in binary form must reproduce the above copyright"),
    ("MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("ISC", "permission to use, copy, modify, and/or distribute this software for any purpose"),
    ("ISC", "permission to use, copy, modify, and distribute this software for any purpose"),
)
"""Words that a license's text has, without commas; the first that fits names it."""
COMMON = ("Apache-2.0", "GPL-2", "GPL-3", "LGPL-2", "LGPL-2.1", "LGPL-3", "MPL-2.0", "CC0-1.0")
"""Licenses whose text every Debian system has (Policy 12.5)."""
GNU = re.compile(r"(A?L?GPL-[\d.]+?)(?:\.0)?(-only|-or-later|\+)?")
MOST_FILES, HEAD_BYTES = 400, 3000
CODE = (".c", ".h", ".cc", ".cpp", ".hpp", ".py", ".rs", ".go", ".sh", ".build", ".ac")


def rights(tree: Path) -> Rights:
    """Return the license of a tree, with the copyright statements beside its text; empty if it is not recognised."""
    for path in _license_files(tree):
        text = path.read_text(encoding="utf-8", errors="replace")
        if name := recognised(text):
            name = _with_later(name, tree)
            if name.rstrip("+") in COMMON:  # a text whose copyright is not the source's
                return Rights(name, "", _statements(tree))
            statements = merged(copyright_lines(text))[:10]
            return Rights(name, text.strip(), statements or _statements(tree))
    marks = Counter(match[1] for head in _heads(tree) if (match := SPDX.search(head)))
    if marks:
        return Rights(debian_name(marks.most_common(1)[0][0]), "", _statements(tree))
    return Rights()


def recognised(text: str) -> str:
    """Return the short name of the license with this text, empty if it is unknown."""
    words = re.sub(r"[\s,*#]+", " ", text.lower()).strip()
    found = [(name, position) for name, phrase in TEXTS if (position := words.find(phrase.replace(",", ""))) >= 0]
    gnu = [each for each in found if each[0] not in ("BSD-3-Clause", "BSD-2-Clause", "MIT", "ISC", "Zlib")]
    # The text of one GNU license names others: its own name comes first.
    return min(gnu, key=lambda each: each[1])[0] if gnu else found[0][0] if found else ""


def debian_name(spdx: str) -> str:
    """Return Debian's short name of a license: ``GPL-3+`` for ``GPL-3.0-or-later``; others stay as they are."""
    found = GNU.fullmatch(spdx)
    if not found:
        return {"Expat": "MIT", "BSD-3-clause": "BSD-3-Clause", "BSD-2-clause": "BSD-2-Clause"}.get(spdx, spdx)
    return found[1] + ("+" if found[2] in ("-or-later", "+") else "")


def _license_files(tree: Path) -> Iterator[Path]:
    named = (path for path in sorted(tree.iterdir()) if path.suffix.lower() in (*SUFFIXES, ".lesser", ".lib"))
    found = [path for path in named if path.is_file() and FILES.match(path.name)]
    yield from found
    if (tree / "LICENSES").is_dir():
        yield from sorted((tree / "LICENSES").glob("*.txt"))


def _with_later(name: str, tree: Path) -> str:
    """Return a GNU license's name with ``+`` if the files of the tree allow later versions."""
    if not name.startswith(("GPL", "LGPL", "AGPL")):
        return name
    marks = [match[1] for head in _heads(tree) if (match := SPDX.search(head))]
    if marks:
        return name + ("+" if Counter(marks).most_common(1)[0][0].endswith(("-or-later", "+")) else "")
    return name + ("+" if any(LATER.search(re.sub(r"[\s#*/]+", " ", head)) for head in _heads(tree)) else "")


def _heads(tree: Path) -> Iterator[str]:
    """Yield the beginnings of the tree's first files of code."""
    paths = (path for path in sorted(tree.rglob("*")) if path.suffix in CODE and path.is_file())
    for path, _ in zip(paths, range(MOST_FILES), strict=False):
        with path.open("rb") as file:
            yield file.read(HEAD_BYTES).decode("utf-8", "replace")


def _statements(tree: Path) -> tuple[str, ...]:
    """Return the most frequent copyright statements of the files."""
    found = Counter(line for head in _heads(tree) for line in copyright_lines(head))
    return merged([statement for statement, _ in found.most_common(10)])[:5]


def copyright_lines(text: str) -> list[str]:
    """Return the copyright statements of a text that have a year, each whole, also from two lines."""
    found: list[str] = []
    lines = [line.strip(" \t\r#*/;") for line in text.splitlines()]
    for number, line in enumerate(lines):
        match = STATEMENT.fullmatch(line)
        if not match:
            continue
        whole = match[1]
        for other in lines[number + 1 : number + 4]:
            if not other or STATEMENT.fullmatch(other) or not (whole.endswith((",", " and")) or CONTINUED.match(other)):
                break
            whole += f" {other}"
        statement = bare(whole)
        if re.search(r"\d{4}", statement) and 4 < len(statement) < 300:
            found.append(statement)
    return found


def bare(statement: str) -> str:
    """Return a copyright statement without the word, its signs and its final full stop."""
    text = MARK.sub("", re.sub(r"\s+", " ", statement))
    return re.sub(r"(?i)[.,;]?\s*all rights reserved\b\.?", "", text).strip(" .;")


def merged(statements: Sequence[str]) -> tuple[str, ...]:
    """Return the statements, those of one holder as a single statement with all years."""
    found: dict[str, tuple[set[int], str]] = {}
    for statement in statements:
        dated = DATED.fullmatch(statement)
        holder = dated["holder"] if dated else statement
        before, _ = found.setdefault(re.sub(r"\W", "", holder).lower(), (set(), holder))
        before.update(_years(dated["years"]) if dated else ())
    return tuple(" ".join(filter(None, (_ranges(years), holder))) for years, holder in found.values())


def _years(text: str) -> Iterator[int]:
    """Yield each year of a list such as ``1998-2001, 2003``; also of ``1998-99``."""
    for first, last in re.findall(r"(\d{4})(?:\s*[-\u2013]\s*(\d{4}|\d\d))?", text):
        yield from range(int(first), int(first[: 4 - len(last)] + last) + 1)


def _ranges(years: Set[int]) -> str:
    """Return years as a list with ranges."""
    starts = [year for year in sorted(years) if year - 1 not in years]
    ends = [year for year in sorted(years) if year + 1 not in years]
    return ", ".join(str(start) if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True))
