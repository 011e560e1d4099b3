"""Recipes of packages that somebody else built: what they say, for which target, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from builders.deb import debian_files, plan_job
from builders.errors import InputError
from builders.model.arch import AMD64
from builders.model.recipe import PrebuiltRecipe, Recipe, for_target, load_recipe
from builders.model.settings import Settings
from builders.model.target import Target, parse_target
from builders.sources import describe

SHA = "a" * 64
ARM64 = parse_target("trixie/arm64")


def deb(name: str, **more: Any) -> dict[str, Any]:
    return {"urls": [f"https://example.org/{name}"], "sha256": SHA, **more}


def prebuilt(*debs: dict[str, Any], **more: Any) -> Recipe:
    document = {
        "name": "vendor",
        "summary": "a vendor's packages",
        "targets": {"suites": ["bookworm", "trixie"], "architectures": ["arm64", "armhf"]},
        "prebuilt": {"by": "the vendor", "debs": list(debs)},
    }
    return PrebuiltRecipe.model_validate(document | more).recipe()


def refused(*debs: dict[str, Any], **more: Any) -> str:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - pydantic's, whose text is compared
        prebuilt(*debs, **more)
    return str(error.value)


def for_cpu(recipe: Recipe, target: Target) -> Recipe:
    return for_target(recipe, target, {recipe.name: recipe})


PAIR = (
    deb("libvendor1_2.0-1_arm64.deb"),
    deb("libvendor1_2.0-1_armhf.deb"),
    deb("vendor-data_1.5_all.deb"),
    deb("libvendor1-dbgsym_2.0-1_arm64.deb"),
)


def test_a_target_gets_the_debs_of_its_cpu_and_those_of_all() -> None:
    recipe = for_cpu(prebuilt(*PAIR), ARM64)
    files = [source.file.name for source in recipe.sources if source.file]
    assert files == ["libvendor1_2.0-1_arm64.deb", "vendor-data_1.5_all.deb", "libvendor1-dbgsym_2.0-1_arm64.deb"]
    assert [(package.name, package.architecture) for package in recipe.packages] == [
        ("libvendor1", "any"), ("vendor-data", "all"),
    ]  # fmt: skip
    assert recipe.debian_version(ARM64) == "2.0-1, 1.5"


def test_a_deb_may_hold_data_that_looks_like_programs() -> None:
    recipe = for_cpu(prebuilt(PAIR[0], PAIR[1], deb("vendor-data_1.5_all.deb", data=["usr/share/cores"])), ARM64)
    assert [package.data for package in recipe.packages] == [[], ["usr/share/cores"]]


def test_a_deb_can_be_for_one_suite() -> None:
    old = deb("tool_1.0_arm64.deb", suites=["bookworm"])
    new = deb("tool_2.0_arm64.deb", suites=["trixie"])
    more = {"targets": {"suites": ["bookworm", "trixie"], "architectures": ["arm64"]}}
    recipe = prebuilt(old, new, **more)
    assert for_cpu(recipe, ARM64).debian_version(ARM64) == "2.0"
    bookworm = parse_target("bookworm/arm64")
    assert for_cpu(recipe, bookworm).debian_version(bookworm) == "1.0"


def test_keys_replace_what_the_files_name_says() -> None:
    named = deb("release.deb", package="tool", version="1:2.0~rc1-1", architecture="all")
    [source] = for_cpu(prebuilt(named), ARM64).sources
    assert source.file
    assert source.file.name == "tool_2.0~rc1-1_all.deb"
    assert source.file.urls == ["https://example.org/release.deb"]


def test_a_percent_sign_in_a_url_is_decoded() -> None:
    [source] = for_cpu(prebuilt(deb("tool_1%2Bb1_all.deb?download=1")), ARM64).sources
    assert source.file
    assert source.file.name == "tool_1+b1_all.deb"


def test_files_are_relative_to_the_recipes_folder(tmp_path: Path) -> None:
    recipe = prebuilt({"file": "debs/tool_1_all.deb", "sha256": SHA}).in_folder(tmp_path)
    [source] = for_cpu(recipe, ARM64).sources
    assert source.file
    assert source.file.urls == [f"{tmp_path}/debs/tool_1_all.deb"]


@pytest.mark.parametrize(
    ("debs", "text"),
    [
        ([{"sha256": SHA}], "exactly one of urls, pool and file"),
        ([deb("tool_1_all.deb", file="tool_1_all.deb")], "exactly one of urls, pool and file"),
        ([deb("tool.deb")], "expected package: the file's name, tool.deb, is not PACKAGE_VERSION_ARCHITECTURE.deb"),
        ([deb("tool_1_arm46.deb")], "unknown architecture 'arm46'; did you mean 'arm64'?"),
        ([deb("Tool_1_all.deb")], "'Tool' in the file's name is not valid"),
        ([deb("tool_1_amd64.deb")], "tool is for amd64, which is not an architecture in targets"),
        ([deb("tool_1_arm64.deb")], "no .deb for bookworm/armhf, which is in targets"),
        ([deb("tool-dbgsym_1_all.deb")], "no .deb for bookworm/arm64, which is in targets"),
        ([deb("tool_1_all.deb"), deb("tool_2_all.deb")], "two .debs of tool for bookworm/arm64"),
        (
            [deb("tool_1_all.deb", suites=["bookworm"]), deb("tool_1_all.deb", suites=["trixie"], sha256="b" * 64)],
            "two .debs of tool 1 (all); a repository holds a version once",
        ),
        ([deb("tool_1_all.deb", suites=["buster"])], "tool is for buster, which is not a suite in targets"),
        ([deb("tool_1_all.deb", sha256="beef")], "sha256"),
        (
            [deb("tool_1_all.deb", accept=[{"check": "run:none", "match": "x", "reason": "y"}])],
            "no check 'run:none'; the recipe has no checks",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(debs: list[dict[str, Any]], text: str) -> None:
    assert text in refused(*debs)


def test_a_recipe_file_with_prebuilt_has_keys_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "vendor"
    folder.mkdir()
    text = (
        "name: vendor\nsummary: a vendor's\ntargets: {suites: [trixie], architectures: [arm64]}\n"
        f"prebuilt:\n  by: the vendor\n  debs:\n    - {{pool: pool/main/t/tool/tool_1_arm64.deb, sha256: {SHA}}}\n"
    )
    (folder / "recipe.yml").write_text(text)
    assert load_recipe(folder).build.prebuilt
    (folder / "recipe.yml").write_text(text + "build: {}\n")
    with pytest.raises(InputError) as error:
        load_recipe(folder)
    assert "recipe.yml:8: unknown key 'build'" in error.value.detail
    assert "missing" not in error.value.detail


def test_the_job_copies_in_a_root_of_this_machines_cpu() -> None:
    recipe = for_cpu(prebuilt(*PAIR), ARM64)
    assert recipe.strategy_for(AMD64, ARM64) == "prebuilt"
    assert not recipe.possible("cross", AMD64, ARM64)
    debian = debian_files(recipe, ARM64, Settings(maintainer="A <a@example.org>"))
    job = plan_job(recipe, ARM64, strategy="prebuilt", machine=AMD64, debian=debian)
    assert (job.root.suite, job.root.build, job.root.host, job.root.packages) == ("trixie", AMD64, AMD64, ("lintian",))
    assert (dict(job.debian), job.fetch) == ({}, None)
    assert "cp -- /build/vendor-2.0-1/*.deb /build/out/" in job.script


def test_lintian_of_the_next_suite_judges_packages_for_a_suite_that_no_mirror_holds() -> None:
    more = {"targets": {"suites": ["buster"], "architectures": ["arm64"]}}
    buster = parse_target("buster/arm64")
    assert for_cpu(prebuilt(deb("tool_1_arm64.deb"), **more), buster).root_suite(buster).name == "bullseye"


def test_the_digest_and_not_the_place_decides_whether_it_is_up_to_date() -> None:
    first = for_cpu(prebuilt(deb("tool_1_all.deb")), ARM64)
    moved = for_cpu(prebuilt({"file": "/elsewhere/tool_1_all.deb", "sha256": SHA}), ARM64)
    assert describe(first) == describe(moved)
