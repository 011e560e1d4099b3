"""The indices of a suite: what each contains, whole or as the edits that changed packages make to the text before."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from builders.apt.indices.chunks import Chunking, Edit, Named
from builders.apt.indices.deb822 import description_md5
from builders.apt.indices.entry import IndexEntry
from builders.model.packages import SOURCE

PACKAGES_PER_CHUNK = 256
PATHS_PER_CHUNK = 8192
"""Average number of names in a chunk: few enough to compress in a moment, enough to compress well."""


class FileLists(Protocol):
    """The files that .debs install."""

    def of(self, entries: Sequence[IndexEntry]) -> Iterator[bytes]:
        """Yield the files of .debs, a path a line (`file_list`), in their order."""

    def ordered(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Yield lines sorted by their bytes; they may be more than memory holds."""


@dataclass(frozen=True)
class IndexChange:
    """A change of a suite: the names of the ``packages`` that change, all their entries ``before`` and ``after``.

    The entries are in index order.
    """

    packages: frozenset[str]
    before: tuple[IndexEntry, ...]
    after: tuple[IndexEntry, ...]


@dataclass(frozen=True)
class Packages:
    """The entries of one component for one CPU."""

    component: str
    architecture: str
    plain = True
    forms = (".gz", ".xz", ".zst")

    @property
    def path(self) -> str:
        """Its path below ``dists/<suite>``."""
        return f"{self.component}/binary-{self.architecture}/Packages"

    @property
    def chunking(self) -> Chunking:
        """How it is cut into chunks."""
        return Chunking(PACKAGES_PER_CHUNK, stanzas)

    def holds(self, entry: IndexEntry) -> bool:
        """Return whether it contains ``entry``."""
        return entry.component == self.component and entry.architecture in (self.architecture, "all")

    def whole(self, entries: Iterable[IndexEntry], _lists: FileLists) -> Named:
        """Yield its text from all entries of the suite in index order."""
        return ((entry.package.encode(), entry.stanza + b"\n") for entry in entries if self.holds(entry))

    def edits(self, change: IndexChange, lists: FileLists) -> Mapping[bytes, Edit]:
        """Return the edits that ``change`` makes to it, none where it stays as it is."""
        return _replaced(self.whole(change.before, lists), self.whole(change.after, lists))


@dataclass(frozen=True)
class Sources(Packages):
    """The source packages of one component (Debian RepositoryFormat, Sources); otherwise like Packages."""

    architecture: str = SOURCE

    @property
    def path(self) -> str:
        """Its path below ``dists/<suite>``."""
        return f"{self.component}/source/Sources"

    def holds(self, entry: IndexEntry) -> bool:
        """Return whether it contains ``entry``."""
        return entry.component == self.component and entry.is_source


@dataclass(frozen=True)
class Translation:
    """The long descriptions of one component (Debian RepositoryFormat, Translation), each once."""

    component: str
    plain = True
    forms = (".gz", ".xz", ".zst")

    @property
    def path(self) -> str:
        """Its path below ``dists/<suite>``."""
        return f"{self.component}/i18n/Translation-en"

    @property
    def chunking(self) -> Chunking:
        """How it is cut into chunks."""
        return Chunking(PACKAGES_PER_CHUNK, stanzas)

    def whole(self, entries: Iterable[IndexEntry], _lists: FileLists) -> Named:
        """Yield its text from all entries of the suite in index order."""
        mine = (entry for entry in entries if entry.component == self.component)
        for package, versions in groupby(mine, key=lambda entry: entry.package):
            name = package.encode()
            for description in dict.fromkeys(entry.description for entry in versions if entry.description):
                text = b"Package: %s\nDescription-md5: %s\nDescription-en: %s\n\n"
                yield name, text % (name, description_md5(description), description)

    def edits(self, change: IndexChange, lists: FileLists) -> Mapping[bytes, Edit]:
        """Return the edits that ``change`` makes to it, none where it stays as it is."""
        return _replaced(self.whole(change.before, lists), self.whole(change.after, lists))


