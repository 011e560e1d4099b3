"""Settings as users write them in reef.yml."""

from builders.model.settings.buildx import BuildxNode
from builders.model.settings.repository import Keep, RepositorySettings, Signing
from builders.model.settings.services import BazelServices, bazel_storage, ccache_storage, parse_storage
from builders.model.settings.settings import Settings, load_settings, shared_cache
from builders.model.settings.upload import MB, S3, Destination, Folder, HostLimits, Rsync

__all__ = [
    "MB",
    "S3",
    "BazelServices",
    "BuildxNode",
    "Destination",
    "Folder",
    "HostLimits",
    "Keep",
    "RepositorySettings",
    "Rsync",
    "Settings",
    "Signing",
    "bazel_storage",
    "ccache_storage",
    "load_settings",
    "parse_storage",
    "shared_cache",
]
