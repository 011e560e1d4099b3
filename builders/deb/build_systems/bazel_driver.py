"""Runs Bazel inside a build root: ``bazel_driver.py fetch`` with the network, then ``bazel_driver.py build`` without.

It is copied into ``debian/reef`` and needs only the Python of the oldest root (3.9) with its standard library. The
recipe's part of its input is ``bazel.json`` beside it, this run's part the variable REEF_BAZEL. Lines that begin with
``reef:`` are for the user, ``[12/345]`` for the progress bar, all others for the log.

Counts come from Bazel's console. Its build event stream repeats these lines only when the next action ends, so that a
bar made from it would lag behind the console. The number of all actions that ran is read from the stream.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
EVENTS = Path("/build/bazel-events.json")
FIRST_WITH_MIRRORS = (4, 2)
"""The first version seen to keep a mirror's scheme: earlier ones with rules use the scheme of the original URL."""
DOWNLOADER = Path("/build/bazel-downloader.cfg")
SERVER_BYTES = 1_500_000_000
"""The memory reserved for Bazel's own server (Java), beside the compilers."""
WRONG_VERSION, BAZEL_OUT_OF_MEMORY = 3, 33
REMOTE_TROUBLE = (32, 34, 39)
"""Bazel's exit statuses for a server that is misconfigured, that failed, and that lost results which it promised."""
WINDOW_S = 900.0
"""The time over which the pace is measured: cached actions at the start must not promise an early end."""

HTTP = re.compile("^https?://")
MORE_MEMORY = "add swap or memory, or close other programs, and run again"
COUNTED = re.compile(r"^\[([\d,]+) / ([\d,]+)\]\s*(.*)")
KILLED = re.compile(
    r"Killed signal terminated program|\(Killed\)|[Kk]illed by signal 9|signal: 9|fatal error: Killed"
    r"|virtual memory exhausted|std::bad_alloc|Cannot allocate memory|java\.lang\.OutOfMemoryError|\(Exit 137\)"
)
"""Messages of compilers, shells and Bazel about a process that got no memory, or that the kernel killed for memory."""
DOWNLOAD_FAILED = re.compile(r"Download from (\S+) failed: .*?Exception (.*)")
NOT_CACHED = re.compile(r"(?:Reading from|Writing to|Failed to .*) [Rr]emote [Cc]ache|Remote Cache:")


def say(text: str) -> None:
    """Print one line for the user."""
    print(f"reef: {text}", flush=True)


