"""Bazel's driver, as far as it needs no Bazel: jobs, time left, what lines of output mean; and its rendered files."""

import json
import re
from pathlib import Path

import pytest
import yaml

from builders.checks import install_job
from builders.deb import build_system, debian_files, plan_job
from builders.deb.build_systems import bazel_driver as driver
from builders.deb.build_systems.bazel import STATUS
from builders.deb.build_systems.bazel_driver import (
    Outcome,
    Pace,
    jobs_for,
    memory_bytes,
    progress,
    rewritten,
    time_left,
)
from builders.engines.environment import environment as variables
from builders.errors import InputError
from builders.model.arch import AMD64
from builders.model.recipe import Recipe, load_recipe
from builders.model.settings import BazelServices, Settings, bazel_storage
from builders.model.target import parse_target
from tests.support.checkout import CHECKOUT

SERVING = CHECKOUT / "recipes" / "tensorflow-serving"
TARGET = parse_target("trixie/arm64")
GB = 10**9


@pytest.mark.parametrize(
    ("cores", "memory", "job", "jobs"),
    [
        (2, 24 * GB, 2.5 * GB, 2),  # the cores decide
        (20, 32 * GB, 2.5 * GB, 12),  # 20 ran out of memory, 10 did not
        (6, 4 * GB, 2.5 * GB, 1),
        (4, 0, 2.5 * GB, 1),  # one always
    ],
)
def test_jobs_follow_cores_and_memory(cores: int, memory: int, job: int, jobs: int) -> None:
    assert jobs_for(cores, memory, int(job)) == jobs


def test_a_control_groups_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n")
    assert memory_bytes(tmp_path, tmp_path) == 8_192_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_bytes(tmp_path, tmp_path) == 8_192_000_000
    (tmp_path / "memory.max").write_text("2000000000\n")
    assert memory_bytes(tmp_path, tmp_path) == 2 * GB
    assert memory_bytes() > 1_000_000


def test_counts_become_progress_with_the_time_left() -> None:
    pace = Pace()
    assert progress("[0 / 4] [Prepa] Creating", pace, 0) == "[0/4] [Prepa] Creating"
    assert (
        progress("[1,000 / 5,000] Compiling a.cc; 3s local", pace, 600)
        == "[1000/5000] 40 min left: Compiling a.cc; 3s local"
    )
    assert progress("INFO: Build completed", pace, 601) is None
    assert progress("[1,001 / 5,000] Compiling a.cc", pace, 610) is not None
    # What a cache gave at once says nothing of the pace after it.
    assert progress("[1,091 / 5,000] Compiling b.cc", pace, 1510) == "[1091/5000] 10 h 52 min left: Compiling b.cc"


def test_time_left_is_for_people() -> None:
    assert [time_left(s) for s in (5, 60, 3600, 8000)] == [
        "less than a minute left",
        "1 min left",
        "1 h 00 min left",
        "2 h 13 min left",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "aarch64-linux-gnu-gcc: fatal error: Killed signal terminated program cc1plus",
        "ERROR: x/BUILD:1:1: Compiling x.cc failed: (Killed): gcc failed: error executing command",
        "cc1plus: out of memory allocating 65536 bytes\nvirtual memory exhausted: Cannot allocate memory",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "FATAL: bazel ran out of memory: java.lang.OutOfMemoryError: Java heap space",
        "ERROR: x/BUILD:1:1: Linking of rule '//x' failed: (Exit 137): gcc failed",
    ],
)
def test_want_of_memory_is_recognised(line: str) -> None:
    outcome = Outcome()
    outcome.take(line)
    assert outcome.out_of_memory


def test_other_failures_are_not_taken_for_it() -> None:
    outcome = Outcome()
    for line in (
        "x.cc:1:1: error: expected ';'",
        "ERROR: Compiling x.cc failed: (Exit 1): gcc failed",
        "Killed instance",
    ):
        outcome.take(line)
    assert not outcome.out_of_memory


