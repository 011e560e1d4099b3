"""The facts in a source tree: its build system, and the facts in that system's own files."""

import configparser
import re
import tomllib
from collections.abc import Callable, Mapping
from email.parser import HeaderParser
from pathlib import Path

from builders.maintenance.new_recipe import licenses
from builders.maintenance.new_recipe.discovered import Discovered, Rights

COMPILED = (".c", ".cc", ".cpp", ".pyx", ".rs", ".f", ".f90")
BEFORE = "rc|alpha|beta|preview|pre|dev|snapshot"
"""Words of versions before a release; Python also has the letters ``a``, ``b`` and ``c`` (PEP 440)."""
RELEASE = re.compile(
    rf"(?i)(?:^|[-_/])v?(\d+(?:\.\d+)+(?:[abc]\d+)?(?:[-_.~]?(?:{BEFORE})[-_.]?\d*)*[a-z]?)(?=$|[-_.])"
)
SHARED = ("-DBUILD_SHARED_LIBS=ON",)
"""CMake's own default is static libraries, whose security updates reach no program (Policy 4.13)."""
NO_SUMMARY = re.compile(
    r"(?i)\bread[ -]?me\b|\bcopyright\b|\b(this|the following) (file|document|directory|folder|section|page)\b"
    r"|^(this|these|here|see|for|please|welcome|if|note|you|we|to|version|table of|contents|installation)\b"
)
"""Sentences of a README on itself, or to its reader."""
QUOTED = r"""['"]([^'"]*)['"]"""


def tree_facts(tree: Path) -> Discovered:
    """Return the facts of the tree's own files; debhelper's order decides between several build systems."""
    for system, file, read in READERS:
        if (tree / file).is_file():
            found = Discovered(system=system).completed(read(tree))
            break
    else:
        found = Discovered()
    own = licenses.rights(tree)
    rights = Rights(found.rights.license or own.license, own.text, own.statements)
    # Files of build systems have variables in it.
    homepage = found.homepage if re.fullmatch(r"https?://[^\s<>]+", found.homepage) else ""
    return Discovered(
        system=found.system, options=found.options, version=upstream_version(found.version), summary=found.summary,
        description=found.description, homepage=homepage, rights=rights, tools=found.tools, pure=_pure(tree),
    )  # fmt: skip


def release_in(name: str) -> str:
    """Return the version in the name of an archive or a folder, empty if there is none."""
    stem = re.sub(r"(\.orig)?(\.tar\.\w+|\.tgz|\.tbz2?|\.txz|\.zip|\.tar)$", "", name)
    found = RELEASE.findall(stem)
    return upstream_version(found[-1]) if found else ""


def upstream_version(text: str) -> str:
    """Return a version as Policy 5.6.12 spells it, a candidate before its release; empty if it is not a version.

    A development version comes before all candidates (PEP 440), in Debian's order by a second tilde.
    """
    text = re.sub(r"^(\d+(?:\.\d+)*)([abc]\d+)(?![^-_.+])", r"\1~\2", text.strip().removeprefix("v"))
    # In lower case, so that a beta version comes before a candidate.
    before = re.compile(rf"(?i)[-_.~]?(?<![a-z])({BEFORE})[-_.]?(?=\d|[-_.+~]|$)")
    text = before.sub(lambda found: {"dev": "~~dev"}.get(word := found[1].lower(), f"~{word}"), text)
    text = re.sub(r"[-_]", ".", text)
    return text if re.fullmatch(r"[0-9][A-Za-z0-9.+~]*", text) else ""


def _autoconf(tree: Path) -> Discovered:
    path = next(path for name in ("configure.ac", "configure.in", "configure") if (path := tree / name).is_file())
    text = _text(path)
    if path.name == "configure":
        named = {key: value for key, value in re.findall(r"^PACKAGE_(\w+)='([^'\n]*)'$", text, re.MULTILINE)}
        return Discovered(version=named.get("VERSION", ""), homepage=named.get("URL", ""))
    found = re.search(r"AC_INIT\(((?:[^()]|\([^()]*\))*)\)", text)
    parts = [re.sub(r"[\[\]\s]+", " ", part).strip() for part in found[1].split(",")] if found else []
    version, url = (parts[index] if len(parts) > index else "" for index in (1, 4))
    generated = (tree / "configure").is_file()
    if not re.fullmatch(r"[\w.+~-]+", version) and generated:  # computed by m4
        return _autoconf_generated(tree)
    return Discovered(version=version, homepage=url if url.startswith("http") else "")


def _autoconf_generated(tree: Path) -> Discovered:
    found = re.search(r"^PACKAGE_VERSION='([^'\n]*)'$", _text(tree / "configure"), re.MULTILINE)
    return Discovered(version=found[1] if found else "")


def _cmake(tree: Path) -> Discovered:
    text = re.sub(r"#[^\n]*", "", _text(tree / "CMakeLists.txt"))
    found = re.search(r"(?is)\bproject\s*\(\s*(.*?)\)", text)
    words = found[1] if found else ""
    version = re.search(r"\bVERSION\s+\"?([0-9][\w.]*)", words)
    summary = re.search(r"\bDESCRIPTION\s+\"([^\"]*)\"", words)
    homepage = re.search(r"\bHOMEPAGE_URL\s+\"([^\"]*)\"", words)
    return Discovered(
        options=SHARED, version=version[1] if version else "", summary=summary[1] if summary else "",
        homepage=homepage[1] if homepage else "",
    )  # fmt: skip


