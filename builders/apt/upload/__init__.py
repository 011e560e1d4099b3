"""Uploading the published repository to other places: folders, machines with rsync, S3-compatible stores.

for destination in settings.repository.upload:
    done = upload(repository, destination, settings, log, base=..., state=...)
"""

from builders.apt.upload.rsync import require_apart
from builders.apt.upload.run import Forecast, Uploaded, upload

__all__ = ["Forecast", "Uploaded", "require_apart", "upload"]