def jobs_for(cores: int, memory_bytes: int, job_bytes: int) -> int:
    """Return how many compilers may run at once: one for each core, or fewer if the memory is too small."""
    return max(1, min(cores, (memory_bytes - SERVER_BYTES) // job_bytes))


def memory_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that this root may use: those available, or the limit of its control group if that is less."""
    text = (proc / "meminfo").read_text()
    found = [int(number) * 1024 for number in re.findall(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            found.append(int((cgroup / name).read_text()))
        except (OSError, ValueError):
            continue  # no limit: no such file, or the word "max"
    return min(found)


def time_left(seconds: float) -> str:
    """Return the remaining time as text for the user."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute left"
    return f"{minutes // 60} h {minutes % 60:02d} min left" if minutes >= 60 else f"{minutes} min left"


@dataclass
class Pace:
    """The rate at which actions end, over the last quarter of an hour."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def remaining_s(self, now: float, done: int, total: int) -> float | None:
        """Add a count and return the remaining seconds, None while there are too few counts."""
        self.seen.append((now, done))
        while len(self.seen) > 1 and now - self.seen[1][0] >= WINDOW_S:
            self.seen.popleft()
        since, before = self.seen[0]
        if done <= before or now - since < 1:
            return None
        return (total - done) * (now - since) / (done - before)


def progress(line: str, pace: Pace, now: float) -> str | None:
    """Return Bazel's line that counts actions in Reef's form: ``[12/345] 3 min left: Compiling x.cc``."""
    counted = COUNTED.match(line)
    if not counted:
        return None
    done, total = (int(counted[number].replace(",", "")) for number in (1, 2))
    seconds = pace.remaining_s(now, done, total)
    return f"[{done}/{total}] " + (f"{time_left(seconds)}: " if seconds is not None else "") + counted[3]


@dataclass
class Outcome:
    """The end of one run of Bazel: its exit status, and the troubles named in its output."""

    status: int = 0
    out_of_memory: bool = False
    cache_trouble: str = ""
    failed_downloads: dict[str, str] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Note the trouble that one line of the output names."""
        if KILLED.search(line):
            self.out_of_memory = True
        if NOT_CACHED.search(line):
            self.cache_trouble = line
        if missing := DOWNLOAD_FAILED.search(line):
            self.failed_downloads[missing[1]] = missing[2]


class Bazel:
    """Bazel with the flags of this recipe and run."""

    def __init__(self, recipe: dict[str, Any], run: dict[str, Any]) -> None:
        self.recipe, self.run = recipe, run
        place = recipe["programs"].get(run["machine"])
        self.program = str(HERE.parents[1] / place) if place else "bazel"
        self.server = server_address()

    def check_version(self) -> None:
        """End with status 3 unless Bazel has the pinned version."""
        answer = subprocess.run(
            [self.program, "--version"], capture_output=True, text=True, env=environment(), check=False
        )
        found = re.search(r"\d+\.\d+\.\d+", answer.stdout)
        if found and found[0] == self.recipe["version"]:
            return
        text = (answer.stdout + answer.stderr).strip() or f"no answer, status {answer.returncode}"
        say(f"Bazel has not the pinned version: the recipe needs {self.recipe['version']}, {self.program} says: {text}")
        say("put the pinned version's program and its digest into the recipe's sources, or change bazel.version")
        sys.exit(WRONG_VERSION)

    def build(self, *words: str) -> Outcome:
        """Run ``bazel build`` on the recipe's targets and return its outcome."""
        flags = [f"--config=reef-{self.run['strategy']}", *words, *self._remote_flags()]
        if mirrors := self.mirrors():
            DOWNLOADER.write_text(rewritten(mirrors))
            flags.append(f"--experimental_downloader_config={DOWNLOADER}")
        return self._follow(["--bazelrc=debian/reef/bazelrc", "build", *flags, "--", *self.recipe["targets"]])

    def mirrors(self) -> dict[str, str]:
        """Return the mirrors that this version of Bazel supports: from HTTP to HTTP."""
        if tuple(map(int, self.recipe["version"].split("."))) < FIRST_WITH_MIRRORS:
            return {}
        given: dict[str, str] = self.run["mirrors"]
        return {prefix: place for prefix, place in given.items() if HTTP.match(prefix) and HTTP.match(place)}

    def shutdown(self) -> None:
        """End Bazel's server in order, so that the next run can continue from its files."""
        subprocess.run([self.program, "--bazelrc=debian/reef/bazelrc", "shutdown"], env=environment(), check=False)

    def _remote_flags(self) -> list[str]:
        if not self.server:
            return []
        name = "remote_executor" if self.run["executes"] else "remote_cache"
        flags = [f"--{name}={self.server}", "--remote_timeout=60", "--remote_retries=2", "--remote_local_fallback"]
        flags.append(f"--remote_upload_local_results={'true' if self.run['upload'] else 'false'}")
        if self.run["executes"]:
            flags += [f"--remote_default_exec_properties={k}={v}" for k, v in self.run["properties"].items()]
        return flags

    def _follow(self, words: list[str]) -> Outcome:
        outcome, pace = Outcome(), Pace()
        command = [self.program, "--nohome_rc", *words]
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), text=True, errors="replace"
        )
        if child.stdout is None:
            raise AssertionError("started with a pipe")
        for line in child.stdout:
            outcome.take(line)
            # Starlark's traces begin as Python's do, and must not look like an error of Reef's.
            text = line.rstrip().replace("Traceback (most recent call last):", "Starlark's calls, the innermost last:")
            print(progress(text, pace, time.monotonic()) or text, flush=True)
        outcome.status = child.wait()
        if outcome.status in (BAZEL_OUT_OF_MEMORY, 137, -9):
            outcome.out_of_memory = True
        return outcome


def environment() -> dict[str, str]:
    """Return Bazel's environment: equal in both steps, because Bazel fetches again after a change.

    It has no ccache: Bazel itself caches results of compilers, by the digest of all their inputs.
    """
    kept = {name: os.environ[name] for name in ("LC_ALL", "TZ", "SOURCE_DATE_EPOCH") if name in os.environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "USER": "root", **kept}


def server_address() -> str:
    """Return the address at which this job reaches the server that shares Bazel's work; empty without one.

    The engine listens there and forwards to the server. It has already warned the user if the server does not answer.
    """
    place = os.environ.get("CCACHE_REMOTE_STORAGE", "").partition("|")[0]
    return place.replace("tcp://", "grpc://")


