"""Rendering a recipe as the ``debian/`` folder that dpkg-buildpackage takes."""

import re
import shlex
from collections.abc import Mapping
from email.utils import format_datetime
from functools import partial
from pathlib import Path

from builders.deb.build_systems import build_system, executables
from builders.deb.debhelper_files import install_line, link_line, own_file, own_pattern, pattern_line, shell_patterns
from builders.deb.source_package import KEPT_RECIPE, patch_header
from builders.deb.templates import expand, render
from builders.errors import InputError
from builders.model.arch import ARMHF
from builders.model.recipe import DebhelperSpec, Package, Recipe, data_regex
from builders.model.settings import Settings
from builders.model.target import Target
from builders.model.unit_file import for_systemd

RECIPE_FOLDER = "/build/recipe"
"""The recipe's folder inside the root of a build."""

PLAIN = (
    "control", "changelog", "copyright", "rules", "source/patch-header", "reef/accepted_modes.sh", "reef/data_files.pl",
    "reef/isa.sh",
)  # fmt: skip
"""Files of ``debian/`` that may hold ``{{``: no variable is expanded in them."""
CORRECTED = ("setuid", "setgid", "writable", "usr/local")
"""Words of accepted faults that never occur without help: debhelper corrects such files, or refuses them."""
CPU_HINT = "; with keep_source: use $DEB_HOST_ARCH or $DEB_HOST_MULTIARCH, as one source serves all CPUs"
DEBHELPER_CODE = "#DEBHELPER#"
DEBHELPER = "debhelper-compat (= 13)"
COMMON_LICENSES = {
    "Apache-2.0": "Apache-2.0", "GPL-2": "GPL-2", "GPL-2+": "GPL-2", "GPL-3": "GPL-3", "GPL-3+": "GPL-3",
    "LGPL-2.1": "LGPL-2.1", "LGPL-2.1+": "LGPL-2.1", "MPL-2.0": "MPL-2.0", "CC0-1.0": "CC0-1.0",
}  # fmt: skip
"""Licences whose text every Debian system has (Policy 12.5) -> the name of its file."""


def debian_files(recipe: Recipe, target: Target, settings: Settings) -> dict[str, str]:
    """Return every file of ``debian/`` for a recipe and target: path inside ``debian/`` -> text.

    Recipe texts may use ``{{ version }}``, ``{{ upstream_version }}``, ``{{ suite }}``, ``{{ architecture }}``,
    ``{{ triplet }}`` and ``{{ tensorflow }}``. With ``keep_source`` one source serves all CPUs, and the variables that
    differ between CPUs are undefined. Packages that somebody else built have no such files. Raises PackageError for an
    undefined variable.
    """
    if recipe.build.prebuilt:
        return {}
    values: dict[str, object] = {
        "version": recipe.debian_version(target),
        "upstream_version": recipe.version,
        "suite": target.suite.name,
        "tensorflow": recipe.tensorflow or "",
    }
    if not recipe.keep_source:
        values |= {"architecture": target.architecture.debian, "triplet": target.architecture.triplet}
    system = build_system(recipe)
    isa = _isa_script(recipe, target)
    hint = CPU_HINT if recipe.keep_source else ""
    files = {
        "control": render(
            "control.j2",
            recipe=recipe,
            maintainer=settings.maintainer,
            build_depends=_build_depends(recipe, system.build_depends(recipe.root_suite(target))),
            expanded=lambda relations: [expand(relation, "debian/control", values, hint) for relation in relations],
            # The needed libraries of portable packages are in portable packages, which Reef's driver finds.
            relations_of=partial(
                _relations,
                libraries="reef" if recipe.build.portable else "shlibs",
                computed=system.depends,
                compiled=["${isa:Depends}"] if isa else [],
                built_using=["${reef:Built-Using}"] if recipe.build.runtime else [],
            ),
        ),
        "rules": render(
            "rules.j2",
            recipe=recipe,
            system=system,
            recipe_folder=_recipe_folder(recipe),
            older_root=recipe.older_root(target),
            usr_merged=target.suite.usr_merged,
            data=_has_data(recipe),
            accepted=_accepted_files(recipe),
            isa=isa,
        ),
        "changelog": _changelog(recipe, target, settings),
        "copyright": _copyright(recipe, settings),
        "source/format": "3.0 (quilt)\n",
    }
    files["reef/configure.sh"] = system.configure()
    files["reef/compile.sh"] = system.compile()
    files["reef/install.sh"] = system.install() + _unused_patterns(recipe) + _removal(recipe)
    if recipe.not_installed and not recipe.takes_all:
        files["not-installed"] = "".join(f"{pattern_line(pattern)}\n" for pattern in recipe.not_installed)
    needed = {"reef/autoreconf.sh": system.autoreconf, "reef/test.sh": system.test(), "reef/isa.sh": isa}
    files |= {path: text for path, text in needed.items() if text}
    if recipe.keep_source and recipe.edits:
        files["source/patch-header"] = patch_header(recipe)
    if accepted := _accepted_files(recipe):
        names = dict.fromkeys(name for name, _ in accepted)
        files["reef/accepted_modes.sh"] = render("accepted_modes.sh.j2", accepted=accepted, packages=names)
    if _has_data(recipe):
        data = [(package.name, data_regex(package.data)) for package in recipe.packages]
        files["reef/data_files.pl"] = render("data_files.pl.j2", data=data)
    for package in recipe.packages:
        files |= _package_files(recipe, package, target)
    plain = {path: files[path] for path in PLAIN if path in files}
    expanded = {path: expand(text, f"debian/{path}", values, hint) for path, text in files.items() if path not in plain}
    return plain | expanded | system.files(target)


