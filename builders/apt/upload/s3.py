"""S3-compatible object stores, by boto3: the reference client, which knows every way to find credentials.

A PUT replaces an object at one moment, so that objects are whole or absent; only the order protects readers between
objects (`content`). Each request is signed over the SHA-256 of its body, which every store checks before it accepts the
object; the checksums that boto3 adds since 1.36 are left out, because many stores refuse them. An object has its
SHA-256 as metadata; its ETag, however the store computes it, is remembered, so that a later upload knows from the
listing alone (a thousand objects a request) what is unchanged.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from builders.apt.upload.store import File, RemoteFile
from builders.apt.verify.server import BY_HASH, type_of
from builders.errors import PublishError
from builders.host.files import sha256_of, write_whole
from builders.host.log import Step
from builders.model.settings import S3

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef, MultipartUploadTypeDef

AT_ONCE = 8
AT_MOST = 1000
"""Objects that one request deletes."""
ABANDONED = timedelta(days=1)
"""A multipart upload that began so long ago belongs to no running upload."""
FOREVER = "public, max-age=31536000, immutable"
"""For names that never get other bytes: packages, indices by hash (RFC 8246)."""
ASK = "no-cache"
"""For what changes: caches may keep it, but must ask each time whether it is still current."""
REASONS = {
    "InvalidAccessKeyId": ("the store does not know the access key", "correct the credentials"),
    "SignatureDoesNotMatch": ("the secret key is wrong", "correct the credentials"),
    "InvalidToken": ("the session token is invalid or expired", "get new credentials"),
    "ExpiredToken": ("the session expired", "get new credentials"),
    "AccessDenied": ("the credentials may not do this", "allow s3:ListBucket, GetObject, PutObject and DeleteObject"),
    "403": ("the credentials may not do this", "allow s3:ListBucket, GetObject, PutObject and DeleteObject"),
    "NoSuchBucket": ("the bucket does not exist", "make it, or correct bucket: in reef.yml"),
    "404": ("the bucket or an object does not exist", "correct bucket: in reef.yml"),
    "QuotaExceeded": ("the store is full", "free some space there, then run ./inv upload-apt again"),
    "XMinioStorageFull": ("the store is full", "free some space there, then run ./inv upload-apt again"),
}
CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile of ~/.aws with AWS_PROFILE or profile:"
)
LATER = "what arrived stays; run ./inv upload-apt again to resume"


@dataclass(frozen=True)
class S3Store:
    """A bucket for files from the folder ``root``; the file ``memory`` remembers ETags."""

    root: Path
    name: str
    bucket: str
    prefix: str
    client: "S3Client"
    memory: Path
    known: dict[str, list[str | int]] = field(default_factory=dict)

    def listing(self) -> dict[str, RemoteFile]:
        """Return every object, with its ETag."""
        result: dict[str, RemoteFile] = {}
        with self._errors():
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
            for page in pages:
                for item in page.get("Contents", []):
                    result[item["Key"].removeprefix(self.prefix)] = RemoteFile(item["Size"], item["ETag"])
        return result

    def differing(self, files: Sequence[File], held: Mapping[str, RemoteFile]) -> list[File]:
        """Return the files whose size differs, and those that neither memory nor metadata knows as equal."""
        here = [file for file in files if file.key in held and held[file.key].size == file.size]
        strange = [file for file in here if self.known.get(file.key) != _memory(file, held[file.key])]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for file, same in zip(strange, pool.map(self._same, strange), strict=True):
                if same == held[file.key].tag:
                    self.known[file.key] = _memory(file, held[file.key])
        self.save()
        return [file for file in files if file.key not in held
                or self.known.get(file.key) != _memory(file, held[file.key])]  # fmt: skip

    def discard_unfinished(self, files: Sequence[File]) -> str:
        """End the multipart uploads of killed runs: those of ``files``, and others that are a day old.

        No listing of objects shows their parts, which need space. Younger ones may be another machine's, at work
        now. Return why the store does not allow it: an upload works without.
        """
        from botocore.exceptions import ClientError

        again = {self.prefix + file.key for file in files}
        with self._errors():
            try:
                for item in self._unfinished():
                    if item["Key"] in again or item["Initiated"] < datetime.now(UTC) - ABANDONED:
                        self.client.abort_multipart_upload(
                            Bucket=self.bucket, Key=item["Key"], UploadId=item["UploadId"]
                        )
            except ClientError as error:
                return str(error)
        return ""

    def _unfinished(self) -> "list[MultipartUploadTypeDef]":
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=self.prefix)
        found = [item for page in pages for item in page.get("Uploads", [])]
        return [item for item in found if item["Key"].removeprefix(self.prefix).startswith(("pool/", "dists/"))]

    def put(self, files: Sequence[File], step: Step) -> None:
        """Upload objects, several at once; a large one in parts, which are invisible before the last."""
        with self._errors(), ThreadPoolExecutor(AT_ONCE) as pool:
            running = [pool.submit(self._put, file) for file in files]
            try:
                for done, (file, future) in enumerate(zip(files, running, strict=True), 1):
                    future.result()
                    step.amount(done, len(files), file.key)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def carry(self, suite: str, old: str, new: str) -> None:
        """Do nothing: old indices stay by hash where they are."""

    def delete(self, keys: Collection[str]) -> None:
        """Remove objects; raises PublishError that names the first which stays."""
        names = sorted(keys)
        for start in range(0, len(names), AT_MOST):
            objects = [{"Key": self.prefix + name} for name in names[start : start + AT_MOST]]
            with self._errors():
                done = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})  # type: ignore[typeddict-item]
            for error in done.get("Errors", []):
                raise PublishError(f"{self.name}: cannot delete {error.get('Key')}", error.get("Message", ""),
                                   "allow s3:DeleteObject")  # fmt: skip

    def read(self, keys: Collection[str]) -> dict[str, bytes]:
        """Return objects' contents."""
        with self._errors(), ThreadPoolExecutor(AT_ONCE) as pool:
            found = pool.map(self._get, keys)
            return {key: content for key, content in zip(keys, found, strict=True) if content is not None}

    def unsound(self, files: Sequence[File]) -> list[str]:
        """Return the keys of objects that differ from the files: indices are read, of packages the metadata."""
        with self._errors(), ThreadPoolExecutor(AT_ONCE) as pool:
            tags = dict(zip(files, pool.map(self._sound_tag, files), strict=True))
        self.known.update({f.key: _memory(f, RemoteFile(f.size, tag)) for f, tag in tags.items() if tag})
        self.save()
        return [file.key for file, tag in tags.items() if not tag]

    def save(self) -> None:
        """Store what is known of the objects, for the next upload."""
        text = json.dumps(self.known, indent=0, sort_keys=True)
        if not self.memory.is_file() or self.memory.read_text() != text:
            write_whole(self.memory, text)

    def _sound_tag(self, file: File) -> str:
        """Return the ETag of the object where it equals the file, else nothing."""
        if file.key.startswith("pool/"):
            return self._same(file)
        answer = self._got(file.key)
        same = answer and hashlib.sha256(answer["Body"].read()).hexdigest() == sha256_of(self.root / file.key)
        return answer["ETag"] if answer and same else ""

    def _same(self, file: File) -> str:
        """Return the ETag of the object where its metadata names the file's digest, else nothing."""
        from botocore.exceptions import ClientError

        try:
            head = self.client.head_object(Bucket=self.bucket, Key=self.prefix + file.key)
        except ClientError as error:
            if _code(error) in ("404", "NoSuchKey"):
                return ""
            raise
        digest = head["Metadata"].get("sha256")
        same = head["ContentLength"] == file.size and digest == sha256_of(self.root / file.key)
        return head["ETag"] if same else ""

    def _get(self, key: str) -> bytes | None:
        answer = self._got(key)
        return answer["Body"].read() if answer else None

    def _got(self, key: str) -> "GetObjectOutputTypeDef | None":
        from botocore.exceptions import ClientError

        try:
            return self.client.get_object(Bucket=self.bucket, Key=self.prefix + key)
        except ClientError as error:
            if _code(error) == "NoSuchKey":
                return None
            raise

    def _put(self, file: File) -> None:
        path = self.root / file.key
        kind, caching = described(file.key)
        facts = {"ContentType": kind, "CacheControl": caching, "Metadata": {"sha256": sha256_of(path)}}
        self.client.upload_file(str(path), self.bucket, self.prefix + file.key, ExtraArgs=facts)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise PublishError(f"{self.name}: no credentials", str(error), CREDENTIALS) from error
        except (ClientError, BotoCoreError, Boto3Error) as error:
            cause = error.__context__ if isinstance(error, Boto3Error) else error
            code = _code(cause) if isinstance(cause, ClientError) else ""
            why, fix = REASONS.get(code, ("the upload failed", LATER))
            raise PublishError(f"{self.name}: {why}", str(error), fix) from error


