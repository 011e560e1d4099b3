"""Find words that readers of Reef stumbled over, in messages, comments, docstrings, names and documentation.

.venv/bin/python -m tools.words            # what `./inv check` runs
.venv/bin/python -m tools.words builders/apt  # one folder or file
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
SCANNED = (
    "*.md", "*.yml", "inv", "tasks.py", "docs/*.md", "docs/recipes/*.md", "builders/**/*",
    "tools/*.py", "recipes/*/*.yml", ".ci/run",
)  # fmt: skip
EXCEPT = ("tools/words.py",)
TEXT_SUFFIXES = (".md", ".j2", ".sh", ".pl", ".txt", ".toml", ".Dockerfile", "")
"""Files that are read as a whole: their commands use none of the words."""


@dataclass(frozen=True)
class Rule:
    """A pattern for text, and the better words."""

    pattern: re.Pattern[str]
    better: str


def _rule(pattern: str, better: str) -> Rule:
    spaced = pattern.replace(" ", r"\s+")
    return Rule(re.compile(rf"\b(?:{spaced})(?!\w)", re.IGNORECASE), better)


PRONOUN = (
    r"(?=[.,;:)\"]|$| (?:that|which|who|where|for|is|has|had|was|would|needs|used|builds|in|to|from|away|alone)\b)"
)
"""After ``one`` where it stands for a noun; before a noun it is a number."""
RULES = (
    _rule(r"lies|lie|lay|lain|lying", "is, is in, is stored in"),
    _rule(r"told", "reported, shown, printed, named"),
    _rule(r"tells?(?! apart)", "return, report, show, say"),
    _rule(r"(?:be|is|are|was|were|been) had", "fetched, obtained, available"),
    _rule(r"mend(?:s|ed|ing)?", "correct, fix, repair"),
    _rule(r"wanted|wants", "expected, needed, requested; needs, requires"),
    _rule(r"there twice", "duplicate"),
    _rule(r"(?:be|is|are|was|were|been) there(?! (?:is|are|an?|any|no|more))", "exists, is present, is installed"),
    _rule(r"(?:go|goes|going|went|gone) by", "uses, follows"),
    _rule(r"(?:go|goes) before|(?:variable \S+|REEF_\w+\W?,?|which) goes first", "takes precedence"),
    _rule(r"gone on with", "continued, resumed"),
    _rule(r"(?:let|lets|letting) go of", "removes, deletes, drops"),
    _rule(r"pass(?:es|ed)? over", "ignores, skips"),
    _rule(r"(?:stand|stands|stood) (?:in(?! for)|there|beside|at)", "is in, is listed in, is named"),
    _rule(r"in the place of", "instead of"),
    _rule(r"anew", "again"),
    _rule(r"shall", "must; or the present tense"),
    _rule(rf"(?<!there\s)(?:is|are|was|were|as) ones?{PRONOUN}", "repeat the noun"),
    _rule(rf"(?:this|that) one(?:'s|{PRONOUN})", "repeat the noun"),
    _rule(r"(?<!there\s)(?:is|are|was|were) none", "is not a ..., does not exist"),
    Rule(re.compile(r"\A\W*What\b(?! to do)"), "begin with the noun"),
)  # fmt: skip
NAMES = {"told": "reported", "mend": "fix", "wanted": "the noun: target, expected, requested"}
"""Parts of identifiers, and the better words; the name ``one`` is refused as a whole."""


@dataclass(frozen=True)
class Finding:
    """A word in a file, and the better words."""

    path: Path
    line: int
    word: str
    better: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r}: better {self.better}"


def in_text(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line (from 0), the word and the better words of each finding in a text; it may span a line's end."""
    for rule in RULES:
        for match in rule.pattern.finditer(re.sub(r"\s*\n[\s#]*", lambda ends: " " * len(ends[0]), text)):
            yield text.count("\n", 0, match.start()), " ".join(match[0].split()), rule.better


def in_name(name: str) -> Iterator[tuple[str, str]]:
    """Yield the identifier and the better words where a part of it is refused."""
    if name == "one":
        yield name, "the noun of what it holds"
    for part in re.findall(r"[A-Z]?[a-z]+", name):
        if part.lower() in NAMES:
            yield name, NAMES[part.lower()]


def in_python(code: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line (from 1), the word and the better words of each finding in comments, strings and names."""
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        line = token.start[0]
        if token.type == tokenize.NAME:
            yield from ((line, *found) for found in in_name(token.string))
        elif token.type == tokenize.COMMENT:
            if comments and comments[-1][0] + comments[-1][1].count("\n") + 1 == line:
                comments[-1] = (comments[-1][0], f"{comments[-1][1]}\n{token.string}")
            else:
                comments.append((line, token.string))
        elif tokenize.tok_name[token.type] in ("STRING", "FSTRING_MIDDLE"):
            yield from ((line + below, *found) for below, *found in in_text(token.string))  # type: ignore[misc]
    for line, text in comments:
        yield from ((line + below, word, better) for below, word, better in in_text(text))


def comments_in_yaml(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line (from 1) and the text of each comment; texts and scripts of recipes are parts of packages."""
    block = None  # the indentation of the key whose block of text the lines belong to
    for number, line in enumerate(text.splitlines(), 1):
        indentation = len(line) - len(line.lstrip())
        if block is not None and (not line.strip() or indentation > block):
            continue
        block = indentation if re.search(r"[|>][-+0-9]*$", line) else None
        if comment := re.search(r"(?:^|\s)#(.*)", line):
            yield number, comment[1]


def in_file(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the line (from 1), the word and the better words of each finding in a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from in_python(text)
    elif path.suffix in (".yml", ".yaml"):
        for number, comment in comments_in_yaml(text):
            yield from ((number, word, better) for _, word, better in in_text(comment))
    elif path.suffix in TEXT_SUFFIXES:
        yield from ((below + 1, word, better) for below, word, better in in_text(text))


def scanned(below: Sequence[str] = ()) -> list[Path]:
    """Return the files to read, relative to the checkout, sorted; those of the folders and files named, if any."""
    found = {path for pattern in SCANNED for path in CHECKOUT.glob(pattern) if path.is_file()}
    names = sorted(path.relative_to(CHECKOUT) for path in found if "__pycache__" not in path.parts)
    chosen = [Path(name) for name in below]
    return [
        name
        for name in names
        if str(name) not in EXCEPT and (not chosen or any(name.is_relative_to(part) for part in chosen))
    ]


def findings(below: Sequence[str] = ()) -> list[Finding]:
    """Return every finding, by file and line."""
    return sorted(
        (Finding(path, *found) for path in scanned(below) for found in set(in_file(CHECKOUT / path))),
        key=lambda finding: (str(finding.path), finding.line, finding.word),
    )


def main(below: Sequence[str]) -> int:
    """Print the findings; return the exit code, 1 where there are any."""
    found = findings(below)
    for finding in found:
        print(finding)
    if found:
        print(f"{len(found)} words that readers stumble over; write the better ones (CONTRIBUTING.md, Words)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
