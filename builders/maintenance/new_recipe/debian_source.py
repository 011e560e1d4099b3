"""A source package of Debian: its files in the pool, and what its packaging says."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from debian.deb822 import Deb822, PkgRelation, Sources
from debian.debian_support import Version

from builders.errors import HostError, SourceError, nearest
from builders.maintenance import debian_index
from builders.maintenance.new_recipe import licenses
from builders.maintenance.new_recipe.discovered import DebianBinary, Discovered, Rights, unique
from builders.model.context import Context
from builders.model.target import Target

ORIGINAL = re.compile(r".*\.orig(?:-(?P<component>[a-zA-Z0-9-]+))?\.tar\.\w+")
FREE = (
    "automake", "autoconf", "libtool", "build-essential", "ccache", "debhelper", "dh-autoreconf", "dh-exec",
    "dh-python", "dpkg-dev", "lintian", "meson", "ninja-build", "pkg-config", "pkgconf", "python3-all",
    "python3-all-dev", "libpython3-all-dev", "pybuild-plugin-pyproject", "python3-setuptools", "python3-wheel",
)  # fmt: skip
"""Build dependencies that every build has under this name or another, or that serve Debian's own packaging."""
DOCUMENTATION = re.compile(
    r"texlive.*|latex.*|dblatex|doxygen.*|mkdocs.*|sphinx-.*|furo|openstack-pkg-tools|fonts-.*"
    r"|python3-(.*sphinx.*|openstackdocstheme|reno|furo|myst-.*|nbsphinx|numpydoc|recommonmark|.*-theme)"
)
"""Build dependencies of manuals in HTML and PDF, and of their publication, which no package of a new recipe needs."""
OF_REEF = re.compile(
    r"control(\..*)?|rules|copyright(\..*)?|compat|source|patches|tests|upstream|watch|clean|gbp\.conf"
    r"|.*gitlab-ci.*\.ya?ml|.*salsa-ci.*\.ya?ml|\.git.*|README\.source|missing-sources"
    r"|(.*\.)?(changelog|docs|doc-base|examples|info|manpages|install|dirs|not-installed|substvars|lintian-overrides)"
)
"""Names in ``debian/`` that Reef writes itself, that serve Debian's work, or that add documentation alone."""
MADE = {"cross", "nocheck"}
"""Build profiles of a first build."""
NOT_TARGET = ("native", "any")
RENDERED = "Reef writes its own, or needs none."
UNTAKEN = "Not taken, although Debian's packages have its effect."
RUNTIME = re.compile(r"(lib.*-dev|.*-dev|lib[a-z0-9.+-]*\d)")
SYSTEMS = {"cmake": "cmake", "meson": "meson", "pybuild": "python", "autoconf": "autotools", "makefile": "make"}


