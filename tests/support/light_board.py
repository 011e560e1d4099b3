"""Light boards: a real Debian root with sshd, sudo, apt and dpkg in namespaces of its own; no systemd, no own kernel.

They show what Reef's scripts do with apt and with ssh. Services, reboots and clocks need a virtual board.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from builders.engines.chroot.entry import ChrootEntry, Overlay, enter_words
from builders.engines.roots import bootstrap, namespaces
from builders.model.arch import AMD64, Architecture
from builders.model.jobs import Root
from builders.pipeline.project import Project
from tests.support.model_server import until
from tests.support.ports import free_port
from tests.support.upload_hosts import wait_for

PACKAGES = ("mount", "openssh-server", "sudo")
USER = "pi"
FRONTEND, LISTS = "/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock"
CHANGED = ("etc", "home", "root", "usr", "var")
"""Folders that rollouts and tests change."""
FOLDERS = f"^/({'|'.join(CHANGED)})/"
# The clock and the power of this machine are not the board's: even root in it cannot reach them.
STARTED = """
if [ ! -e /disk/complete ]; then
    rm -f /usr/sbin/policy-rc.d
    cp -a --one-file-system /bin /boot /etc /home /lib* /media /opt /root /sbin /srv /usr /var /disk/
    mkdir -p /disk/proc /disk/sys /disk/dev /disk/run /disk/tmp /disk/board
    chmod 1777 /disk/tmp
    touch /disk/complete
