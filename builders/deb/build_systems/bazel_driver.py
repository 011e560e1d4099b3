"""Runs Bazel inside a build root: ``bazel_driver.py fetch`` with the network, then ``bazel_driver.py build`` without.

It stands alone, on the Python of the oldest root (3.9) and its standard library: it is copied into ``debian/reef``.
What it knows comes from ``bazel.json`` beside it (the recipe's part) and the variable REEF_BAZEL (this run's part).
A line that begins with ``reef:`` is for the user, ``[12/345]`` for the bar; everything else is for the log.

Counts are those of Bazel's console. Its build event stream tells of each action that ended (if asked to tell of all),
but of a total only by repeating those lines, and that when the next action ends: read from there, the bar would lag
behind what Bazel has said already. What ran in all is read from the stream.
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
"""Where a mirror was seen to keep its scheme; the first versions that knew rules put the other URL's in its place."""
DOWNLOADER = Path("/build/bazel-downloader.cfg")
SERVER_BYTES = 1_500_000_000
"""What Bazel's own server (Java) is left, beside the compilers."""
WRONG_VERSION, BAZEL_OUT_OF_MEMORY = 3, 33
REMOTE_TROUBLE = (32, 34, 39)
"""Statuses of Bazel's for a server that is not as it should be, that failed, and that lost what it had said it has."""
WINDOW_S = 900.0
"""So far back the pace is looked at: actions found in a cache at the start must not promise an early end."""

HTTP = re.compile("^https?://")
MORE_MEMORY = "add swap or memory, or close other programs, and run again"
COUNTED = re.compile(r"^\[([\d,]+) / ([\d,]+)\]\s*(.*)")
KILLED = re.compile(
    r"Killed signal terminated program|\(Killed\)|[Kk]illed by signal 9|signal: 9|fatal error: Killed"
    r"|virtual memory exhausted|std::bad_alloc|Cannot allocate memory|java\.lang\.OutOfMemoryError|\(Exit 137\)"
)
"""What compilers, shells and Bazel say of a process that the kernel ended for want of memory, or that got none."""
NOT_HAD = re.compile(r"Download from (\S+) failed: .*?Exception (.*)")
NOT_CACHED = re.compile(r"(?:Reading from|Writing to|Failed to .*) [Rr]emote [Cc]ache|Remote Cache:")


def say(text: str) -> None:
    """Tell the user one line."""
    print(f"reef: {text}", flush=True)


def jobs_for(cores: int, memory_bytes: int, job_bytes: int) -> int:
    """Return how many compilers may run at once: one a core, as far as the memory beside Bazel's server reaches."""
    return max(1, min(cores, (memory_bytes - SERVER_BYTES) // job_bytes))


def memory_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return what this root may use: what the machine has left, or the limit of its control group if that is less."""
    text = (proc / "meminfo").read_text()
    found = [int(number) * 1024 for number in re.findall(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            found.append(int((cgroup / name).read_text()))
        except (OSError, ValueError):
            continue  # no limit: not there, or the word "max"
    return min(found)


def left(seconds: float) -> str:
    """Return a time to come, for people."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute left"
    return f"{minutes // 60} h {minutes % 60:02d} min left" if minutes >= 60 else f"{minutes} min left"


@dataclass
class Pace:
    """How fast actions end, over the last quarter of an hour."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def remaining_s(self, now: float, done: int, total: int) -> float | None:
        """Take a count and return the seconds to go; None as long as nothing can be told."""
        self.seen.append((now, done))
        while len(self.seen) > 1 and now - self.seen[1][0] >= WINDOW_S:
            self.seen.popleft()
        since, before = self.seen[0]
        if done <= before or now - since < 1:
            return None
        return (total - done) * (now - since) / (done - before)


def progress(line: str, pace: Pace, now: float) -> str | None:
    """Return a line of Bazel's that counts actions as Reef shows it: ``[12/345] 3 min left: Compiling x.cc``."""
    counted = COUNTED.match(line)
    if not counted:
        return None
    done, total = (int(counted[number].replace(",", "")) for number in (1, 2))
    seconds = pace.remaining_s(now, done, total)
    return f"[{done}/{total}] " + (f"{left(seconds)}: " if seconds is not None else "") + counted[3]


@dataclass
class Ended:
    """One run of Bazel: its status, and what its output told."""

    status: int = 0
    out_of_memory: bool = False
    cache_trouble: str = ""
    not_had: dict[str, str] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Look at one line of the output."""
        if KILLED.search(line):
            self.out_of_memory = True
        if NOT_CACHED.search(line):
            self.cache_trouble = line
        if missing := NOT_HAD.search(line):
            self.not_had[missing[1]] = missing[2]


class Bazel:
    """Bazel with the flags of this recipe and run."""

    def __init__(self, recipe: dict[str, Any], run: dict[str, Any]) -> None:
        self.recipe, self.run = recipe, run
        place = recipe["programs"].get(run["machine"])
        self.program = str(HERE.parents[1] / place) if place else "bazel"
        self.server = door()

    def check_version(self) -> None:
        """End with status 3 where Bazel is not the pinned one."""
        told = subprocess.run(
            [self.program, "--version"], capture_output=True, text=True, env=environment(), check=False
        )
        found = re.search(r"\d+\.\d+\.\d+", told.stdout)
        if found and found[0] == self.recipe["version"]:
            return
        text = (told.stdout + told.stderr).strip() or f"no answer, status {told.returncode}"
        say(f"Bazel is not the pinned one: the recipe wants {self.recipe['version']}, {self.program} says: {text}")
        say("put the pinned version's program and its digest into the recipe's sources, or change bazel.version")
        sys.exit(WRONG_VERSION)

    def build(self, *words: str) -> Ended:
        """Run ``bazel build`` on the recipe's targets and return how it ended."""
        flags = [f"--config=reef-{self.run['strategy']}", *words, *self._remote_flags()]
        if mirrors := self.mirrors():
            DOWNLOADER.write_text(rewritten(mirrors))
            flags.append(f"--experimental_downloader_config={DOWNLOADER}")
        return self._follow(["--bazelrc=debian/reef/bazelrc", "build", *flags, "--", *self.recipe["targets"]])

    def mirrors(self) -> dict[str, str]:
        """Return the mirrors that this Bazel can be told of: of HTTP, in both places."""
        if tuple(map(int, self.recipe["version"].split("."))) < FIRST_WITH_MIRRORS:
            return {}
        given: dict[str, str] = self.run["mirrors"]
        return {prefix: place for prefix, place in given.items() if HTTP.match(prefix) and HTTP.match(place)}

    def shutdown(self) -> None:
        """End Bazel's server in order, so that what it wrote can be gone on from."""
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

    def _follow(self, words: list[str]) -> Ended:
        ended, pace = Ended(), Pace()
        command = [self.program, "--nohome_rc", *words]
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), text=True, errors="replace"
        )
        if child.stdout is None:
            raise AssertionError("started with a pipe")
        for line in child.stdout:
            ended.take(line)
            # Starlark's own traces begin as Python's do; nobody shall look for a fault of ours in them.
            text = line.rstrip().replace("Traceback (most recent call last):", "Starlark's calls, the innermost last:")
            print(progress(text, pace, time.monotonic()) or text, flush=True)
        ended.status = child.wait()
        if ended.status in (BAZEL_OUT_OF_MEMORY, 137, -9):
            ended.out_of_memory = True
        return ended