@dataclass(frozen=True)
class DebianSource:
    """A source package: ``stanza`` is its entry in the index of sources."""

    stanza: Sources
    suite: str

    @property
    def name(self) -> str:
        """Name of the source package."""
        return str(self.stanza["Package"])

    @property
    def version(self) -> Version:
        """Debian's version."""
        return Version(self.stanza["Version"])

    @property
    def files(self) -> dict[str, str]:
        """The SHA-256 of its files, by their paths on a mirror."""
        return {
            f"{self.stanza['Directory']}/{file['name']}": str(file["sha256"])
            for file in self.stanza["Checksums-Sha256"]
        }

    @property
    def sources(self) -> tuple[Mapping[str, object], ...]:
        """The entries of ``sources:`` with upstream's files; a component is unpacked into the folder of its name."""
        found = []
        for path, sha256 in sorted(self.files.items()):
            original = ORIGINAL.fullmatch(path)
            if not original and not (self.native and path.endswith((".tar.gz", ".tar.xz", ".tar.bz2"))):
                continue
            component = original["component"] if original else None
            name = f"{self.name}-{component.lower()}" if component else self.name
            entry: dict[str, object] = {"name": name, "debian": {"path": path, "sha256": sha256}}
            found.append(entry | ({"unpack": component} if component else {}))
        return tuple(sorted(found, key=lambda entry: "unpack" in entry))

    @property
    def native(self) -> bool:
        """Whether upstream's files and Debian's are in the same archive."""
        return not self.version.debian_revision

    @property
    def packaging(self) -> Mapping[str, Any] | None:
        """The entry of ``sources:`` with Debian's own files, None if they are a diff or in the same archive."""
        for path, sha256 in self.files.items():
            if ".debian.tar." in path:
                return {"name": "packaging", "debian": {"path": path, "sha256": sha256, "strip": 0}}
        return None

    def patches(self, folder: Path) -> tuple[Mapping[str, object], ...]:
        """Return the entry of ``sources:`` with Debian's patches, which dpkg-source applies; none if there are none.

        ``folder`` is the ``debian/`` of its own files.
        """
        if self.packaging is None or not _patches(folder / "patches" / "series"):
            return ()
        untaken = not_taken(folder)
        others = [
            {"path": path.name, "reason": UNTAKEN if path.name in untaken else RENDERED}
            for path in sorted(folder.iterdir()) if path.name != "patches"
        ]  # fmt: skip
        pool = {**self.packaging["debian"], "strip": 1}
        return ({"name": "debian-patches", "unpack": "debian", "debian": pool, "exclude": others},)

    @property
    def revision(self) -> int:
        """A revision above Debian's, so that apt on boards prefers the package."""
        found = re.match(r"\d+", self.version.debian_revision or "")
        return int(found[0]) + 1 if found else 1

    def facts(self, target: Target, context: Context) -> Discovered:
        """Return what Debian's indices say; raises HostError."""
        binaries = self._binaries(target, context)
        independent = {each.architecture for each in binaries} == {"all"}
        tools, libraries, manuals = _build_depends(self.stanza, target, independent=independent)
        return Discovered(
            binaries=binaries, summary=_main(self.name, binaries).summary,
            sources=self.sources, origin=f"Debian's source package {self.name} {self.version}",
            version=(self.version.upstream_version or "").replace("-", "."),
            epoch=int(self.version.epoch or 0), revision=self.revision,
            homepage=self.stanza.get("Homepage", ""), tools=tools, libraries=libraries,
            notes=(f"Debian's tools for documentation are left out: {', '.join(manuals)}.",) if manuals else (),
        )  # fmt: skip

    def _binaries(self, target: Target, context: Context) -> tuple[DebianBinary, ...]:
        """Return the binary packages of the source, in the order of the index."""
        # deb-src-control(5), Package-List
        listed = [line for line in self.stanza.get("Package-List", []) if line["package-type"] == "deb"]
        sections = {line["package"]: line["section"].rpartition("/")[2] for line in listed}
        for_all = {line["package"] for line in listed if "arch=all" in line["_other"].split()}
        found = debian_index.summaries(context, self.suite, target.architecture, sections) if sections else {}
        return tuple(
            DebianBinary(name, section, found.get(name, ""), "", "all" if name in for_all else "any")
            for name, section in sections.items()
        )


def debian_source(name: str, suite: str, context: Context) -> DebianSource:
    """Return the newest source package ``name`` of a suite; raises SourceError with the nearest name, HostError."""
    text = debian_index.source_stanzas(context, suite, name)
    found = [stanza for stanza in Sources.iter_paragraphs(text, use_apt_pkg=False) if stanza.get("Package") == name]
    if found:
        return DebianSource(max(found, key=lambda stanza: Version(stanza["Version"])), suite)
    names = debian_index.source_names(context, suite)
    guesses = (name, f"python3-{name}", f"lib{name}-dev")
    made = {binary: source for source, binaries in names.items() for binary in binaries}
    owner = next((guess for guess in guesses if guess in made), None)
    hint = f"the source of {owner} is {made[owner]!r}" if owner else nearest(name, names)
    raise SourceError(
        f"{name!r} is no source package of Debian {suite}",
        hint if len(hint) < 200 else f"{len(names)} source packages were searched",
        "name a source package, a URL, a git repository or a folder",
    )


