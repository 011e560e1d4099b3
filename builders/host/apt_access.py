"""The settings with which this machine's apt reaches mirrors: proxies, logins, certificates, time limits.

They are given to a root while it needs them, as files that vanish; no root keeps them. Programs and files that they
name are of this machine: programs run here, and files are copied.
"""

import functools
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from builders.errors import HostError
from builders.host import process
from builders.host.debian_mirror import Mirror, security_mirror, security_trouble
from builders.host.log import Log

CONFIG = "apt.conf"
"""The file that apt reads through the variable APT_CONFIG; it names the others."""
LOGINS = "auth.conf"
VALUES = {
    "proxy", "check-valid-until", "check-date", "max-futuretime", "min-validtime", "max-validtime", "retries",
    "timeout", "connectionattemptdelaymsec", "user-agent", "dl-limit", "pipeline-depth", "no-cache", "no-store",
    "max-age", "allowredirect", "forceipv4", "forceipv6", "by-hash", "sendaccept", "enablesrvrecords", "verify-peer",
    "verify-host", "sslforceversion",
}  # fmt: skip
"""Options of the group Acquire that hold a value (apt.conf(5), apt-transport-http(1), apt-transport-https(1))."""
FILES = {"cainfo", "sslcert", "sslkey", "crlfile", "issuercert"}
"""Options that name a file."""
PROGRAMS = ("proxy-auto-detect", "proxyautodetect")
"""Options that name a program, which is run with a mirror's URL and prints a proxy."""
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Environment variables of requests that name certificates."""
VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Environment variables with which programs reach other machines; a job gets them in its steps with a network."""
SNAPSHOT = re.compile(r"/\d{8}T\d{6}Z(/|$)")
"""The time in the URL of a snapshot, whose indices may have expired."""
LINE = re.compile(r'(?P<name>[^ ]+) "(?P<value>.*)";')


@dataclass(frozen=True)
class AptAccess:
    """``options`` are lines of apt.conf without files and programs; ``files`` the files that options name, by option;
    ``logins`` is the text of an auth.conf (apt_auth.conf(5)); ``places`` are the paths of the files here."""

    options: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    logins: str = field(default="", repr=False)
    places: Mapping[str, str] = field(default_factory=dict)

    def content(self, folder: str) -> dict[str, bytes]:
        """Return the files that give apt this access, by their names in ``folder``. Some may be secret."""
        named = {f"{number}.pem": (option, data) for number, (option, data) in enumerate(self.files.items())}
        lines = [*self.options, *(f'{option} "{folder}/{name}";' for name, (option, _) in named.items())]
        found = {name: data for name, (_, data) in named.items()}
        if self.logins:
            found[LOGINS] = os.fsencode(self.logins)
            lines += [f'Dir::Etc::netrc "{folder}/{LOGINS}";']
        return found | {CONFIG: os.fsencode("".join(f"{line}\n" for line in lines))}

    def login(self, url: str) -> tuple[str, str] | None:
        """Return the user and the password for ``url``, if there is one."""
        for line in self.logins.splitlines():
            words = line.split()
            name, values = "".join(words[1:2]), dict(zip(words[2::2], words[3::2], strict=False))
            if "login" in values and _is_of(name, url):
                return values["login"], values.get("password", "")
        return None

    def proxy(self, url: str) -> str | None:
        """Return the proxy for ``url``, with its login; empty for none, None if apt leaves it to the environment."""
        found = self.option("Proxy", url)
        if found is None or found.upper() == "DIRECT":
            return None if found is None else ""
        login = self.login(found)
        if login is None or "@" in urlsplit(found).netloc:
            return found
        user, password = (quote(os.fsencode(word), safe="") for word in login)
        return found.replace("://", f"://{user}:{password}@", 1)

    def option(self, name: str, url: str) -> str | None:
        """Return the value of an option for ``url``, if it has one.

        That of the host comes first; https takes what it has not from http (apt-transport-https(1)).
        """
        entries = [entry for line in self.options if (entry := LINE.fullmatch(line))]
        values = {entry["name"].lower(): entry["value"] for entry in entries}
        values |= {option.lower(): place for option, place in self.places.items()}
        address = urlsplit(url)
        schemes = ("https", "http") if address.scheme == "https" else (address.scheme,)
        names = [f"acquire::{scheme}::{name}{host}" for host in (f"::{address.hostname}", "") for scheme in schemes]
        return next((values[each] for each in map(str.lower, names) if each in values), None)

    @property
    def proxies(self) -> dict[str, str]:
        """The proxies by URL scheme, and by scheme and host as in ``http://mirror.example``."""
        found = [re.match(r'(?i)Acquire::(https?)::Proxy(?:::([^ :"]+))? "([^"]+)";', line) for line in self.options]
        direct = [(f"{m[1].lower()}://{m[2]}" if m[2] else m[1].lower(), m[3]) for m in found if m]
        return {key: value for key, value in direct if value.upper() != "DIRECT"}


