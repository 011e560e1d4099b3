"""Recipes that ``new`` writes: the loader reads each, or says what is left to fill in; nothing is overwritten."""

import shutil
import subprocess
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from builders import deb
from builders.errors import BuildError, HostError, InputError, ReefError, SourceError
from builders.host.files import sha256_of
from builders.host.log import Log
from builders.maintenance import new_recipe as room
from builders.maintenance.new_recipe import _without_given, new_recipe, summary_of
from builders.maintenance.new_recipe.discovered import Discovered, Rights
from builders.maintenance.new_recipe.installed import Installed, installed_files
from builders.maintenance.new_recipe.origin import Origin, origin_of
from builders.maintenance.new_recipe.own_recipes import add_own, is_own
from builders.maintenance.new_recipe.prebuilt import new_prebuilt
from builders.maintenance.new_recipe.proposal import Proposal, Proposed, draft
from builders.maintenance.new_recipe.writer import NewRecipe
from builders.model.recipe import PrebuiltDeb, load_recipe
from builders.pipeline.project import Project
from tests.component.sources.test_pin import Repository

MIT = (
    "Copyright (c) 2024 Ada Lovelace\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"
)
PROJECT = """cmake_minimum_required(VERSION 3.16)
project(greet VERSION 1.2 DESCRIPTION "A greeting for boards." LANGUAGES C)
"""
FILES = {"CMakeLists.txt": PROJECT, "LICENSE": MIT}


def no_build(*_: object) -> Installed:
    raise AssertionError("a test that builds is in tests/engine")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = tmp_path / "a project"
    folder.mkdir()
    monkeypatch.setattr(room, "hints", lambda *_: Discovered())
    monkeypatch.setattr(room, "_installed", no_build)
    (folder / "reef.yml").write_text("maintainer: Reef <reef@example.org>\ntargets: [trixie/arm64, trixie/armhf]\n")
    return Project.open(folder, Log(quiet=True), without_recipes=True)


def folder_with(place: Path, **files: str) -> Path:
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def archive_with(path: Path, head: str, **files: str) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{head}{name}")
            member.size = len(text.encode())
            tar.addfile(member, BytesIO(text.encode()))
    return path


def test_a_folder_of_the_project(project: Project) -> None:
    folder_with(project.folder / "src" / "greet", **FILES, **{"build/x.o": ""})
    written = new_recipe(project, "greet", str(project.folder / "src" / "greet"), build=False)
    assert written.recipe.left_to_fill_in == []
    recipe = load_recipe(written.folder)
    assert (recipe.version, recipe.summary, recipe.license) == ("1.2", "greeting for boards", "MIT")
    (source,) = recipe.sources
    assert source.local is not None
    assert (source.local.path, source.local.exclude) == ("../../src/greet", ["build"])
    assert recipe.build.cmake is not None
    assert recipe.build.cmake.options == ["-DBUILD_SHARED_LIBS=ON"]
    assert [str(target) for target in recipe.served] == ["trixie/arm64", "trixie/armhf"]
    assert "2024 Ada Lovelace" in recipe.copyright[0].copyright
    assert [path.name for path in (project.folder / "recipes").iterdir()] == ["greet"]


@pytest.mark.parametrize(("head", "strip"), [("greet-3.4/", 1), ("", 0)])
def test_an_archive_is_pinned(project: Project, tmp_path: Path, head: str, strip: int) -> None:
    path = archive_with(tmp_path / "greet-3.4.tar.xz", head, **FILES, **{"debian/rules": "upstream's own"})
    recipe = load_recipe(new_recipe(project, "greet", str(path), build=False).folder)
    (source,) = recipe.sources
    assert source.archive is not None
    assert (recipe.version, source.archive.strip) == ("3.4", strip)
    assert [part.path for part in source.exclude] == ["debian"]


def test_what_debian_knows_of_another_release_is_taken(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "hints", lambda *_: Discovered(libraries=("libonig-dev",), epoch=2, summary="x y"))
    path = archive_with(tmp_path / "greet-3.4.tar.xz", "greet-3.4/", **FILES)
    recipe = load_recipe(new_recipe(project, "greet", str(path), build=False).folder)
    assert (recipe.build.libraries, recipe.version_epoch) == (["libonig-dev"], 2)
    assert (recipe.version, recipe.summary, len(recipe.sources)) == ("3.4", "greeting for boards", 1)