fi
rm -rf /disk/run/*
for folder in proc dev board; do mount --rbind "/$folder" "/disk/$folder"; done
cat /proc/sys/kernel/random/uuid >/disk/run/boot_id
mount --bind /disk/run/boot_id /disk/proc/sys/kernel/random/boot_id
exec chroot /disk sh -eu /board/started.sh
"""
"""The root is a folder of a disk, not the overlay of the engine: Reef refuses boards with an overlay. Each start has a
boot id of its own, as on a machine with its own kernel."""
SERVES = f"""
id {USER} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {USER}
printf '%s:%s\\n' {USER} raspberry | chpasswd
printf '{USER} ALL=(ALL) %sALL\\n' "$NOPASSWD" >/etc/sudoers.d/{USER}
mkdir -p /run/sshd /home/{USER}/.ssh /root/.ssh
cp /board/authorized_keys /home/{USER}/.ssh/authorized_keys
cp /board/authorized_keys /root/.ssh/authorized_keys
chown -R {USER}: /home/{USER}
cp /board/host_key /etc/ssh/board_key
chmod 600 /etc/ssh/board_key
exec setpriv --bounding-set=-sys_time,-sys_boot /usr/sbin/sshd -D -e -h /etc/ssh/board_key -p "$PORT" \\
    -o ListenAddress=127.0.0.1 -o PidFile=none -o UsePAM=no -o MaxStartups=50 -o AllowTcpForwarding="$FORWARDING"
"""


@dataclass
class LightBoard:
    """A board at ``port`` of loopback, whose files are in ``folder``; `USER` and root log in with the key ``identity``.

    Its root is Debian's ``suite`` for an ``architecture``, which QEMU may emulate; sudo does not work in QEMU. Without
    ``network`` the loopback is that of a network namespace with nothing else: ssh needs the ``proxy``.
    """

    project: Project
    folder: Path
    nopasswd: bool = True
    suite: str = "trixie"
    architecture: Architecture = AMD64
    network: bool = True
    forwarding: bool = True
    port: int = field(default_factory=free_port)
    child: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        (self.folder / "board").mkdir(parents=True)
        for name in ("host_key", "identity"):
            path = self.folder / name
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
        shutil.copy(self.folder / "identity.pub", self.folder / "board" / "authorized_keys")
        shutil.copy(self.folder / "host_key", self.folder / "board" / "host_key")
        (self.folder / "board" / "started.sh").write_text(SERVES)
        (self.folder / "disk").mkdir()

    @property
    def identity(self) -> Path:
        return self.folder / "identity"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start the board; files that an earlier start left are still in it."""
        root = Root(self.suite, self.architecture, self.architecture, PACKAGES)
        rootfs, _ = bootstrap.make(root, self.project)
        (self.folder / "mnt").mkdir(exist_ok=True)
        entry = ChrootEntry(
            mountpoint=str(self.folder / "mnt"),
            overlays=[Overlay("/", [str(rootfs)], str(self.folder / "root"))],
            binds={"/board": str(self.folder / "board"), "/disk": str(self.folder / "disk")},
            network=self.network,
            environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PORT": str(self.port),
                         "NOPASSWD": "NOPASSWD: " if self.nopasswd else "",
                         "FORWARDING": "yes" if self.forwarding else "no"},
            workdir="/",
            script=STARTED,
        )  # fmt: skip
        entry.write(self.folder / "entry.json")
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen(
                [*namespaces.prefix(network=self.network), *enter_words(self.folder / "entry.json")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=Path(__file__).parents[2],
                env={**os.environ, **self.architecture.emulation,
                     "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )  # fmt: skip
        if self.network:
            wait_for(self.port, self.child)
        else:
            until(lambda: "Server listening" in self.log, 120)

    def stop(self) -> None:
        """End every process of the board at once, as pulled power does."""
        if self.child:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
            self.child = None

    def save(self) -> None:
        """Keep the files as they are now, for `reset`."""
        subprocess.run(["cp", "-a", *(str(self.path(name)) for name in CHANGED), str(self._saved)], check=True)

    def reset(self) -> None:
        """Return to the saved files and addresses, end what tests left running, and unmount what they mounted."""
        if self.child is None:
            self.start()
        daemon = self._daemon()
        for process in psutil.Process(daemon.ppid()).children(recursive=True):
            if process.pid != daemon.pid:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self.shell(f"while umount $(findmnt -rno TARGET | grep -E '{FOLDERS}') 2>/dev/null; do :; done")
        for name in CHANGED:
            words = ["rsync", "-aHX", "--delete", f"{self._saved / name}/", f"{self.path(name)}/"]
            subprocess.run(words, check=True)

    @property
    def _saved(self) -> Path:
        place = self.folder / "saved"
        place.mkdir(exist_ok=True)
        return place

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the host key, as ssh-keygen shows it."""
        words = ["ssh-keygen", "-lf", str(self.folder / "host_key.pub")]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[1]

    def shell(self, script: str) -> str:
        """Run a script as root in the board, without ssh, and return what it prints."""
        words = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", "--wd"]
        return subprocess.run([*words, "sh", "-euc", script], check=True, capture_output=True, text=True).stdout

    def _daemon(self) -> psutil.Process:
        assert self.child
        return next(each for each in psutil.Process(self.child.pid).children(recursive=True) if each.name() == "sshd")

    @property
    def pid(self) -> int:
        """The process of its sshd."""
        return self._daemon().pid

    @property
    def proxy(self) -> str:
        """The ProxyCommand of ssh that reaches a board without a network."""
        carries = Path(__file__).with_name("carries.py")
        return f"nsenter --target {self.pid} --net {sys.executable} {carries} {self.port}"

    @contextlib.contextmanager
    def locked(self, lock: str) -> Iterator[None]:
        """Hold a lock of apt, as another apt on the board does."""
        with self.path(lock).open("a") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            yield

    def path(self, inside: str) -> Path:
        """Return where a file of the board is on this machine."""
        return self.folder / "disk" / inside.lstrip("/")


@contextlib.contextmanager
def light_board(
    project: Project, folder: Path, *, nopasswd: bool = True, suite: str = "trixie",
    architecture: Architecture = AMD64, network: bool = True, forwarding: bool = True,
) -> Iterator[LightBoard]:  # fmt: skip
    """Run a light board for as long as the block takes."""
    board = LightBoard(project, folder, nopasswd, suite, architecture, network, forwarding)
    board.start()
    try:
        yield board
    finally:
        board.stop()


def moved(board: LightBoard) -> None:
    """Pull the power of a board, and start it again at another address."""
    board.stop()
    board.port = free_port()
    board.start()