def described(key: str) -> tuple[str, str]:
    """Return an object's Content-Type and Cache-Control."""
    lasting = BY_HASH in key or key.startswith("pool/")
    return type_of(key), FOREVER if lasting else ASK


def _code(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _memory(file: File, held: RemoteFile) -> list[str | int]:
    return [held.tag, held.size, file.mtime]


def s3_store(destination: S3, root: Path, memory: Path) -> S3Store:
    """Return the store for a destination; raises PublishError for an unknown profile."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    place = "/".join(part for part in (destination.bucket, destination.prefix) if part)
    name = f"{destination.name} (s3://{place})"
    style = {"payload_signing_enabled": True, **({"addressing_style": "path"} if destination.endpoint else {})}
    config = Config(
        retries={"mode": "standard", "max_attempts": 4}, connect_timeout=20, read_timeout=60,
        max_pool_connections=AT_ONCE * 2, s3=style,  # type: ignore[arg-type]
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
    )  # fmt: skip
    try:
        session = boto3.Session(profile_name=destination.profile, region_name=destination.region)
        region = session.region_name or ("us-east-1" if destination.endpoint else None)
        client = session.client("s3", endpoint_url=destination.endpoint, region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise PublishError(f"{name}: cannot be used with these settings", str(error), CREDENTIALS) from error
    prefix = f"{destination.prefix}/" if destination.prefix else ""
    return S3Store(root, name, destination.bucket, prefix, client, memory, _remembered(memory))


def _remembered(memory: Path) -> dict[str, list[str | int]]:
    """Return what the last upload stored; nothing where that is lost or broken: every object is then requested."""
    try:
        found = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
