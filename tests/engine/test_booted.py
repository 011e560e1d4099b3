"""The model server's unit under a booted systemd of bullseye, the oldest that mirrors hold.

A small program is in the server's place. As in portable packages, its loader and C library are trixie's.
"""

import subprocess
from pathlib import Path

import pytest

from builders.deb import debian_files
from builders.engines.chroot.engine import ChrootEngine
from builders.host.log import Log
from builders.model.arch import AMD64
from builders.model.jobs import BuildJob, Input, Root
from builders.model.recipe import load_recipe
from builders.model.settings import Settings
from builders.model.target import SUITES, Target
from builders.pipeline.project import Project
from tests.support.checkout import CHECKOUT
from tests.support.place import Place

UNIT = "edge-model-server.service"
BUNDLE = "/opt/bundle"
PROGRAM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void tell(const char *state) {
  struct sockaddr_un address = {AF_UNIX};
  strncpy(address.sun_path, getenv("NOTIFY_SOCKET"), sizeof address.sun_path - 1);
  int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sendto(notify, state, strlen(state), 0, (struct sockaddr *)&address, sizeof address) < 0) perror("notify");
  close(notify);
}

static void *thread(void *nothing) { return nothing; }
static void reload(int signal) { (void)!write(1, "reloaded\n", 9); }
static void say(const char *what, int failed) { printf("%s: %s\n", what, failed ? strerror(failed) : "yes"); }

int main(int count, char **words) {
  setlinebuf(stdout);
  for (int each = 1; each < count; ++each) puts(words[each]);
  signal(SIGHUP, reload);
  pthread_t started;
  say("thread", pthread_create(&started, NULL, thread, NULL));
  say("access", faccessat(AT_FDCWD, "/etc/passwd", R_OK, AT_EACCESS) ? errno : 0);
  say("write runtime folder", open("/run/edge-model-server/a", O_CREAT | O_RDWR, 0600) < 0 ? errno : 0);
  say("write state", open("/var/lib/a", O_CREAT | O_RDWR, 0600) < 0 ? errno : 0);
  say("home", access("/home/a", F_OK) ? errno : 0);
  say("raw socket", socket(AF_PACKET, SOCK_RAW, 0) < 0 ? errno : 0);
  void *memory = mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  say("code in memory", memory == MAP_FAILED ? errno : 0);
  tell("READY=1");
  for (;;) pause();
}
"""
LOADER = "cp -L /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/libc.so.6 /build/out\n"
BOOT = """
mkdir -p /opt
cp -r /units/bundle /opt
install -m 755 /units/edge_model_server /usr/bin
cp -r /units/system/. /etc/systemd/system
groupadd -r apex
# systemd needs control groups of its own: a child of the machine's, and a namespace in which that is the first.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then trees=/sys/fs/cgroup; else
    trees="/sys/fs/cgroup/systemd /sys/fs/cgroup/devices"
fi
group=reef-test-$(cat /proc/sys/kernel/random/uuid)
for tree in $trees; do mkdir "$tree/$group"; done
TREES=$trees GROUP=$group sh -eu -c '
    for tree in $TREES; do echo $$ >"$tree/$GROUP/cgroup.procs"; done
    exec timeout 300 unshare --cgroup --pid --fork --kill-child --mount --uts --ipc sh -eu /units/boot.sh
' >/build/out/boot 2>&1 || echo "status $?" >>/build/out/boot
for tree in $trees; do find "$tree/$group" -depth -type d -exec rmdir {} ';'; done
"""
SYSTEMD = """
mount -t proc proc /proc
[ ! -e /sys/fs/cgroup/cgroup.controllers ] || unified=yes
mount -t tmpfs tmpfs /sys/fs/cgroup
if [ "${unified-}" ]; then mount -t cgroup2 cgroup2 /sys/fs/cgroup; else
    mkdir /sys/fs/cgroup/devices /sys/fs/cgroup/systemd
    mount -t cgroup -o devices cgroup /sys/fs/cgroup/devices
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
exec env -i container=reef-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=check.service
"""
CHECK_UNIT = """
[Unit]
Requires=basic.target
After=basic.target
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
ExecStart=/bin/sh /units/check.sh
TimeoutStartSec=120
"""
CHECK = """
for verb in start reload is-active stop; do
    systemctl "$verb" edge-model-server >/dev/null
    echo "$verb: $?" >>/build/out/verbs
done
journalctl --sync
journalctl --unit edge-model-server --output cat >/build/out/journal
"""
OLDER_GROUPS = "[Service]\nSystemCallFilter=~clone3 faccessat2\n"
"""Calls that came after systemd 241 (Linux 5.3 and 5.8): its groups lack them."""


@pytest.fixture(scope="module")
def said(module_place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boot, try the service, and return the folder with what was said."""
    engine = ChrootEngine(Project.open(module_place.folder, Log(live=False)))
    units = tmp_path_factory.mktemp("units")
    loader = BuildJob("booted/loader", Root("trixie", AMD64, AMD64, ("systemd",)), LOADER, output="/build/out")
    engine.run(loader, module_place.folder / "loader", Log()).output.rename(units / "bundle")
    (units / "program.c").write_text(PROGRAM)
    flags = f"-Wl,--dynamic-linker={BUNDLE}/ld-linux-x86-64.so.2,--disable-new-dtags,-rpath,{BUNDLE}"
    program = units / "edge_model_server"
    subprocess.run(["gcc", "-pthread", flags, "-o", str(program), str(units / "program.c")], check=True)
    system = units / "system"
    (system / f"{UNIT}.d").mkdir(parents=True)
    recipe = load_recipe(CHECKOUT / "recipes/edge-model-server")
    (system / UNIT).write_text(debian_files(recipe, Target(SUITES["bullseye"], AMD64), Settings())[UNIT])
    (system / f"{UNIT}.d" / "older.conf").write_text(OLDER_GROUPS)
    (system / "check.service").write_text(CHECK_UNIT)
    (units / "boot.sh").write_text(SYSTEMD)
    (units / "check.sh").write_text(CHECK)
    root = Root("bullseye", AMD64, AMD64, ("systemd",))
    job = BuildJob("booted/bullseye", root, BOOT, inputs=(Input(units, "/units"),), output="/build/out")
    return engine.run(job, module_place.folder / "booted", Log()).output


def test_the_service_starts_reloads_and_stops(said: Path) -> None:
    boot = (said / "boot").read_text()
    assert (said / "verbs").exists(), boot
    journal = (said / "journal").read_text()
    assert (said / "verbs").read_text().split("\n")[:-1] == ["start: 0", "reload: 0", "is-active: 0", "stop: 0"], (
        journal
    )
    assert "reloaded" in journal.splitlines()
    assert "--model_config_file_poll_wait_seconds=60" in journal.splitlines()
    assert "nknown key" not in journal


def test_a_newer_c_library_works_in_the_sandbox_of_an_older_systemd(said: Path) -> None:
    lines = (said / "journal").read_text().splitlines()
    for line in (
        "thread: yes",
        "access: yes",
        "write runtime folder: yes",
        "write state: Read-only file system",
        "home: Permission denied",
        "raw socket: Address family not supported by protocol",
        "code in memory: Operation not permitted",
    ):
        assert line in lines