def hints(name: str, target: Target, context: Context) -> Discovered:
    """Return what Debian's source package ``name`` says of another release of it; nothing if Debian has none.

    Nothing depends on it: without an answer of the mirror there are no hints.
    """
    try:
        source = debian_source(name, target.suite.name, context)
        found = source.facts(target, context)
    except (SourceError, HostError):
        return Discovered()
    note = f"Debian has a source package {name}: its build dependencies, package names and epoch are taken."
    return replace(found, sources=(), origin="", version="", revision=1, notes=(note, *found.notes))


def packaging_facts(folder: Path, source: DebianSource) -> Discovered:
    """Return what Debian's own files say; ``folder`` is its ``debian/``."""
    control, copyright_ = folder / "control", folder / "copyright"
    binaries = tuple(_binaries(control)) if control.is_file() else ()
    main = _main(source.name, binaries)
    patches = _patches(folder / "patches" / "series")
    more = f" and {len(patches) - 5} more" if len(patches) > 5 else ""
    notes = (f"Debian's patches are applied: {', '.join(patches[:5])}{more}",) if patches else ()
    return Discovered(
        sources=source.patches(folder), summary=main.summary, description=main.description, binaries=binaries,
        rights=_rights(copyright_) if copyright_.is_file() else Rights(), **_rules(folder / "rules"),
        notes=(*notes, *filter(None, [lacking(folder)])),
    )  # fmt: skip


def _binaries(control: Path) -> Iterator[DebianBinary]:
    paragraphs = list(Deb822.iter_paragraphs(control.read_text(encoding="utf-8", errors="replace"), use_apt_pkg=False))
    default = paragraphs[0].get("Section", "misc") if paragraphs else "misc"
    for paragraph in paragraphs[1:]:
        if "Package" not in paragraph or paragraph.get("Package-Type") == "udeb":
            continue
        summary, _, rest = paragraph.get("Description", "").partition("\n")
        lines = [line[1:] if line.strip() != "." else "" for line in rest.splitlines()]
        yield DebianBinary(
            paragraph["Package"], paragraph.get("Section", default), summary.strip(), "\n".join(lines).strip("\n"),
            paragraph.get("Architecture", "any"),
        )  # fmt: skip


def lacking(folder: Path) -> str:
    """Return a sentence on what Debian's packages do and those of a new recipe do not; empty if it is nothing."""
    names = ", ".join(not_taken(folder))
    if not names:
        return ""
    return (
        f"Debian's packages do more: {names} are not taken from its debian/. Read them, and add what boards need "
        "(scripts, conffiles, links, systemd and other keys)."
    )


def not_taken(folder: Path) -> tuple[str, ...]:
    """Return the files of Debian's ``debian/`` that add something to its packages, and that a new recipe leaves out.

    They are maintainer scripts, configuration, links, symbols, triggers, services and the like (debhelper(7)).
    """
    return tuple(path.name for path in sorted(folder.iterdir()) if not OF_REEF.fullmatch(path.name))