def _meson(tree: Path) -> Discovered:
    text = re.sub(r"#[^\n]*", "", _text(tree / "meson.build"))
    found = re.search(r"(?s)\bproject\s*\((.*?)\n?\)\s*\n", text + "\n")
    words = found[1] if found else ""
    version = re.search(rf"\bversion\s*:\s*{QUOTED}", words)
    license_ = re.search(rf"\blicense\s*:\s*\[?\s*{QUOTED}", words)
    name = licenses.debian_name(license_[1]) if license_ else ""
    return Discovered(version=version[1] if version else "", rights=Rights(name))


def _python(tree: Path) -> Discovered:
    found = Discovered()
    if (tree / "PKG-INFO").is_file():
        found = found.completed(_metadata(_text(tree / "PKG-INFO")))
    if (tree / "pyproject.toml").is_file():
        found = found.completed(_pyproject(_text(tree / "pyproject.toml")))
    if (tree / "setup.cfg").is_file():
        found = found.completed(_setup_cfg(_text(tree / "setup.cfg")))
    return found


def _metadata(text: str) -> Discovered:
    """Return the facts of a source distribution's PKG-INFO."""
    headers = HeaderParser().parsestr(text)
    urls = [value.partition(",")[2].strip() for value in headers.get_all("Project-URL", [])]
    return Discovered(
        version=headers.get("Version", ""), summary=headers.get("Summary", ""),
        homepage=headers.get("Home-page") or (urls[0] if urls else ""),
        rights=Rights(licenses.debian_name(headers.get("License-Expression", ""))),
    )  # fmt: skip


def _pyproject(text: str) -> Discovered:
    """Return the facts of ``[project]``, then those of ``[tool.poetry]``; values of other types are left out."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return Discovered()
    found = Discovered()
    for table in (_table(document.get("project")), _table(_table(document.get("tool")).get("poetry"))):
        given = table.get("license")
        urls = {key.lower(): _word(url) for key, url in _table(table.get("urls")).items()}
        found = found.completed(Discovered(
            version=_word(table.get("version")), summary=_word(table.get("description")),
            homepage=_word(table.get("homepage")) or urls.get("homepage") or next(filter(None, urls.values()), ""),
            rights=_named_rights(_word(given) or _word(_table(given).get("text"))),
        ))  # fmt: skip
    return found


def _setup_cfg(text: str) -> Discovered:
    """Return the facts of setuptools' ``[metadata]``; values that it reads from other files are left out."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return Discovered()
    given = parser["metadata"] if parser.has_section("metadata") else {}
    # setuptools reads dashes as underscores.
    known = {key.replace("-", "_"): value for key, value in given.items() if not value.startswith(("attr:", "file:"))}
    return Discovered(
        version=known.get("version", ""), summary=known.get("description") or known.get("summary", ""),
        homepage=known.get("url") or known.get("home_page", ""), rights=_named_rights(known.get("license", "")),
    )  # fmt: skip


def _named_rights(name: str) -> Rights:
    return Rights(licenses.debian_name(name) if re.fullmatch(r"[\w.+-]+", name) else "")


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _nothing(_tree: Path) -> Discovered:
    return Discovered()


READERS: tuple[tuple[str, str, Callable[[Path], Discovered]], ...] = (
    ("autotools", "configure", _autoconf),
    ("autotools", "configure.ac", _autoconf),
    ("autotools", "configure.in", _autoconf),
    ("cmake", "CMakeLists.txt", _cmake),
    ("meson", "meson.build", _meson),
    ("python", "pyproject.toml", _python),
    ("python", "setup.py", _python),
    ("make", "Makefile", _nothing),
    ("make", "makefile", _nothing),
    ("make", "GNUmakefile", _nothing),
)
"""Build systems by the file that shows them, with the reader of their facts."""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def readme_summary(tree: Path) -> str:
    """Return the first sentence of the README that can be a summary, empty if there is none."""
    for path in sorted(tree.glob("README*")):
        paragraphs = re.split(r"\n\s*\n", _text(path)[:4000]) if path.is_file() else []
        for paragraph in paragraphs:
            line = re.sub(r"\s+", " ", re.sub(r"`?(\w+)`?_\b", r"\1", paragraph)).strip()  # links of reStructuredText
            sentence = re.split(r"(?<=[a-z)])\. ", line)[0].rstrip(".")
            sentence = re.sub(r"(?i)^this (?:\w+ )?is (?=(?:an?|the) )", "", sentence)
            if NO_SUMMARY.search(sentence):
                continue
            if re.match(r"[A-Za-z][^<\[\]!|=#*`]{15,}$", sentence) and " " in sentence:
                return sentence
    return ""


def _pure(tree: Path) -> bool:
    """Return whether a Python project compiles nothing."""
    tests = {"test", "tests", "docs", "doc", "examples", "benchmarks"}
    code = (path.relative_to(tree) for path in tree.rglob("*") if path.suffix in COMPILED)
    return not any(tests.isdisjoint(path.parts[:-1]) for path in code)