def test_a_git_repository_is_pinned_to_its_newest_release(project: Project, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    for name, text in FILES.items():
        (repository.folder / name).write_text(text)
    repository.git("add", ".")
    commit = repository.commit("v1.3")
    later = repository.commit()
    recipe = load_recipe(new_recipe(project, "greet", repository.url, build=False).folder)
    assert recipe.sources[0].git is not None
    assert (recipe.version, recipe.sources[0].git.commit) == ("1.3", commit)
    assert not recipe.sources[0].git.submodules
    recipe = load_recipe(new_recipe(project, "greet-later", f"{repository.url}#main", build=False).folder)
    assert recipe.sources[0].git is not None
    assert (recipe.version, recipe.sources[0].git.commit) == (f"1.2+git{later[:7]}", later)


def test_a_repository_with_submodules_brings_them(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.file.allow")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "always")
    inner = Repository(tmp_path / "inner")
    (inner.folder / "x.c").touch()
    inner.git("add", ".")
    inner.commit()
    repository = Repository(tmp_path / "repository")
    repository.git("submodule", "--quiet", "add", inner.url, "third_party")
    for name, text in FILES.items():
        (repository.folder / name).write_text(text)
    repository.git("add", ".")
    repository.commit("v1.3")
    recipe = load_recipe(new_recipe(project, "greet", repository.url, build=False).folder)
    assert recipe.sources[0].git is not None
    assert recipe.sources[0].git.submodules


def test_what_is_unknown_is_left_to_fill_in_and_refused_until_then(project: Project, tmp_path: Path) -> None:
    folder_with(tmp_path / "thing", **{"main.c": ""})
    written = new_recipe(project, "thing", str(tmp_path / "thing"))
    assert written.skipped
    assert [line.partition(": ")[2].partition(":")[0] for line in written.recipe.left_to_fill_in] == [
        "version", "summary", "license", "compile", "install", "summary",
    ]  # fmt: skip
    with pytest.raises(InputError, match="something is left to fill in") as caught:
        load_recipe(written.folder)
    path = written.folder / "recipe.yml"
    line = path.read_text().splitlines().index('version: "FILL-IN"') + 1
    assert caught.value.detail.splitlines()[0] == f"{path}:{line}: version"
    values = iter(["1.0", "a thing", "MIT", "'true'", "'true'", "a thing"])
    lines = path.read_text().splitlines()
    filled = [line.replace("FILL-IN", next(values)) if "FILL-IN" in line else line for line in lines]
    path.write_text("\n".join(filled))
    assert load_recipe(written.folder).license == "MIT"


def test_a_program_starts_whatever_it_says_of_an_unknown_option(project: Project, tmp_path: Path) -> None:
    """Many end with -1. The kernel, the loader, signals and timeout(1) have statuses of their own (POSIX, 2.8.2)."""
    statuses = {"fine": 0, "usage": 1, "hung": 124, "minus": 255, "broken": 125, "denied": 126, "absent": 127,
                "aborted": 134, "crashed": 139, "last": 192}  # fmt: skip
    for name, status in statuses.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho usage of {name}\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    (target,) = project.targets(["trixie/arm64"])
    proposal = Proposal((draft("greet", Discovered()),), programs=tuple(statuses))
    script = NewRecipe("greet", Discovered(), proposal, [target], datetime.now(UTC)).files()["checks/starts.sh"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    started = [line.removesuffix(": starts") for line in done.stdout.splitlines() if line.endswith(": starts")]
    assert started == ["fine", "usage", "hung", "minus"]


def test_what_the_build_system_brings_is_not_listed(project: Project, tmp_path: Path) -> None:
    facts = Discovered(system="autotools", tools=("texinfo", "gperf"), libraries=("pkgconf", "libx-dev"))
    (target,) = project.targets(["trixie/arm64"])
    new = NewRecipe("greet", facts, Proposal((draft("greet", facts),)), [target], datetime.now(UTC))
    entries = ({"name": "greet", "local": {"path": str(folder_with(tmp_path / "greet", **FILES))}},)
    found = _without_given(replace(new, facts=replace(facts, sources=entries)), project.folder / "recipes", target)
    assert (found.facts.tools, found.facts.libraries) == (("gperf",), ("libx-dev",))


def test_a_recipe_is_never_overwritten(project: Project, tmp_path: Path) -> None:
    place = folder_with(project.folder / "recipes" / "greet", **{"recipe.yml": "mine"})
    with pytest.raises(InputError, match="greet exists"):
        new_recipe(project, "greet", str(folder_with(tmp_path / "greet", **FILES)))
    assert (place / "recipe.yml").read_text() == "mine"


@pytest.mark.parametrize("name", ["Greet", "greet_x", "g", "-x", "../greet", "gré"])
def test_a_bad_name_is_refused(project: Project, name: str) -> None:
    with pytest.raises(InputError, match="not a recipe's name") as caught:
        new_recipe(project, name, "hello")
    with pytest.raises(SourceError):  # the name that the advice gives is accepted
        new_recipe(project, caught.value.fix.rpartition(" ")[2], str(project.folder / "reef.yml"))


def test_an_empty_source_is_warned_of(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    new_recipe(replace(project, log=Log()), "empty", str(tmp_path / "empty"))
    assert f"the source has no file: {tmp_path / 'empty'}" in capsys.readouterr().out


def test_an_installed_reef_writes_its_own_name(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builders.maintenance.new_recipe.writer.own_command", lambda: "/opt/reef/bin/reef")
    written = new_recipe(project, "greet", str(folder_with(tmp_path / "greet", **FILES)), build=False)
    assert (written.folder / "recipe.yml").read_text().startswith("# Written by reef new from ")


def test_a_source_that_is_nothing_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names nothing that is known"):
        new_recipe(project, "greet", "no/such/folder")
    with pytest.raises(InputError, match=r"a \.deb is no source") as caught:
        new_recipe(project, "greet", "vendor_1.0_arm64.deb")
    assert "--prebuilt" in caught.value.fix
    (tmp_path / "greet.txt").write_text("no archive")
    with pytest.raises(SourceError, match="cannot be unpacked"):
        new_recipe(project, "greet", str(tmp_path / "greet.txt"))
    assert not (project.folder / "recipes" / "greet").exists()
    assert not list(project.folder.glob("recipes/*"))


def test_a_first_build_shows_the_packages(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = "usr/lib/aarch64-linux-gnu/libgreet.so"
    files = dict.fromkeys([library, f"{library}.1.2", "usr/include/greet.h"], "") | {f"{library}.1": "libgreet.so.1.2"}
    monkeypatch.setattr(room, "_installed", lambda *_: Installed(files, {f"{library}.1.2": "libgreet.so.1"}))
    written = new_recipe(project, "greet", str(folder_with(tmp_path / "greet", **FILES)))
    recipe = load_recipe(written.folder)
    assert [package.name for package in recipe.packages] == ["libgreet1", "libgreet-dev"]
    (check,) = recipe.checks
    assert (check.packages, check.expect) == (["libgreet1"], ["libgreet.so.1: loads"])
    assert "LD_PRELOAD" in (written.folder / check.script).read_text()
    target = recipe.served[0]
    assert "libgreet1 (= ${binary:Version})" in deb.debian_files(recipe, target, project.settings)["control"]


def test_a_first_build_that_fails_leaves_a_recipe_to_correct(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fail(new: NewRecipe, *_: object) -> Installed:
        tried.append(new.strategy)
        raise BuildError("the build failed", "no rule to make target")

    monkeypatch.setattr(room, "_installed", fail)
    written = new_recipe(project, "greet", str(folder_with(tmp_path / "greet", **FILES)))
    assert tried == [(), ("emulate",)]
    assert written.failure is not None
    assert [package.name for package in load_recipe(written.folder).packages] == ["greet"]


def test_a_first_build_that_this_machine_cannot_run_leaves_a_recipe(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Installed:
        raise HostError("no user namespaces", fix="run doctor")

    monkeypatch.setattr(room, "_installed", fail)
    written = new_recipe(project, "greet", str(folder_with(tmp_path / "greet", **FILES)))
    assert isinstance(written.failure, HostError)
    assert [package.name for package in load_recipe(written.folder).packages] == ["greet"]


def test_packages_that_the_loader_refuses_are_not_written(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_installed", lambda *_: Installed({"usr/bin/greet": "", "usr/include/greet.h": ""}))
    monkeypatch.setattr(room, "propose", lambda *_: Proposal((Proposed("greet", "programs", "x y"),) * 2))
    written = new_recipe(project, "greet", str(folder_with(tmp_path / "greet", **FILES)))
    assert written.failure is None
    assert [package.name for package in load_recipe(written.folder).packages] == ["greet"]


@pytest.mark.parametrize("name", ["2048", "yes", "null", "1.5", "010"])
def test_names_that_yaml_takes_for_other_values(project: Project, tmp_path: Path, name: str) -> None:
    written = new_recipe(project, name, str(folder_with(tmp_path / "greet", **FILES)), build=False)
    assert load_recipe(written.folder).packages[0].name == name
    package = vendor(tmp_path, f"{name}_1.0_arm64.deb", name)
    assert load_recipe(new_prebuilt(project, f"{name}-vendor", [str(package)])).packages[0].name == name


def test_texts_with_characters_that_yaml_forbids(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Discovered(
        summary="kind\x07 greeting",
        description="   Indented\x1b[0m\n\n below\x00",
        rights=Rights("MIT", "A\x01\fB", ("Ada\x02",)),
    )
    monkeypatch.setattr(
        room, "_read", lambda origin, *_: replace(facts, version="1", system="make", sources=origin.facts.sources)
    )
    written = new_recipe(project, "greet", str(folder_with(tmp_path / "greet", **FILES)), build=False)
    assert written.failure is None
    recipe = load_recipe(written.folder)
    assert (recipe.summary, recipe.description) == ("kind greeting", "Indented[0m\n\n below\n")
    assert (recipe.copyright[0].license, list(recipe.copyright[0].copyright)) == ("MIT\nA\nB", ["Ada"])


def test_what_builds_under_qemu_alone_says_so(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installed(new: NewRecipe, *_: object) -> Installed:
        if not new.strategy:
            raise BuildError("cross compiling failed")
        return Installed({"usr/bin/greet": ""})

    monkeypatch.setattr(room, "_installed", installed)
    written = new_recipe(project, "greet", str(folder_with(tmp_path / "greet", **FILES)))
    assert load_recipe(written.folder).strategy == ["emulate"]


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("A greeting.", "greeting"),
        ("The  C\nlibrary", "C library"),
        ("JSON implementation", "JSON implementation"),
        ("word " * 30, "word " * 15 + "word"),
    ],
)
def test_summaries_are_phrases(text: str, summary: str) -> None:
    assert summary_of(text) == summary


def test_a_folder_that_is_gone_meanwhile_changes_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_with(tmp_path / "greet", **FILES)

    def then_gone(*given: Any) -> Origin:
        found = origin_of(*given)
        shutil.rmtree(source)
        return found

    monkeypatch.setattr(room, "origin_of", then_gone)
    with pytest.raises(SourceError, match="greet"):
        new_recipe(project, "greet", str(source))
    assert not list(project.folder.glob("recipes/*"))


def test_reefs_own_runtime_is_copied(project: Project) -> None:
    assert is_own("reef-portable-runtime")
    assert not is_own("libedgetpu")
    folder = add_own(project, "reef-portable-runtime")
    assert load_recipe(folder).build.runtime is not None
    assert not folder.is_symlink()
    with pytest.raises(InputError, match="exists"):
        add_own(project, "reef-portable-runtime")


def vendor(
    folder: Path, name: str = "vendor_1.0_arm64.deb", package: str = "vendor", version: str = "1.0", cpu: str = "arm64"
) -> Path:
    tree = folder_with(folder / f"{name}.tree", **{
        "DEBIAN/control": f"Package: {package}\nVersion: {version}\nArchitecture: {cpu}\n"
        "Maintainer: Vendor <v@example.org>\n"
        "Homepage: https://example.org/\nDescription: runtime of a vendor\n It runs.\n",
        f"usr/share/doc/{package}/readme": "x",
    })  # fmt: skip
    return packed(tree, folder / name)


def packed(tree: Path, path: Path) -> Path:
    subprocess.run(["dpkg-deb", "--build", str(tree), str(path)], check=True, capture_output=True)
    return path


def test_sonames_are_read_from_the_files_of_packages(tmp_path: Path) -> None:
    path = vendor(tmp_path)
    library = Path("usr/lib/libgreet.so.1.2")
    tree = folder_with(path.with_name(f"{path.name}.tree") / "usr/lib", **{"libtext.so": "GROUP ( libgreet.so.1 )"})
    (tree / "libgreet.so.1").symlink_to(library.name)
    (tree / "libtorn.so").write_bytes(b"\x7fELF torn")
    for name, words in ((library.name, ["-Wl,-soname,libgreet.so.1"]), ("libnone.so", [])):
        subprocess.run(["cc", "-shared", "-nostdlib", "-xc", "/dev/null", "-o", tree / name, *words], check=True)
    found = installed_files([packed(tree.parents[1], path)])
    assert found.sonames == {str(library): "libgreet.so.1", "usr/lib/libnone.so": "libnone.so"}
    assert found.files["usr/lib/libgreet.so.1"] == library.name
    assert found.files[str(library)] == ""


def prebuilt_debs(folder: Path) -> list[PrebuiltDeb]:
    spec = load_recipe(folder).build.prebuilt
    assert spec is not None
    return spec.debs


@pytest.mark.parametrize("as_url", [False, True])
def test_debs_of_others_are_pinned(project: Project, tmp_path: Path, *, as_url: bool) -> None:
    path = vendor(tmp_path)
    folder = new_prebuilt(project, "vendor", [path.as_uri() if as_url else str(path)])
    recipe = load_recipe(folder)
    assert (recipe.summary, recipe.homepage) == ("runtime of a vendor", "https://example.org/")
    assert [str(target) for target in recipe.served] == ["trixie/arm64"]
    spec = recipe.build.prebuilt
    assert spec is not None
    assert spec.by == "Vendor <v@example.org>"
    (deb,) = spec.debs
    assert (deb.file, deb.urls) == ((None, [path.as_uri()]) if as_url else (path.name, []))
    assert deb.sha256 == sha256_of(path)
    assert (folder / path.name).exists() is not as_url


def test_a_deb_with_another_name_has_its_facts_in_the_recipe(project: Project, tmp_path: Path) -> None:
    recipe = load_recipe(new_prebuilt(project, "vendor", [str(vendor(tmp_path, "download.deb"))]))
    assert recipe.build.prebuilt is not None
    assert (recipe.build.prebuilt.debs[0].name, recipe.build.prebuilt.debs[0].cpu) == ("vendor", "arm64")


def test_a_version_that_the_name_does_not_say_is_in_the_recipe(project: Project, tmp_path: Path) -> None:
    path = vendor(tmp_path, "vendor_latest_arm64.deb", version="2:3.4")
    (found,) = prebuilt_debs(new_prebuilt(project, "vendor", [path.as_uri()]))
    assert (found.package, found.version, found.architecture) == (None, "2:3.4", None)
    path = vendor(tmp_path, "vendor_3.4_arm64.deb", version="2:3.4")
    (found,) = prebuilt_debs(new_prebuilt(project, "named", [str(path)]))
    assert (found.version, found.shown_version) == (None, "3.4")


@pytest.mark.parametrize("as_url", [False, True])
def test_debs_with_the_same_name_are_all_in_the_recipe(project: Project, tmp_path: Path, *, as_url: bool) -> None:
    paths = [vendor(tmp_path / cpu, "vendor.deb", cpu=cpu) for cpu in ("arm64", "armhf")]
    folder = new_prebuilt(project, "vendor", [path.as_uri() if as_url else str(path) for path in paths])
    found = prebuilt_debs(folder)
    assert [(deb.cpu, deb.sha256) for deb in found] == [("arm64", sha256_of(paths[0])), ("armhf", sha256_of(paths[1]))]
    if not as_url:
        assert [deb.file for deb in found] == ["vendor_1.0_arm64.deb", "vendor_1.0_armhf.deb"]
        assert [sha256_of(folder / str(deb.file)) for deb in found] == [deb.sha256 for deb in found]


def test_two_debs_of_one_version_are_refused(project: Project, tmp_path: Path) -> None:
    paths = [vendor(tmp_path / "a"), vendor(tmp_path / "b")]
    (tmp_path / "b" / "vendor_1.0_arm64.deb.tree" / "usr" / "more").touch()
    packed(tmp_path / "b" / "vendor_1.0_arm64.deb.tree", paths[1])
    with pytest.raises(InputError, match="cannot publish"):
        new_prebuilt(project, "vendor", list(map(str, paths)))


def test_debs_that_fit_no_recipe_are_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        new_prebuilt(project, "vendor", ["nothing.deb"])
    with pytest.raises(InputError, match=r"a folder, not a \.deb"):
        new_prebuilt(project, "vendor", [str(tmp_path)])
    (tmp_path / "no.deb").write_text("no archive")
    with pytest.raises(ReefError) as caught:
        new_prebuilt(project, "vendor", [str(tmp_path / "no.deb")])
    assert f"{tmp_path / 'no.deb'}" in str(caught.value)
    assert "scratch" not in str(caught.value)
    torn = vendor(tmp_path, "torn_1.0_arm64.deb")
    torn.write_bytes(torn.read_bytes()[:-8])
    with pytest.raises(ReefError, match=r"has \d+ bytes") as caught:
        new_prebuilt(project, "vendor", [str(torn)])
    assert str(torn) in str(caught.value)
    two = [str(vendor(tmp_path)), str(vendor(tmp_path, "other_1.0_arm64.deb", "other"))]
    with pytest.raises(InputError, match="of 2 source packages"):
        new_prebuilt(project, "vendor", two)
    assert not (project.folder / "recipes").exists()
