"""Bazel's driver, as far as it needs no Bazel: jobs, time left, what lines of output mean; and its rendered files."""

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from builders.checks import install_job
from builders.deb import build_system, debian_files, write
from builders.deb.build_systems import bazel_driver as driver
from builders.deb.build_systems.bazel import STATUS
from builders.deb.build_systems.bazel_driver import Ended, Pace, jobs_for, left, memory_bytes, progress, rewritten
from builders.deb.job import scripts
from builders.engines.environment import environment as variables
from builders.errors import InputError
from builders.model.arch import AMD64
from builders.model.recipe import Recipe, load_recipe
from builders.model.settings import BazelServices, Settings, bazel_storage
from builders.model.target import parse_target

SERVING = Path(__file__).parents[2] / "recipes" / "tensorflow-serving"
TARGET = parse_target("trixie/arm64")
GB = 10**9


@dataclass
class Scripted:
    """A program in Bazel's place, and the command lines of its builds as they came."""

    bazel: driver.Bazel
    folder: Path

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    """Makes such a program: each build answers with the next of the given "status text"."""

    def make(*answers: str, server: str = "", version: str = "6.5.0", mirrors: Mapping[str, str] = {}) -> Scripted:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        (folder / "answers").write_text("".join(f"{answer}\n" for answer in answers))
        program = folder / "bazel"
        program.write_text(
            f'#!/bin/sh\ncase "$*" in *" shutdown") exit 0 ;; esac\ncd {folder}\necho "$*" >>calls\n'
            'read -r status text <<.\n$(sed -n "$(wc -l <calls)p" answers)\n.\necho "$text"\nexit "$status"\n'
        )
        program.chmod(0o755)
        for name in ("EVENTS", "DOWNLOADER"):
            monkeypatch.setattr(driver, name, folder / name)
        driver.EVENTS.write_text('{"buildMetrics": {"actionSummary": {"actionsExecuted": "7"}}}\n')
        monkeypatch.setattr(driver, "memory_bytes", lambda: 64 * GB)
        recipe = {"version": version, "programs": {}, "targets": ["//x"], "memory_per_job_mb": 2500}
        run = {
            "machine": "amd64",
            "strategy": "cross",
            "jobs": 4,
            "mirrors": mirrors,
            "executes": False,
            "upload": True,
        }
        bazel = driver.Bazel(recipe, run)
        bazel.program, bazel.server = str(program), server
        return Scripted(bazel, folder)

    return make


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
    assert [left(s) for s in (5, 60, 3600, 8000)] == [
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
    ended = Ended()
    ended.take(line)
    assert ended.out_of_memory


def test_other_failures_are_not_taken_for_it() -> None:
    ended = Ended()
    for line in (
        "x.cc:1:1: error: expected ';'",
        "ERROR: Compiling x.cc failed: (Exit 1): gcc failed",
        "Killed instance",
    ):
        ended.take(line)
    assert not ended.out_of_memory


def test_files_that_were_not_had_are_kept_with_their_reason() -> None:
    ended = Ended()
    ended.take(
        "WARNING: Download from https://github.com/a/b.zip failed: class com.google.devtools.build.lib.bazel."
        "repository.downloader.UnrecoverableHttpException Unknown host: github.com"
    )
    assert ended.not_had == {"https://github.com/a/b.zip": "Unknown host: github.com"}


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
    assert driver.door() == place


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
    storage = bazel_storage(Settings(bazel=BazelServices(remote_cache=url)))
    assert storage
    assert (storage.scheme, storage.tls, storage.port, storage.what) == (scheme, tls, port, "Bazel server")
    assert storage.password == ("p@ss" if "me:" in url else "")


def test_two_servers_are_refused() -> None:
    with pytest.raises(ValueError, match="the executor is the cache as well"):
        BazelServices(remote_cache="grpc://a:1", remote_executor="grpc://b:1")


MIRRORS = {
    "https://github.com/": "http://mirror.example/gh/",
    "https://github.com/tensorflow/": "https://tf.example/$x/",
    "https://files.example/a": "https://mirror.example/a",
}


def test_mirrors_are_told_to_bazels_downloader_with_their_own_scheme() -> None:
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


@pytest.mark.parametrize(
    ("version", "mirrors", "told"),
    [
        ("6.5.0", {"https://a.example/": "http://b.example/"}, ""),
        ("4.2.3", {"https://a.example/": "http://b.example/"}, ""),
        (
            "4.1.0",
            {"https://a.example/": "http://b.example/"},
            "Bazel 4.1.0 cannot be told of mirrors for https://a.ex",
        ),
        (
            "6.5.0",
            {"https://a.example/": "file:///srv/a/"},
            "Bazel 6.5.0 cannot be told of mirrors for https://a.example/;",
        ),
    ],
)
def test_mirrors_that_bazel_cannot_be_told_of_are_named(
    scripted: Callable[..., Scripted], version: str, mirrors: dict[str, str], told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    one = scripted("0", version=version, mirrors=mirrors)
    assert driver.fetch(one.bazel) == 0
    assert ("--experimental_downloader_config" in one.calls[0]) is not bool(told)
    assert driver.DOWNLOADER.exists() is not bool(told)
    assert told in (output := capsys.readouterr().out)
    assert ("warning" in output) is bool(told)


@pytest.mark.parametrize("status", [32, 34, 39])
def test_a_server_that_fails_in_the_middle_is_done_without(
    scripted: Callable[..., Scripted], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    one = scripted(
        f"{status} ERROR: Failed to query remote execution capabilities", "0", server="http://127.0.0.1:7070"
    )
    assert driver.build(one.bazel) == 0
    assert ["--remote_cache=http://127.0.0.1:7070" in call for call in one.calls] == [True, False]
    assert "warning: the Bazel server failed during the build; it goes on without" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "server"),
    [(["34 x"], ""), (["34 x", "34 x"], "grpc://127.0.0.1:7070"), (["38 x"], "grpc://127.0.0.1:7070")],
)
def test_other_failures_and_a_second_one_end_it(
    scripted: Callable[..., Scripted], answers: list[str], server: str
) -> None:
    one = scripted(*answers, server=server)
    assert driver.build(one.bazel) == int(answers[-1].split()[0])
    assert len(one.calls) == len(answers)


KILLED = "1 gcc: fatal error: Killed signal terminated program cc1plus"


@pytest.mark.parametrize(
    ("answers", "jobs", "status"), [(["33 x", KILLED, "0"], [4, 2, 1], 0), ([KILLED, "137 x", "33 x"], [4, 2, 1], 33)]
)
def test_jobs_are_halved_until_the_memory_reaches(
    scripted: Callable[..., Scripted], answers: list[str], jobs: list[int], status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    one = scripted(*answers)
    assert driver.build(one.bazel) == status
    assert [int(number) for call in one.calls for number in re.findall(r"--jobs=(\d+)", call)] == jobs
    output = capsys.readouterr().out
    assert "warning: out of memory; the build goes on with 1 job\n" in output
    assert ("out of memory with one job: add swap" in output) is (status != 0)


def test_want_of_memory_while_it_analyses_is_told(
    scripted: Callable[..., Scripted], capsys: pytest.CaptureFixture[str]
) -> None:
    assert driver.fetch(scripted("33 FATAL: bazel ran out of memory").bazel) == 33
    assert "out of memory while Bazel read and analysed the build: add swap" in capsys.readouterr().out


def test_what_would_bring_a_file_that_was_not_had_is_told(
    scripted: Callable[..., Scripted], capsys: pytest.CaptureFixture[str]
) -> None:
    line = (
        "WARNING: Download from https://me:x@a.example/b.zip failed: class java.io.IOException Unknown host: a.example"
    )
    assert driver.fetch(scripted(f"1 {line}").bazel) == 1
    output = capsys.readouterr().out
    assert "cannot be had: https://a.example/b.zip (Unknown host: a.example)" in output
    for word in ("in vain: a.example", "mirrors: in reef.yml", "--source NAME=FOLDER", "./inv cache --export"):
        assert word in output
    assert driver.fetch(scripted(f"0 {line}").bazel) == 0  # had elsewhere
    assert "cannot be had" not in capsys.readouterr().out


def test_passwords_are_not_shown() -> None:
    assert driver.shown("https://me:secret@cache.example/x") == "https://cache.example/x"


def test_the_pinned_version_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "bazel"
    program.write_text("#!/bin/sh\necho bazel 7.0.0\n")
    program.chmod(0o755)
    bazel = driver.Bazel({"version": "6.5.0", "programs": {}}, {"machine": "amd64"})
    bazel.program = str(program)
    with pytest.raises(SystemExit) as caught:
        bazel.check_version()
    assert caught.value.code == 3
    assert "the recipe wants 6.5.0" in capsys.readouterr().out
    program.write_text("#!/bin/sh\necho 'bazel 6.5.0- (@non-git)'\n")
    bazel.check_version()


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


def test_a_stamped_program_tells_the_commit_of_its_tree(tmp_path: Path) -> None:
    for recipe, revision in ((serving(), "0e62613"), (serving().with_source("serving", tmp_path), "no_git")):
        write(debian_files(recipe, TARGET, Settings()), tmp_path)
        done = subprocess.run([tmp_path / "debian" / STATUS], capture_output=True, text=True, check=True)
        assert done.stdout == f"BUILD_SCM_REVISION {revision}\n"


def test_a_variant_changes_flags_version_and_cpu_and_unknown_ones_are_told(tmp_path: Path) -> None:
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
    told = json.loads(environment["REEF_BAZEL"])
    assert (told["executes"], told["jobs"], told["machine"], told["properties"]) == (True, 7, "amd64", {"a": "b"})
    assert "cache.example" not in str(debian_files(serving(), TARGET, Settings(bazel=services)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": "6.5"}, "version"),
        ({"targets": ["tensorflow_model_server"]}, "targets"),
        ({"targets": []}, "targets"),
        ({"programs": {"mips": "x"}}, "unknown architecture 'mips'"),
        ({"flags": {"all": ["copt"]}}, "flags.all"),
        ({"flags": {"crosss": []}}, "flags"),
    ],
)
def test_wrong_values_are_told(tmp_path: Path, change: dict[str, object], told: str) -> None:
    data = yaml.safe_load((SERVING / "recipe.yml").read_text())
    data["build"]["bazel"] |= change
    folder = tmp_path / "tensorflow-serving"
    folder.mkdir()
    (folder / "recipe.yml").write_text(yaml.safe_dump(data))
    with pytest.raises(InputError) as caught:
        load_recipe(folder)
    assert told in str(caught.value)


def test_a_root_newer_than_a_suite_that_is_served_is_refused(tmp_path: Path) -> None:
    text = (SERVING / "recipe.yml").read_text().replace("root: bullseye", "root: bookworm")
    folder = tmp_path / "tensorflow-serving"
    folder.mkdir()
    (folder / "recipe.yml").write_text(text)
    with pytest.raises(InputError, match="newer than the suite bullseye"):
        load_recipe(folder)


@pytest.mark.parametrize(("root", "knows"), [("bullseye", True), ("bookworm", False)])
def test_no_lintian_is_asked_to_leave_out_a_tag_that_it_does_not_know(root: str, knows: bool) -> None:
    recipe = serving()
    older = recipe.model_copy(update={"build": recipe.build.model_copy(update={"root": root})})
    script, _ = scripts(older, TARGET, "cross")
    assert ("--suppress-tags bad-distribution-in-changes-file \\\n" in script) is not knows
    assert ("-file,systemd-service-file-outside-lib \\\n" in script) is knows