def shown(url: str) -> str:
    """Return ``url`` without a user name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def rewritten(mirrors: dict[str, str]) -> str:
    """Return ``mirrors`` (prefix -> its replacement) as rules of Bazel's downloader.

    The downloader matches URLs without their scheme, and asks the places of all rules that match. A prefix therefore
    excludes the URLs of longer prefixes. A place keeps its own scheme.
    """
    bare = {HTTP.sub("", prefix): place for prefix, place in mirrors.items()}
    lines = []
    for prefix, place in sorted(bare.items()):
        longer = [
            re.escape(other[len(prefix) :]) for other in sorted(bare) if other.startswith(prefix) and other != prefix
        ]
        but_not = f"(?!{'|'.join(longer)})" if longer else ""
        literal = place.replace("\\", "\\\\").replace("$", "\\$")
        lines.append(f"rewrite {re.escape(prefix)}{but_not}(.*) {literal}$1")
    return "\n".join(lines) + "\n"


def fetch(bazel: Bazel) -> int:
    """Load and analyse with the network, which fetches all inputs of the build and nothing else."""
    bazel.server = ""
    if unsupported := sorted(set(bazel.run["mirrors"]) - set(bazel.mirrors())):
        names = ", ".join(map(shown, unsupported))
        say(
            f"warning: Bazel {bazel.recipe['version']} does not support mirrors for {names}; it asks the original hosts"
        )
    outcome = bazel.build("--nobuild")
    bazel.shutdown()
    if outcome.status and outcome.out_of_memory:
        say(f"out of memory while Bazel read and analysed the build: {MORE_MEMORY}")
    for url, why in outcome.failed_downloads.items() if outcome.status else ():
        say(f"cannot fetch {shown(url)}: {why}")
    if outcome.status and outcome.failed_downloads:
        hosts = sorted({urlsplit(url).netloc.rpartition("@")[2] for url in outcome.failed_downloads})
        say(f"hosts that gave Bazel nothing: {', '.join(hosts)}")
        say("name other places for their files: mirrors: in reef.yml, or the WORKSPACE of your own tree with "
            "--source NAME=FOLDER")  # fmt: skip
        say("or bring the files from a machine that reaches the hosts: ./inv cache --export there, --import here")
    return outcome.status


def build(bazel: Bazel) -> int:
    """Build without the network; if the memory runs out, continue with half the jobs."""
    available = memory_bytes()
    cores, job_bytes = int(bazel.run["jobs"]), bazel.recipe["memory_per_job_mb"] * 10**6
    jobs = jobs_for(cores, available, job_bytes)
    say(f"Bazel runs {jobs} jobs at once: {cores} cores, {available / 1e9:.1f} GB of memory free, up to "
        f"{job_bytes / 1e9:.1f} GB for each")  # fmt: skip
    while True:
        outcome = bazel.build("--nofetch", f"--jobs={jobs}", f"--build_event_json_file={EVENTS}")
        if outcome.status == 0:
            bazel.shutdown()
            summarise(outcome)
            return 0
        if bazel.server and outcome.status in REMOTE_TROUBLE:
            say("warning: the Bazel server failed during the build, which continues without it")
            bazel.server = ""
        elif outcome.out_of_memory and jobs > 1:
            jobs //= 2
            say(f"warning: out of memory; the build continues with {jobs} {'job' if jobs == 1 else 'jobs'}")
        else:
            if outcome.out_of_memory:
                say(f"out of memory with one job: {MORE_MEMORY}")
            return outcome.status


def summarise(outcome: Outcome) -> None:
    """Print how many actions ran, as the build event stream has it."""
    if outcome.cache_trouble:
        trouble = outcome.cache_trouble.strip()
        say(f"warning: the remote cache failed at times, and the build continued without it: {trouble}")
    for line in EVENTS.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if "buildToolLogs" in event.get("id", {}):
            continue
        if summary := event.get("buildMetrics", {}).get("actionSummary"):
            say(f"Bazel ran {summary.get('actionsExecuted', '0')} actions")


def main(words: list[str]) -> int:
    """Run one step and return its status."""
    recipe = json.loads((HERE / "bazel.json").read_text(encoding="utf-8"))
    bazel = Bazel(recipe, json.loads(os.environ["REEF_BAZEL"]))
    bazel.check_version()
    return {"fetch": fetch, "build": build}[words[0]](bazel)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