def _unused_patterns(recipe: Recipe) -> str:
    """Return the part of the step install that warns of patterns of ``not_installed`` without a file."""
    patterns = [
        (shlex.quote(f"not_installed matches no file: {pattern}"), shell_patterns(pattern))
        for pattern in recipe.not_installed
    ]
    return render("unused_patterns.sh.j2", patterns=patterns) if patterns else ""


def _removal(recipe: Recipe) -> str:
    """Return the end of the step install for a package that takes all files: it removes those of ``not_installed``."""
    if not (recipe.takes_all and recipe.not_installed):
        return ""
    return f'\n(cd "$DESTDIR" && rm -rf -- {" ".join(map(shell_patterns, recipe.not_installed))})\n'


def _accepted_files(recipe: Recipe) -> list[tuple[str, str]]:
    """Return the packages and texts of accepted faults of ``file-policy``, which debhelper would correct or refuse."""
    return [
        (package.name, each.match)
        for package in recipe.packages
        for each in package.accept
        if each.check == "file-policy" and any(word in each.match for word in CORRECTED)
    ]


def _has_data(recipe: Recipe) -> bool:
    """Return whether packages may hold data that looks like programs: by ``data``, or by the words of the recipe.

    Recipes that leave the installation to debhelper name no files.
    """
    build = recipe.build
    if isinstance(build.kind, DebhelperSpec):
        return True
    words = " ".join(
        [build.compile or "", build.install or "", *(entry for package in recipe.packages for entry in package.files)]
    )
    named = bool(re.search(r"(?<![^\W_])(?:firmware|bpf)(?![^\W_])", words))
    return not build.portable and (named or any(package.data for package in recipe.packages))


def _build_depends(recipe: Recipe, needed: tuple[str, ...]) -> list[str]:
    # A kept source must name the packages that it builds against; elsewhere the job installs them.
    against = [name for names in recipe.build.recipes.values() for name in names] if recipe.keep_source else []
    return [DEBHELPER, *needed, *recipe.build.tools, *recipe.build.libraries, *against]


def _isa_script(recipe: Recipe, target: Target) -> str:
    """Return the script that finds the instructions which the packages need; empty where no package is for armhf.

    A package that accepts faults of the verdict ``isa`` chooses its instructions at run time. So do the libraries of a
    portable runtime, which are Debian's.
    """
    packages = [package for package in recipe.packages if package.architecture == "any"]
    armhf = ARMHF.debian in recipe.targets.architectures if recipe.keep_source else target.architecture == ARMHF
    if not armhf or not packages or recipe.build.runtime:
        return ""
    at_run_time = [each.name for each in packages if any(accepted.check == "isa" for accepted in each.accept)]
    return render("isa.sh.j2", packages=[package.name for package in packages], at_run_time=at_run_time)


def _recipe_folder(recipe: Recipe) -> str:
    return f"$(CURDIR)/debian/{KEPT_RECIPE}" if recipe.keep_source else RECIPE_FOLDER


