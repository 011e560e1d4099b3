"""The software bill of materials of a build, as CycloneDX JSON (ECMA-424)."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.contact import OrganizationalContact, OrganizationalEntity
from cyclonedx.output.json import JsonV1Dot5
from packageurl import PackageURL

from builders.model.bundled import BundledPackage
from builders.model.deb_file import control_of, packed_at
from builders.model.packages import DebFile
from builders.model.recipe import Recipe
from builders.model.source_tree import FetchedSource
from builders.model.target import SUITES, Suite, Target


def sbom(
    recipe: Recipe,
    target: Target,
    *,
    debs: Sequence[DebFile],
    sources: Sequence[FetchedSource],
    root_packages: Sequence[str],
    bundled: Sequence[BundledPackage] = (),
) -> str:
    """Return the bill of materials of one recipe's build: its .debs, its sources, and the packages of its root.

    ``bundled`` are Debian packages whose libraries the packages bring along. Packages that somebody else built name
    their maintainer as publisher, and as supplier whom the recipe names.

    Time and serial number follow from the recipe, so that equal builds give equal files.
    """
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, "/".join([str(target), *(d.sha256 for d in debs)])))
    bom.metadata.timestamp = datetime.fromtimestamp(_time(recipe, debs), UTC)
    built = Component(
        name=recipe.name, version=recipe.version, type=ComponentType.APPLICATION, bom_ref=f"recipe/{recipe.name}"
    )
    bom.metadata.component = built
    bom.metadata.authors = [OrganizationalContact(name="Reef")]
    suite = SUITES[recipe.build.root or target.suite.name]
    libraries = [_bundled(package, suite) for package in bundled]
    parts = [*(_deb(deb, recipe) for deb in debs), *map(_source, sources), *libraries, *map(_tool, root_packages)]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(built, parts)
    return JsonV1Dot5(bom).output_as_string(indent=1)


def _time(recipe: Recipe, debs: Sequence[DebFile]) -> int:
    """Return the time of a build: that of its recipe, or of the newest of the .debs that somebody else built."""
    return max(packed_at(deb.path) for deb in debs) if recipe.build.prebuilt else recipe.epoch


def _deb(deb: DebFile, recipe: Recipe) -> Component:
    prebuilt = recipe.build.prebuilt
    of_debian = prebuilt is not None and any(each.pool and each.sha256 == deb.sha256 for each in prebuilt.debs)
    return Component(
        name=deb.package,
        version=deb.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"deb/{deb.package}/{deb.architecture}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=deb.sha256)],
        purl=PackageURL("deb", "debian" if of_debian else "reef", deb.package, deb.version, {"arch": deb.architecture}),
        publisher=control_of(deb.path).get("Maintainer") if prebuilt else None,
        supplier=OrganizationalEntity(name=prebuilt.by) if prebuilt else None,
    )


def _source(source: FetchedSource) -> Component:
    kind, _, value = source.digest.partition(":")
    purl = PackageURL.from_string(source.location) if source.location.startswith("pkg:") else None
    url = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(source.location))
    return Component(
        name=source.name,
        version=purl.version if purl else None,
        type=ComponentType.FILE,
        bom_ref=f"source/{source.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=value)] if kind == "sha256" else [],
        properties=[Property(name="reef:digest", value=source.digest)],
        external_references=[] if purl else [url],
        purl=purl,
    )


def _bundled(package: BundledPackage, suite: Suite) -> Component:
    """Return the component of a Debian package of ``suite`` whose libraries are used at run time.

    Scanners for vulnerabilities match Debian's by release and source package.
    """
    line = f"{package.name}:{package.architecture}={package.version}"
    origin = {"distro": f"debian-{suite.release}", "upstream": package.source.replace("=", "@")}
    return _debian(line, ComponentType.LIBRARY, ComponentScope.REQUIRED, "bundled", origin)


def _tool(line: str) -> Component:
    """Return the component of a package of the build root: the build used it, but the .debs do not contain it."""
    return _debian(line, ComponentType.APPLICATION, ComponentScope.EXCLUDED, "root")


def _debian(
    line: str, kind: ComponentType, scope: ComponentScope, place: str, origin: Mapping[str, str] | None = None
) -> Component:
    name, _, version = line.partition("=")
    package, _, architecture = name.partition(":")
    return Component(
        name=package,
        version=version,
        type=kind,
        scope=scope,
        bom_ref=f"{place}/{name}",
        purl=PackageURL(
            "deb", "debian", package, version, {**({"arch": architecture} if architecture else {}), **(origin or {})}
        ),
    )
