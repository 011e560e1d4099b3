"""Settings as users write them in reef.yml."""

from builders.model.settings.settings import (
    BazelServices,
    BuildxNode,
    Keep,
    Repository,
    Settings,
    Signing,
    bazel_storage,
    ccache_storage,
    load_settings,
    parse_storage,
    shared_cache,
)
from builders.model.settings.upload import MB, S3, Destination, Folder, Limits, Rsync

__all__ = [
    "MB",
    "S3",
    "BazelServices",
    "BuildxNode",
    "Destination",
    "Folder",
    "Keep",
    "Limits",
    "Repository",
    "Rsync",
    "Settings",
    "Signing",
    "bazel_storage",
    "ccache_storage",
    "load_settings",
    "parse_storage",
    "shared_cache",
]