def _patches(series: Path) -> list[str]:
    if not series.is_file():
        return []
    lines = series.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _rights(path: Path) -> Rights:
    """Return the paragraph of all files of a machine-readable debian/copyright, nothing of another one."""
    text = path.read_text(encoding="utf-8", errors="replace")
    paragraphs = list(Deb822.iter_paragraphs(text, use_apt_pkg=False))
    texts = {each["License"].partition("\n")[0]: each["License"].partition("\n")[2] for each in paragraphs
             if "License" in each and "Files" not in each}  # fmt: skip
    for paragraph in paragraphs:
        if paragraph.get("Files", "").split()[:1] == ["*"] and "License" in paragraph:
            short, _, own = paragraph["License"].partition("\n")
            name = licenses.debian_name(short.strip())
            body = own or texts.get(short, "")
            lines = [line[1:] if line.strip() != "." else "" for line in body.splitlines()]
            common = name.rstrip("+") in licenses.COMMON
            statements = [licenses.bare(line) for line in paragraph.get("Copyright", "").splitlines()]
            return Rights(
                name, "" if common else "\n".join(lines), licenses.merged(list(filter(None, statements)))[:10]
            )
    return Rights()


def _rules(path: Path) -> dict[str, Any]:
    """Return the build system and its options that debian/rules names; options that make computes are left out."""
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    system = re.search(r"--buildsystem[= ](\w+)", text)
    given = re.search(r"^\tdh_auto_configure\b[^\n]*? -- ([^\n]*)$", text, re.MULTILINE)
    options = tuple(word for word in given[1].split() if re.fullmatch(r"-[\w.=/:,+-]+", word)) if given else ()
    folder = re.search(r"--sourcedir(?:ectory)?[= ]([\w./-]+)", text)
    return {
        "folder": folder[1].rstrip("/") if folder else "",
        "system": SYSTEMS.get(system[1], "") if system else "",
        "options": options,
    }


def _main(name: str, binaries: Sequence[DebianBinary]) -> DebianBinary:
    """Return the binary package that says what the source is: of its name, else its library, else the first."""
    named = [each for each in binaries if each.name == name]
    if named:
        return named[0]
    aside = ("doc", "debug")
    suitable = [each for each in binaries if each.section.rpartition("/")[2] not in aside and each.name[-4:] != "-doc"]
    first = next(iter((*suitable, *binaries)), DebianBinary(""))
    other = next((each for each in suitable if each.section == "libs"), first)
    return replace(other, summary=re.split(r" - | \(", other.summary)[0])


def _build_depends(
    stanza: Sources, target: Target, *, independent: bool
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the build dependencies for a target: those of the build machine, those of the target's CPU, and manuals'.

    Build-Depends-Indep counts if all packages are ``independent`` of the CPU; else they are mostly documentation.
    """
    tools: list[str] = []
    libraries: list[str] = []
    manuals: list[str] = []
    for field in ("Build-Depends", "Build-Depends-Arch", "Build-Depends-Indep"):
        for alternatives in PkgRelation.parse_relations(stanza[field]) if stanza.get(field) else ():
            relation = alternatives[0]
            name, qualifier = relation["name"], relation.get("archqual")
            if not _applies(relation, target, MADE) or name in FREE or name.startswith(("dh-sequence-", "debhelper")):
                continue
            indep = field == "Build-Depends-Indep" and not independent
            if indep or DOCUMENTATION.fullmatch(name) or not _applies(relation, target, {*MADE, "nodoc"}):
                manuals.append(name)
                continue
            library = RUNTIME.fullmatch(name) and not name.startswith("python3") and qualifier not in NOT_TARGET
            (libraries if library else tools).append(name)
    return unique(tools), unique(libraries), tuple(name for name in unique(manuals) if name not in (*tools, *libraries))


def _applies(relation: Mapping[str, object], target: Target, profiles: Set[str]) -> bool:
    """Return whether a build dependency holds for a target with some build profiles."""
    architectures: object = relation.get("arch")
    if isinstance(architectures, list) and architectures:
        names = {target.architecture.debian, "any", "linux-any", f"any-{target.architecture.debian}"}
        enabled = {each.enabled for each in architectures}
        matched = any(each.arch in names for each in architectures)
        if matched is not enabled.pop():
            return False
    restrictions: object = relation.get("restrictions")
    if isinstance(restrictions, list) and restrictions:
        return any(all((term.profile in profiles) is term.enabled for term in group) for group in restrictions)
    return True
