"""The rendered ``debian/`` of the miniature, compared with the one committed; REEF_GOLDEN_RECORD=1 re-records."""

import json
from pathlib import Path

import pytest

from builders.deb import debian_files, plan_job
from builders.deb.templates import extended
from builders.errors import PackageError
from builders.model.arch import AMD64
from builders.model.recipe import Recipe, load_recipe
from builders.model.recipe.package import MaintainerScript
from builders.model.settings import Settings
from builders.model.target import parse_target
from builders.pipeline.planning.fingerprint import fingerprint
from tests.support.checkout import HELLO
from tests.support.golden import RECORD, compare_with_golden

GOLDEN = Path(__file__).parent / "debian"
TARGET = parse_target("trixie/arm64")
SETTINGS = Settings(maintainer="Reef <reef@example.org>")


def test_the_folder_is_as_committed() -> None:
    files = debian_files(load_recipe(HELLO), TARGET, SETTINGS)
    if RECORD:
        for name, text in files.items():
            path = GOLDEN / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    found = {str(path.relative_to(GOLDEN)): path.read_text() for path in GOLDEN.rglob("*") if path.is_file()}
    assert files == found


def changed(*, keep_source: bool = False, **build: object) -> Recipe:
    recipe = load_recipe(HELLO)
    build_then = recipe.build.model_copy(update=build)
    copy = recipe.model_copy(update={"build": build_then, "keep_source": keep_source})
    copy._folder = recipe.folder
    return copy


def test_a_homepage_is_written_where_the_recipe_has_one() -> None:
    with_one, without = (
        debian_files(load_recipe(HELLO).model_copy(update=more), TARGET, SETTINGS) for more in ({}, {"homepage": ""})
    )
    for name, line in (
        ("control", "Homepage: https://example.org/reef-hello\n"),
        ("copyright", "Source: https://example.org/reef-hello\n"),
    ):
        assert with_one[name].replace(line, "") == without[name]
        assert line in with_one[name]


def test_recipe_texts_know_their_target() -> None:
    files = debian_files(changed(compile="make {{ triplet }} {{ version }} ${#1}"), TARGET, SETTINGS)
    assert files["reef/compile.sh"] == "make aarch64-linux-gnu 1.2-2~deb13 ${#1}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ tripplet }}",
        "{{ version",
        "{% if version %}",
        "{% if architecure %}{% endif %}",
        "{{ version + 1 }}",
        "{{ 1 / 0 }}",
    ],
)
def test_an_undefined_or_broken_variable_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(PackageError) as caught:
        debian_files(changed(install=text), TARGET, SETTINGS)
    assert "debian/reef/install.sh" in caught.value.what
    assert "triplet" in caught.value.fix
    assert caught.value.exit_code == 8


@pytest.mark.parametrize(
    "text",
    [
        "docker inspect --format '{{.State.Status}}' {{ .Values.x }} {{name}}", "{{ states('sensor.x') | float }}",
        "awk '{{print}}' ${x%.*} ${#x} {%k} {# no comment #}", "{{", "}} {{ x }", "{{ ansible_version }}", "a\r\nb",
        "{%form} {% include 'x' %}",
    ],
)  # fmt: skip
def test_braces_of_other_programs_stay_as_they_are(text: str) -> None:
    assert debian_files(changed(install=f"{text} {{{{ version }}}}"), TARGET, SETTINGS)["reef/install.sh"] == (
        f"{text} 1.2-2~deb13"
    )


@pytest.mark.parametrize(
    "text",
    [
        "{% for item in items %}{{ version }} {{ item }}{% endfor %}",
        "{% if is_state('a', 'b') %}x{% endif %}",
        "{% load static %}{% if a %}x{% endif %}{{ a|date:'Y' }}",
        "{% if x contains y %}{{ x.version }}{% endif %}",
        "{%- if .Values.version -%}x{%- end -%}",
        "{% if %}",
        "{% for x in y limit:2 %}{% endfor %} version: 1",
    ],
)
def test_a_template_of_another_program_stays_as_it_is(text: str) -> None:
    assert debian_files(changed(install=text), TARGET, SETTINGS)["reef/install.sh"] == text


def test_relations_know_variables() -> None:
    recipe = changed()
    package = recipe.packages[0].model_copy(update={"provides": ["greet-{{ upstream_version }}-{{ architecture }}"]})
    one = recipe.model_copy(update={"packages": [package]})
    assert "Provides: greet-1.2-arm64\n" in debian_files(one, TARGET, SETTINGS)["control"]
    with pytest.raises(PackageError, match="cannot render debian/control"):
        debian_files(one.model_copy(update={"keep_source": True}), TARGET, SETTINGS)


def test_a_block_makes_a_text_a_template() -> None:
    text = '{% if architecture == "arm64" %}a{% endif %}{% raw %}{{ version }}{% endraw %}{{ "{{" }}'
    assert debian_files(changed(install=text), TARGET, SETTINGS)["reef/install.sh"] == "a{{ version }}{{"