def test_files_that_were_not_fetched_are_kept_with_their_reason() -> None:
    outcome = Outcome()
    outcome.take(
        "WARNING: Download from https://github.com/a/b.zip failed: class com.google.devtools.build.lib.bazel."
        "repository.downloader.UnrecoverableHttpException Unknown host: github.com"
    )
    assert outcome.failed_downloads == {"https://github.com/a/b.zip": "Unknown host: github.com"}


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("http://127.0.0.1:7070|layout=subdirs", "http://127.0.0.1:7070"),
        ("tcp://127.0.0.1:7070|read-only", "grpc://127.0.0.1:7070"),
        ("", ""),
    ],
)
def test_the_servers_door_is_the_engines(monkeypatch: pytest.MonkeyPatch, variable: str, place: str) -> None:
    monkeypatch.setenv("CCACHE_REMOTE_STORAGE", variable)
    assert driver.server_address() == place


@pytest.mark.parametrize(
    ("url", "scheme", "tls", "port"),
    [
        ("http://cache.example/a/b", "http", False, 80),
        ("https://me:p%40ss@cache.example:8443/", "http", True, 8443),
        ("grpc://cluster.example:8980", "tcp", False, 8980),
        ("grpcs://cluster.example", "tcp", True, 443),
    ],
)
def test_a_server_of_bazels_is_read(url: str, scheme: str, tls: bool, port: int) -> None:
    storage = bazel_storage(BazelServices(remote_cache=url))
    assert storage
    assert (storage.scheme, storage.tls, storage.port, storage.what) == (scheme, tls, port, "Bazel server")
    assert storage.password == ("p@ss" if "me:" in url else "")


def test_two_servers_are_refused() -> None:
    with pytest.raises(ValueError, match="the executor is also a cache"):
        BazelServices(remote_cache="grpc://a:1", remote_executor="grpc://b:1")


MIRRORS = {
    "https://github.com/": "http://mirror.example/gh/",
    "https://github.com/tensorflow/": "https://tf.example/$x/",
    "https://files.example/a": "https://mirror.example/a",
}


def test_mirrors_are_given_to_bazels_downloader_with_their_own_scheme() -> None:
    assert rewritten(MIRRORS).splitlines() == [
        r"rewrite files\.example/a(.*) https://mirror.example/a$1",
        r"rewrite github\.com/(?!tensorflow/)(.*) http://mirror.example/gh/$1",
        r"rewrite github\.com/tensorflow/(.*) https://tf.example/\$x/$1",
    ]


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("github.com/tensorflow/serving", ["https://tf.example/$x/serving"]),
        ("github.com/tensorflows", ["http://mirror.example/gh/tensorflows"]),
        ("elsewhere.example/github.com/x", []),
        ("githubXcom/x", []),
    ],
)
def test_the_longest_prefix_that_fits_is_the_only_one(url: str, places: list[str]) -> None:
    """What Bazel does with the rules, in Python: every one that matches the whole URL without its scheme."""
    rules = [line.split(" ")[1:] for line in rewritten(MIRRORS).splitlines()]
    fits = [(place, found) for pattern, place in rules if (found := re.fullmatch(pattern, url))]
    assert [place.replace("$1", found[1]).replace("\\$", "$") for place, found in fits] == places


def test_passwords_are_not_shown() -> None:
    assert driver.shown("https://me:secret@cache.example/x") == "https://cache.example/x"


def test_it_runs_on_the_python_of_the_oldest_root() -> None:
    compile(
        Path(driver.__file__).read_text(), "bazel_driver.py", "exec", flags=0, dont_inherit=True, _feature_version=9
    )


def serving(**bazel: object) -> Recipe:
    recipe = load_recipe(SERVING)
    assert recipe.build.bazel
    changed = recipe.build.bazel.model_copy(update=bazel)
    return recipe.model_copy(update={"build": recipe.build.model_copy(update={"bazel": changed})})


