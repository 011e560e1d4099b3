"""recipes/tensorflow-serving as text: Reef accepts the ways that its comments and its documentation describe."""

import re
import shutil
import subprocess
from pathlib import Path

import yaml

from builders.deb import debian_files
from builders.model.recipe import load_recipe
from builders.model.recipe.upstream import load_upstream, unlisted
from builders.model.settings import Settings
from builders.model.target import parse_target
from tests.support.checkout import CHECKOUT

RECIPE = CHECKOUT / "recipes" / "tensorflow-serving"
TARGET = parse_target("trixie/arm64")


def test_the_hermetic_toolchain_of_later_versions_is_one_that_a_recipe_can_name(tmp_path: Path) -> None:
    text = (RECIPE / "recipe.yml").read_text()
    block = re.search(r"^#   sources:\n(?:#     .*\n)+#   bazel:\n(?:#     .*\n)+", text, re.MULTILINE)
    assert block
    output = yaml.safe_load(block[0].replace("#   ", "").replace("commit: ...", f"commit: {'a' * 40}"))
    folder = tmp_path / RECIPE.name
    shutil.copytree(RECIPE, folder)
    document = yaml.safe_load(text)
    document["sources"] += output["sources"]
    document["build"]["bazel"] |= output["bazel"]
    (folder / "recipe.yml").write_text(yaml.safe_dump(document))
    recipe = load_recipe(folder)
    files = debian_files(recipe, TARGET, Settings())
    cross = [line for line in files["reef/bazelrc"].splitlines() if line.startswith("build:reef-cross ")]
    assert cross[1:] == [f"build:reef-cross {flag}" for flag in output["bazel"]["flags"]["cross"]]
    assert "crosstool_top" not in files["reef/bazelrc"]
    assert not any(name.startswith("reef/toolchain") for name in files)
    # The desk check wants to know where each of them was read.
    upstream = load_upstream(recipe)
    assert upstream
    assert unlisted(recipe, upstream) == [
        "--repo_env=SYSROOT_DIST=linux_glibc_2_27",
        "@rules_ml_toolchain//cc:linux_x86_64_linux_aarch64",
        "@rules_ml_toolchain//common:linux_aarch64",
    ]


def test_the_documented_command_makes_it_another_version(tmp_path: Path) -> None:
    [command] = re.findall(
        r"^    (sed -i .*) \\\n *(.*)$",
        (CHECKOUT / "docs" / "recipes" / "tensorflow-serving.md").read_text(),
        re.MULTILINE,
    )
    shutil.copytree(RECIPE, tmp_path / "recipes" / RECIPE.name)
    subprocess.run(["sh", "-eu", "-c", " ".join(command)], cwd=tmp_path, check=True)
    text = (tmp_path / "recipes" / RECIPE.name / "recipe.yml").read_text()
    assert "2.16" not in text
    recipe = load_recipe(tmp_path / "recipes" / RECIPE.name)
    assert (recipe.version, recipe.tensorflow) == ("2.18.0", "2.18")
    assert recipe.sources[0].git
    assert recipe.sources[0].git.commit == "5815bfdd1d1bbd9d0d3557576c98f13afc4d9016"
    assert recipe.packages[0].provides == ["tensorflow-model-server-tf2.18"]
    assert "TensorFlow Library: 2.18.0" in recipe.checks[0].expect
    assert "--embed_label=2.18.0" in debian_files(recipe, TARGET, Settings())["reef/bazelrc"]