@pytest.mark.parametrize("text", ["{{ triplet }}", "{{ architecture }}"])
def test_a_source_for_all_cpus_names_none(text: str) -> None:
    with pytest.raises(PackageError) as caught:
        debian_files(changed(keep_source=True, compile=text), TARGET, SETTINGS)
    assert "debian/reef/compile.sh" in caught.value.what
    assert "with keep_source: use $DEB_HOST_ARCH or $DEB_HOST_MULTIARCH" in caught.value.fix


def test_a_kept_source_is_the_same_for_all_cpus_and_says_what_it_needs() -> None:
    recipe = changed(keep_source=True, recipes={"other": ["libother-dev"]})
    files = debian_files(recipe, TARGET, SETTINGS)
    assert files == debian_files(recipe, parse_target("trixie/armhf"), SETTINGS)
    assert "libother-dev\n" in files["control"]
    assert "export RECIPE = $(CURDIR)/debian/reef/recipe\n" in files["rules"]
    plain = debian_files(changed(recipes={"other": ["libother-dev"]}), TARGET, SETTINGS)
    assert "libother-dev" not in plain["control"]
    assert "export RECIPE = /build/recipe\n" in plain["rules"]
    assert "source/patch-header" not in plain


def test_edits_are_described_above_their_patch() -> None:
    recipe = changed(keep_source=True)
    edits = [recipe.edits[0].model_copy(update={"reason": "a long reason " * 9 + "with {{ braces }}"})]
    edited = recipe.model_copy(update={"edits": edits})
    header = debian_files(edited, TARGET, SETTINGS)["source/patch-header"]
    assert header.startswith("Description: edits of the recipe, made by Reef\n hello.c: a long reason")
    assert header.endswith("with {{ braces }}\n")
    assert max(map(len, header.splitlines())) < 80


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one\n\ntwo\n", " one\n .\n two"),
        ("\n\n one\n  two  \n \t\nthree\n\n", "  one\n   two\n .\n three"),
        ("one\r\n\r\ntwo\r\n", " one\n .\n two"),
        # Policy 5.6.13 reserves lines that begin with a dot; verbatim lines begin with a second space.
        (".NET is\n .\n.\n. x", "  .NET is\n .\n .\n  . x"),
        ("a\tb\n\t* c", " a       b\n         * c"),
    ],
)
def test_extended_descriptions(text: str, lines: str) -> None:
    assert extended(text) == lines


def test_dpkg_replaces_no_variable_in_what_a_recipe_says() -> None:
    recipe = changed()
    package = recipe.packages[0].model_copy(
        update={
            "summary": "reads ${HOME}, ${} and 100% of $x",
            "description": "see ${binary:Version} and {{ version }}",
            "suggests": ["x (= ${binary:Version})"],
        }
    )
    control = debian_files(recipe.model_copy(update={"packages": [package]}), TARGET, SETTINGS)["control"]
    assert "Description: reads ${}{HOME}, ${}{} and 100% of $x\n see ${}{binary:Version} and {{ version }}\n" in control
    assert "Suggests: x (= ${binary:Version})\n" in control


def test_the_code_of_debhelper_comes_once() -> None:
    recipe = changed()
    scripts = {"postinst": "one", "prerm": "before\n#DEBHELPER#\nafter"}
    package = recipe.packages[0].model_copy(update={"scripts": MaintainerScript(**scripts)})
    files = debian_files(recipe.model_copy(update={"packages": [package]}), TARGET, SETTINGS)
    assert files[f"{package.name}.postinst"] == "#!/bin/sh\nset -e\n\none\n\n#DEBHELPER#\n\nexit 0\n"
    assert files[f"{package.name}.prerm"] == "#!/bin/sh\nset -e\n\nbefore\n#DEBHELPER#\nafter\n\nexit 0\n"


def test_texts_of_several_lines_and_words_in_changelog_and_copyright() -> None:
    recipe = changed()
    paragraph = recipe.copyright[0].model_copy(
        update={"files": ["My Notes.txt"], "copyright": ["2026 One\n \n2027 Two\n\n"]}
    )
    entry = recipe.changelog[0].model_copy(update={"changes": [f"{'x' * 60} a-word-with-hyphens"]})
    update = {"copyright": [paragraph], "changelog": [entry]}
    files = debian_files(recipe.model_copy(update=update), TARGET, SETTINGS)
    assert "Files: My?Notes.txt\nCopyright: 2026 One\n           2027 Two\n" in files["copyright"]
    assert f"  * {'x' * 60}\n    a-word-with-hyphens\n" in files["changelog"]


def test_the_fingerprint_is_as_committed() -> None:
    recipe = load_recipe(HELLO)
    job = plan_job(recipe, TARGET, strategy="cross", machine=AMD64, debian=debian_files(recipe, TARGET, SETTINGS))
    # It changes only where everything that is built becomes stale.
    compare_with_golden("fingerprint.json", json.dumps(fingerprint(job, {}), indent=1) + "\n")