@dataclass(frozen=True)
class Contents:
    """Which packages contain which file (Debian RepositoryFormat, Contents), of one component for one CPU."""

    component: str
    architecture: str
    plain = False
    forms = (".gz",)

    @property
    def path(self) -> str:
        """Its path below ``dists/<suite>``, without the suffix."""
        return f"{self.component}/Contents-{self.architecture}"

    @property
    def chunking(self) -> Chunking:
        """How it is cut into chunks."""
        return Chunking(PATHS_PER_CHUNK, lines)

    def whole(self, entries: Iterable[IndexEntry], lists: FileLists) -> Named:
        """Yield its text from all entries of the suite."""
        # A zero byte, which no path contains, sorts before all others.
        pairs = (b"%s\0%s" % (path, owner) for owner, paths in self._files(entries, lists) for path in paths)
        path, owners = b"", set[bytes]()
        for pair in lists.ordered(pairs):
            name, _, owner = pair.partition(b"\0")
            if name != path:
                if owners:
                    yield path, _line(path, owners)
                path, owners = name, set()
            owners.add(owner)
        if owners:
            yield path, _line(path, owners)

    def edits(self, change: IndexChange, lists: FileLists) -> Mapping[bytes, Edit]:
        """Return the edits that ``change`` makes to it, none where it stays as it is."""
        before, after = (_owners(self._files(some, lists)) for some in (change.before, change.after))
        if before == after:
            return {}
        packages = {name.encode() for name in change.packages}

        def edit(path: bytes) -> Edit:
            def changed(line: bytes) -> bytes:
                owners = set(line.rpartition(b"\t")[2].strip().split(b",")) if line else set()
                others = {owner for owner in owners if owner.rpartition(b"/")[2] not in packages}
                return _line(path, others | after.get(path, set()))

            return changed

        return {path: edit(path) for path in before.keys() | after.keys()}

    def _files(self, entries: Iterable[IndexEntry], lists: FileLists) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield each package with its section, and the files of one of its versions."""
        mine = [e for e in entries if e.component == self.component and e.architecture in (self.architecture, "all")]
        for entry, names in zip(mine, lists.of(mine), strict=True):
            yield entry.section.encode() + b"/" + entry.package.encode(), names.split(b"\n")[:-1]


Index = Packages | Translation | Contents


def indices(
    components: Sequence[str], architectures: Sequence[str], *, contents: bool, sources: bool = False
) -> Iterator[Index]:
    """Yield every index of a suite.

    With ``sources`` every component has a Sources index, also a component without source packages: apt asks for those
    of all components that a .sources file names.
    """
    for component in components:
        yield Translation(component)
        if sources:
            yield Sources(component)
        for architecture in architectures:
            yield Packages(component, architecture)
            if contents:
                yield Contents(component, architecture)


def files(index: Index) -> list[str]:
    """Return the files of an index: paths below ``dists/<suite>``."""
    return [name for name in listed(index) if index.plain or name != index.path]


def listed(index: Index) -> list[str]:
    """Return what the Release lists of an index: its files, and its uncompressed form even where that is no file."""
    return [index.path, *(index.path + suffix for suffix in index.forms)]


def stanzas(content: bytes) -> Named:
    """Split the text of a Packages, Sources or Translation index by package."""
    for text in content.split(b"\n\n"):
        if text:
            yield text[9 : text.index(b"\n")], text + b"\n\n"


def lines(content: bytes) -> Named:
    """Split the text of a Contents index by path."""
    for line in content.split(b"\n")[:-1]:
        yield line.rpartition(b"\t")[0], line + b"\n"


def _replaced(before: Named, after: Named) -> dict[bytes, Edit]:
    old, new = _joined(before), _joined(after)
    return {name: _constant(new.get(name, b"")) for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _constant(text: bytes) -> Edit:
    return lambda _old: text


def _joined(named: Named) -> dict[bytes, bytes]:
    result: dict[bytes, bytes] = {}
    for name, text in named:
        result[name] = result.get(name, b"") + text
    return result


def _owners(files: Iterable[tuple[bytes, list[bytes]]]) -> dict[bytes, set[bytes]]:
    result: dict[bytes, set[bytes]] = {}
    for owner, paths in files:
        for path in paths:
            result.setdefault(path, set()).add(owner)
    return result


def _line(path: bytes, owners: set[bytes]) -> bytes:
    """Return the line of a path with its packages by name; nothing where no package has it."""
    if not owners:
        return b""
    return b"%s\t%s\n" % (path, _joined_owners(owners))


def _joined_owners(owners: set[bytes]) -> bytes:
    if len(owners) == 1:
        return next(iter(owners))
    parted = sorted((owner.rpartition(b"/")[2], owner) for owner in owners)
    return b",".join(owner for _, owner in parted)