def test_flags_are_rendered_and_never_the_ones_that_kill_boards() -> None:
    rc = debian_files(serving(), TARGET, Settings())["reef/bazelrc"]
    lines = rc.splitlines()
    assert "build --copt=-march=armv8-a" in lines
    assert "build:reef-cross --cpu=aarch64" in lines
    assert "build --embed_label=2.16.1" in lines
    assert f"build --workspace_status_command=./debian/{STATUS}" in lines
    assert not [line for line in lines if "--config=release" in line or "mkl_aarch64" in line]
    own = debian_files(serving(toolchain="own"), TARGET, Settings())
    assert "reef/toolchain/BUILD" not in own
    assert "crosstool_top" not in own["reef/bazelrc"]


def test_a_variant_changes_flags_version_and_cpu_and_unknown_ones_are_reported(tmp_path: Path) -> None:
    recipe = load_recipe(SERVING).as_variant("cortex-a72")
    assert recipe.debian_version(TARGET) == "1:2.16.1-1+cortexa72~deb13"
    rc = debian_files(recipe, TARGET, Settings())["reef/bazelrc"]
    assert "build --copt=-mcpu=cortex-a72" in rc
    assert "armv8-a" not in rc
    # It may take instructions that the oldest boards lack: it is tried on a CPU that has them.
    assert variables(install_job(recipe, TARGET, [], tmp_path))["QEMU_CPU"] == "cortex-a72"
    assert variables(install_job(load_recipe(SERVING), TARGET, [], tmp_path))["QEMU_CPU"] == "cortex-a53"
    with pytest.raises(InputError, match="did you mean 'cortex-a7"):
        load_recipe(SERVING).as_variant("cortex-a71")


def test_this_runs_part_is_no_part_of_the_files() -> None:
    services = BazelServices(remote_executor="grpc://cache.example:8080", remote_properties={"a": "b"})
    environment = build_system(serving()).environment(Settings(bazel=services), "cross", AMD64, 7)
    output = json.loads(environment["REEF_BAZEL"])
    assert (output["executes"], output["jobs"], output["machine"], output["properties"]) == (
        True,
        7,
        "amd64",
        {"a": "b"},
    )
    assert "cache.example" not in str(debian_files(serving(), TARGET, Settings(bazel=services)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "6.5"}, "version"),
        ({"targets": ["tensorflow_model_server"]}, "targets"),
        ({"targets": []}, "targets"),
        ({"programs": {"mips": "x"}}, "unknown architecture 'mips'"),
        ({"flags": {"all": ["copt"]}}, "flags.all"),
        ({"flags": {"crosss": []}}, "flags"),
    ],
)
def test_wrong_values_are_reported(tmp_path: Path, change: dict[str, object], message: str) -> None:
    data = yaml.safe_load((SERVING / "recipe.yml").read_text())
    data["build"]["bazel"] |= change
    folder = tmp_path / "tensorflow-serving"
    folder.mkdir()
    (folder / "recipe.yml").write_text(yaml.safe_dump(data))
    with pytest.raises(InputError) as caught:
        load_recipe(folder)
    assert message in str(caught.value)


def test_a_root_newer_than_a_suite_that_is_served_is_refused(tmp_path: Path) -> None:
    text = (SERVING / "recipe.yml").read_text().replace("root: bullseye", "root: bookworm")
    folder = tmp_path / "tensorflow-serving"
    folder.mkdir()
    (folder / "recipe.yml").write_text(text)
    with pytest.raises(InputError, match="bookworm is newer than bullseye"):
        load_recipe(folder)


@pytest.mark.parametrize(("root", "knows"), [("bullseye", True), ("bookworm", False)])
def test_no_lintian_is_asked_to_leave_out_a_tag_that_it_does_not_know(root: str, knows: bool) -> None:
    recipe = serving()
    older = recipe.model_copy(update={"build": recipe.build.model_copy(update={"root": root})})
    script = plan_job(older, TARGET, strategy="cross", machine=AMD64, debian={}).script
    assert ("--suppress-tags bad-distribution-in-changes-file \\\n" in script) is not knows
    assert ("-file,systemd-service-file-outside-lib \\\n" in script) is knows
