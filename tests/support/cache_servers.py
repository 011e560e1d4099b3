"""Real servers for compiled files, on loopback, while a block runs: Debian's Redis, nginx, and Apache with WebDAV."""

import base64
import hashlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port

MODULES = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dav", "dav_fs")
USER, PASSWORD = "board", "p@ss:wörd/%25"


@contextmanager
def running(argv: Sequence[str], port: int, folder: Path, program: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server until the block ends; it answers on ``port`` when the block begins."""
    with (folder / "server.log").open("wb") as log:
        try:
            child = subprocess.Popen(argv, executable=program, stdout=log, stderr=log, cwd=folder)
        except FileNotFoundError:
            pytest.fail(f"{program} is missing; tests/host-packages.txt names its package, ./inv test installs it")
    try:
        until = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert child.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
        yield child
    finally:
        child.terminate()
        child.wait(timeout=120)


@contextmanager
def redis() -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """Run Redis, which lets in `USER` with `PASSWORD` alone. redis-tools has the server: it goes by its name."""
    port = free_port()
    access = f'user default off\nuser {USER} on "#{_sha256(PASSWORD)}" ~* +@all\n'
    with tempfile.TemporaryDirectory(prefix="reef-redis-") as name:
        folder = Path(name)
        (folder / "redis.conf").write_text(f'port {port}\nbind 127.0.0.1\nsave ""\ndir {folder}\n{access}')
        argv = ["redis-server", str(folder / "redis.conf")]
        with running(argv, port, folder, "/usr/bin/redis-check-rdb") as child:
            yield port, child


@contextmanager
def apache() -> Iterator[tuple[int, Path]]:
    """Run Apache, which keeps what is PUT below /cache for `USER`; gives its port and the folder of files."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="reef-apache-") as name:
        folder = Path(name)
        files = folder / "files" / "cache"
        files.mkdir(parents=True)
        for path in (folder, folder / "files", files):
            path.chmod(0o777)  # as root Apache works as another user
        (folder / "password").write_text(f"{USER}:{_crypted(PASSWORD)}\n")
        (folder / "apache.conf").write_text("\n".join(_apache_lines(folder, port)) + "\n")
        argv = ["apache2", "-X", "-f", str(folder / "apache.conf")]
        with running(argv, port, folder, "/usr/sbin/apache2"):
            yield port, files


def _apache_lines(folder: Path, port: int) -> list[str]:
    return [
        f"ServerRoot {folder}", f"Listen 127.0.0.1:{port}", "ServerName localhost", f"PidFile {folder}/pid",
        f"ErrorLog {folder}/error.log", f"DocumentRoot {folder}/files", f"DAVLockDB {folder}/locks",
        *(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES),
        *(["User www-data", "Group www-data"] if os.geteuid() == 0 else []),
        "<Directory />", "Dav On", "AuthType Basic", 'AuthName "cache"', f"AuthUserFile {folder}/password",
        "Require valid-user", "</Directory>",
    ]  # fmt: skip


@contextmanager
def nginx() -> Iterator[tuple[int, Path]]:
    """Run nginx, which keeps what is PUT below /cache for `USER`; gives its port and the folder of files."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="reef-nginx-") as name:
        folder = Path(name)
        files = folder / "files" / "cache"
        files.mkdir(parents=True)
        for path in (folder, folder / "files", files):
            path.chmod(0o777)  # as root nginx works as another user
        (folder / "password").write_text(f"{USER}:{_crypted(PASSWORD)}\n")
        (folder / "nginx.conf").write_text(_nginx_text(folder, port))
        argv = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        with running(argv, port, folder, str(nginx_program(folder))):
            yield port, files


def _nginx_text(folder: Path, port: int) -> str:
    places = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
pid {folder}/pid;
events {{}}
http {{
    access_log off;
    client_max_body_size 0;
    {places}
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        location / {{
            dav_methods PUT;
            create_full_put_path on;
            auth_basic cache;
            auth_basic_user_file {folder}/password;
        }}
    }}
}}
"""


def nginx_program(folder: Path, *modules: str) -> Path:
    """Return Debian's nginx, taken out of its package into ``folder``: installed it would start a service.

    The packages ``modules`` are unpacked beside it, below ``folder/package``.
    """
    wish = ["apt-get", "-o", "APT::Sandbox::User=root", "--quiet", "--quiet", "download", "nginx", *modules]
    if subprocess.run(wish, cwd=folder, check=False).returncode:
        subprocess.run(["apt-get", "--quiet", "--quiet", "update"], check=False)  # no lists yet, or old ones
        subprocess.run(wish, cwd=folder, check=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "package")], check=True)
    return folder / "package/usr/sbin/nginx"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _crypted(password: str) -> str:
    return "{SHA}" + base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