def environment() -> dict[str, str]:
    """Return what Bazel sees: the same in both steps, or it would take what it fetched for stale.

    ccache stays out: a compiler's result is kept by Bazel, under the digest of all that went into it.
    """
    kept = {name: os.environ[name] for name in ("LC_ALL", "TZ", "SOURCE_DATE_EPOCH") if name in os.environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "USER": "root", **kept}


def door() -> str:
    """Return where this job reaches the server that Bazel shares work through; empty where there is none.

    The engine passes on what comes there, and has told the user already where the server does not answer.
    """
    place = os.environ.get("CCACHE_REMOTE_STORAGE", "").partition("|")[0]
    return place.replace("tcp://", "grpc://")


def shown(url: str) -> str:
    """Return ``url`` without a user name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def rewritten(mirrors: dict[str, str]) -> str:
    """Return ``mirrors`` (prefix -> what stands in its place) as rules of Bazel's downloader.

    It matches URLs without their scheme, and asks the places of all rules that fit: a prefix therefore leaves out what
    a longer one begins with. A place keeps its own scheme.
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
    """Load and analyse with the network, which fetches all that the build will need and nothing else."""
    bazel.server = ""
    if untold := sorted(set(bazel.run["mirrors"]) - set(bazel.mirrors())):
        say(f"warning: Bazel {bazel.recipe['version']} cannot be told of mirrors for {', '.join(map(shown, untold))}; "
            "it asks the hosts themselves")  # fmt: skip
    ended = bazel.build("--nobuild")
    bazel.shutdown()
    if ended.status and ended.out_of_memory:
        say(f"out of memory while Bazel read and analysed the build: {MORE_MEMORY}")
    for url, why in ended.not_had.items() if ended.status else ():
        say(f"cannot be had: {shown(url)} ({why})")
    if ended.status and ended.not_had:
        hosts = sorted({urlsplit(url).netloc.rpartition("@")[2] for url in ended.not_had})
        say(f"hosts that Bazel asked in vain: {', '.join(hosts)}")
        say("mirrors: in reef.yml names other places for their files, as does the WORKSPACE of a tree of your own: "
            "--source NAME=FOLDER")  # fmt: skip
        say("./inv cache --export where they are reached, and --import here, bring the files; what was fetched stays")
    return ended.status


def build(bazel: Bazel) -> int:
    """Build without the network; where the memory runs out, go on with half the jobs."""
    available = memory_bytes()
    cores, job_bytes = int(bazel.run["jobs"]), bazel.recipe["memory_per_job_mb"] * 10**6
    jobs = jobs_for(cores, available, job_bytes)
    say(f"Bazel runs {jobs} jobs at once: {cores} cores, {available / 1e9:.1f} GB of memory free, up to "
        f"{job_bytes / 1e9:.1f} GB for each")  # fmt: skip
    while True:
        ended = bazel.build("--nofetch", f"--jobs={jobs}", f"--build_event_json_file={EVENTS}")
        if ended.status == 0:
            bazel.shutdown()
            summarise(ended)
            return 0
        if bazel.server and ended.status in REMOTE_TROUBLE:
            say("warning: the Bazel server failed during the build; it goes on without")
            bazel.server = ""
        elif ended.out_of_memory and jobs > 1:
            jobs //= 2
            say(f"warning: out of memory; the build goes on with {jobs} {'job' if jobs == 1 else 'jobs'}")
        else:
            if ended.out_of_memory:
                say(f"out of memory with one job: {MORE_MEMORY}")
            return ended.status


def summarise(ended: Ended) -> None:
    """Tell from the build event stream where the actions came from."""
    if ended.cache_trouble:
        say(f"warning: the remote cache failed at times, the build went on without it: {ended.cache_trouble.strip()}")
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