def _is_of(name: str, url: str) -> bool:
    """Return whether a login's ``[scheme://]host[:port][/path]`` is for ``url``, as apt_auth.conf(5) has it.

    A path is the start of a path, not necessarily whole folders; without a scheme, a login is for https alone.
    """
    target, address = urlsplit(name if "://" in name else f"https://{name}"), urlsplit(url)
    host = address.netloc.rpartition("@")[2].lower()
    hosts = {host, (address.hostname or "").lower()} if ":" not in target.netloc else {host}
    return (
        target.scheme == address.scheme
        and target.netloc.lower() in hosts
        and (address.path or "/").startswith(target.path)
    )


@functools.cache
def warn_of_security(log: Log) -> None:
    """Warn, once in a run, of a source of security updates that cannot be used."""
    if trouble := security_trouble():
        log.warn(f"Debian's security updates are not used: {trouble}")


@functools.cache
def access(mirror: Mirror | None, *, security: bool = True) -> AptAccess:
    """Return how apt reaches ``mirror`` and, with ``security``, Debian's security updates. Raises HostError."""
    mirrors = [each for each in (mirror, security_mirror() if security else None) if each]
    own_logins = "".join(dict.fromkeys(each.auth_entry for each in mirrors))
    if not process.find("apt-config"):
        return AptAccess(logins=own_logins)
    found = [entry for line in _dump("Acquire") if (entry := LINE.fullmatch(line)) and entry["value"].strip()]
    options = [entry[0] for entry in found if _parts(entry["name"]) & VALUES and not _parts(entry["name"]) & FILES]
    places = {entry["name"]: entry["value"] for entry in found if _parts(entry["name"]) & FILES}
    files = {entry["name"]: _read(entry) for entry in found if entry["name"] in places}
    if any(_parts(entry["name"]) & set(PROGRAMS) for entry in found):
        options += [line for each in mirrors for line in _detected(each)]
    if mirror and SNAPSHOT.search(mirror.url):
        options.append('Acquire::Check-Valid-Until "false";')
    if any(each.scheme == "https" for each in mirrors) and not any("cainfo" in _parts(name) for name in files):
        path = Path(os.environ.get("SSL_CERT_FILE") or CERTIFICATES)
        if path.is_file():  # small roots have none
            files["Acquire::https::CAInfo"] = path.read_bytes()
            # requests has variables of its own for downloads.
            places |= {"Acquire::https::CAInfo": str(path)} if not set(BUNDLES) & set(os.environ) else {}
    hosts = {urlsplit(each.url).hostname or "" for each in mirrors}
    hosts |= {urlsplit(entry["value"]).hostname or "" for entry in found if "proxy" in _parts(entry["name"])}
    logins = own_logins + "".join(_logins_of(hosts - {""}))
    return AptAccess(tuple(dict.fromkeys(options)), files, logins, places)


def _parts(name: str) -> set[str]:
    return set(name.lower().split("::"))


def _dump(group: str) -> list[str]:
    return process.capture(["apt-config", "dump", group], errors="surrogateescape").splitlines()


def _read(entry: re.Match[str]) -> bytes:
    try:
        return Path(entry["value"]).read_bytes()
    except OSError as error:
        raise HostError(
            f"a file of this machine's apt cannot be read: {entry['value']}",
            f"{entry['name']} names it; {error.strerror}",
            "let this user read it, or name another mirror: debian_mirror: in reef.yml",
        ) from error


def _detected(mirror: Mirror) -> Iterator[str]:
    """Yield the proxy that the user's program finds for a mirror, as an option (apt-helper(1) prints it)."""
    address = urlsplit(mirror.url)
    if address.scheme in ("http", "https"):
        try:
            output = process.capture(["/usr/lib/apt/apt-helper", "auto-detect-proxy", mirror.url], timeout_s=60)
        except process.ProgramFailed as error:
            raise HostError(
                "the program with which this machine's apt finds its proxy fails",
                error.detail,
                "correct it: apt-config dump shows it as Acquire::http::Proxy-Auto-Detect",
            ) from error
        if found := re.match(r"Using proxy '([^']+)' for URL", output):
            yield f'Acquire::{address.scheme}::Proxy::{address.hostname} "{found[1]}";'


def _logins_of(hosts: set[str]) -> Iterator[str]:
    """Yield the entries of apt's own files for these hosts. What this user cannot read is left out."""
    for path in _login_files():
        try:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            continue
        words = re.sub(r"(?m)^\s*#.*$", "", text).split()
        starts = [number for number, word in enumerate(words) if word == "machine"]
        for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
            name = "".join(words[start + 1 : start + 2])
            address = name if "://" in name else f"https://{name}"
            if urlsplit(address).hostname in hosts:
                yield " ".join(words[start:end]) + "\n"


def _login_files() -> list[Path]:
    words = ["apt-config", "shell", "FILE", "Dir::Etc::netrc/f", "FOLDER", "Dir::Etc::netrcparts/d"]
    places = dict(word.split("=", 1) for word in shlex.split(process.capture(words)))
    folder = Path(places.get("FOLDER", "/nonexistent"))
    parts = sorted(path for path in folder.glob("*") if path.suffix in ("", ".conf")) if folder.is_dir() else []
    return [Path(places["FILE"]), *parts] if "FILE" in places else parts