def _relations(
    package: Package, libraries: str, computed: tuple[str, ...], compiled: list[str], built_using: list[str]
) -> list[tuple[str, list[str]]]:
    shared = [f"${{{libraries}:Depends}}", *compiled] if package.architecture == "any" else []
    fields = [
        ("Pre-Depends", [*(["${misc:Pre-Depends}"] if package.systemd else []), *package.pre_depends]),
        ("Depends", [*shared, *computed, "${misc:Depends}", *package.depends]),
        ("Recommends", package.recommends),
        ("Suggests", package.suggests),
        ("Provides", package.provides),
        ("Conflicts", package.conflicts),
        ("Breaks", package.breaks),
        ("Replaces", package.replaces),
        ("Built-Using", built_using),
    ]
    return [(name, relations) for name, relations in fields if relations]


def _changelog(recipe: Recipe, target: Target, settings: Settings) -> str:
    # A newer runtime alone makes a new version of the packages.
    repack = recipe.build.repack
    packaged = [f"Packaged for {target.suite.name} with the libraries of {repack.runtime}."] if repack else []
    entries = [
        {
            "version": recipe.debian_version(target, entry),
            "changes": [*entry.changes, *(packaged if entry is recipe.changelog[0] else [])],
            "date": format_datetime(entry.date),
        }
        for entry in recipe.changelog
    ]
    return render(
        "changelog.j2", recipe=recipe, entries=entries, suite=target.suite.name, maintainer=settings.maintainer
    )


def _copyright(recipe: Recipe, settings: Settings) -> str:
    paragraphs = []
    for paragraph in recipe.copyright:
        short, _, text = paragraph.license.partition("\n")
        paragraphs.append(
            # Spaces separate patterns; a question mark is any character (copyright-format 1.0).
            {
                "files": [files.replace(" ", "?") for files in paragraph.files],
                # An empty line would end the paragraph.
                "copyright": [re.sub(r"\n\s*(?=\n|\Z)", "", text) for text in paragraph.copyright],
                "short": short.strip(),
                "text": text,
            }
        )
    year = recipe.changelog[-1].date.year
    packaging = {
        "files": ["debian/*"], "copyright": [f"{year} {settings.maintainer}"], "short": recipe.license, "text": "",
    }  # fmt: skip
    paragraphs.append(packaging)
    without_text = dict.fromkeys(paragraph["short"] for paragraph in paragraphs if not paragraph["text"])
    licenses = [
        (name, f"On Debian systems the full text is in\n/usr/share/common-licenses/{COMMON_LICENSES[str(name)]}.")
        for name in without_text
        if str(name) in COMMON_LICENSES
    ]
    return render("copyright.j2", recipe=recipe, paragraphs=paragraphs, licenses=licenses)


def _package_files(recipe: Recipe, package: Package, target: Target) -> dict[str, str]:
    name = package.name
    installs = [install_line(entry) for entry in package.files]
    files = {f"reef/man/{page}": _text(recipe, page) for page in package.manpages}
    for path, source in package.conffiles.items():
        place = f"reef/conffiles/{name}/{path.lstrip('/')}"
        files[place] = _text(recipe, source)
        installs.append(f"{own_pattern(f'debian/{place}')} {own_file(str(Path(path.lstrip('/')).parent))}")
    lists = {
        "install": installs,
        "links": [link_line(target, link) for link, target in package.links.items()],
        "manpages": [own_pattern(f"debian/reef/man/{page}") for page in package.manpages],
        "lintian-overrides": [
            line
            for override in package.lintian_overrides
            for line in (f"# {override.reason}", f"{name}: {override.tag}")
        ],
    }
    files |= {f"{name}.{kind}": "\n".join(lines) + "\n" for kind, lines in lists.items() if lines}
    named = {"symbols": package.symbols, "udev": package.udev, "dkms": package.dkms}
    files |= {f"{name}.{kind}": _text(recipe, source) for kind, source in named.items() if source}
    if package.systemd:
        files[f"{name}.service"] = for_systemd(_text(recipe, package.systemd), target.suite.systemd)
    for kind in ("preinst", "postinst", "prerm", "postrm"):
        if body := getattr(package.scripts, kind):
            # The code of debhelper comes last, or where the recipe says.
            end = "" if DEBHELPER_CODE in body else f"{DEBHELPER_CODE}\n\n"
            files[f"{name}.{kind}"] = f"#!/bin/sh\nset -e\n\n{body.strip()}\n\n{end}exit 0\n"
    return files


def _text(recipe: Recipe, name: str) -> str:
    path = recipe.folder / name
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}", str(error), "the file must be readable and hold UTF-8 text") from error


def write_debian(files: Mapping[str, str], folder: Path) -> None:
    """Write the files of `debian_files` to ``folder/debian``; rules and programs become executable."""
    programs = {"rules", *executables()}
    for name, text in files.items():
        path = folder / "debian" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755 if name in programs else 0o644)
