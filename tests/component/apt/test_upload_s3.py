"""Uploading to an object store over HTTP: what apt reads there, in which order it comes, and what goes wrong."""

import io
import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.client
import botocore.exceptions
import pytest
import requests

from builders.apt.upload import Uploaded, upload
from builders.apt.upload.s3 import S3Store
from builders.apt.upload.store import File
from builders.errors import BusyError, PublishError
from builders.model.settings import S3, HostLimits, RepositorySettings, Settings
from tests.support.killing import killed
from tests.support.ports import free_port
from tests.support.repository import DATE, AptClient, Publisher, facts_of
from tests.support.upload_hosts import BUCKET, Reader, Wire, s3_client, s3_server

PUBLIC = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
]}  # fmt: skip


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The test's own credentials, and no others of this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def bucket(server: str) -> Iterator[str]:
    """An empty bucket's URL; everyone may read what is in it."""
    client = s3_client(server)
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(PUBLIC))
    yield f"{server}/{BUCKET}"
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=item["Key"])
    client.delete_bucket(Bucket=BUCKET)


def destination(bucket: str, **more: Any) -> S3:
    endpoint = bucket.rpartition("/")[0]
    return S3(**{"name": "store", "kind": "s3", "bucket": BUCKET, "endpoint": endpoint, **more})


def send(publisher: Publisher, to: S3, *, show_only: bool = False) -> Uploaded:
    return upload(
        publisher.repository, to, publisher.settings, publisher.log,
        base=publisher.folder, state=publisher.state, show_only=show_only,
    )  # fmt: skip


def keys(server: str) -> set[str]:
    pages = s3_client(server).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def test_apt_installs_from_the_bucket(publisher: Publisher, server: str, bucket: str, tmp_path: Path) -> None:
    publisher.settings = Settings(repository=RepositorySettings(url=f"{bucket}/deep/apt"))
    deb = publisher.deb("reef-demo", "1:2.0~rc1+x-1")
    publisher.publish(deb)
    publisher.publish(publisher.deb("reef-book"), suite="bookworm")
    to = destination(bucket, prefix="deep/apt", url=f"{bucket}/deep/apt")
    forecast = send(publisher, to, show_only=True).forecast
    assert keys(server) == set()
    done = send(publisher, to)
    assert done.changed
    assert done.forecast == forecast
    there = keys(server)
    assert (forecast.files, forecast.new_files, forecast.going_files) == (len(there), len(there), 0)
    assert all(key.startswith("deep/apt/") for key in there)
    assert not any("snapshots" in key for key in there)
    sources = (publisher.repository / "reef-trixie.sources").read_text()
    client = AptClient(tmp_path / "board", sources, publisher.keyring)
    client.update()
    assert client.download("reef-demo") == publisher.publish(deb).packages[0].sha256
    for key in there:
        wanted = next(said for sign, said in TYPES_AND_CACHING.items() if sign in key)
        answer = requests.get(f"{bucket}/{quote(key)}", timeout=10)
        assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == wanted, key


def test_only_what_changed_is_sent(publisher: Publisher, server: str, bucket: str, tmp_path: Path) -> None:
    publisher.publish(publisher.deb(), publisher.deb("reef-data", "1", "all"))
    send(publisher, destination(bucket))
    before = facts_of(publisher.state)
    again = send(publisher, destination(bucket))
    assert (again.changed, again.forecast.new_files, again.forecast.new_size) == (False, 0, 0)
    assert facts_of(publisher.state) == before
    # The same where the memory is lost: each object tells its digest.
    (publisher.state / "uploads" / "store.json").unlink()
    assert not send(publisher, destination(bucket)).changed
    new = publisher.deb(version="2")
    publisher.publish(new, date=DATE + 60)
    sent = send(publisher, destination(bucket)).forecast
    objects = keys(server)
    assert 0 < sent.new_files < sent.files / 2
    assert sum(key.startswith("pool/") for key in objects) == 3
    client = AptClient(tmp_path / "board", sources_at(bucket), publisher.keyring)
    client.update()
    client.download("reef-demo=2")


TYPES_AND_CACHING = {
    "/by-hash/": ("application/octet-stream", "public, max-age=31536000, immutable"),
    "/pool/": ("application/vnd.debian.binary-package", "public, max-age=31536000, immutable"),
    "Release.gpg": ("application/pgp-keys", "no-cache"),
    "Release": ("text/plain; charset=utf-8", "no-cache"),
    ".xz": ("application/x-xz", "no-cache"),
    ".gz": ("application/gzip", "no-cache"),
    ".zst": ("application/zstd", "no-cache"),
    ".html": ("text/html; charset=utf-8", "no-cache"),
    "keyring": ("application/pgp-keys", "no-cache"),
    "": ("text/plain; charset=utf-8", "no-cache"),
}
"""Content-Type and Cache-Control by the first of these that a key holds."""


def test_a_large_package_goes_in_parts(publisher: Publisher, server: str, bucket: str) -> None:
    """A multipart object's ETag is no digest of its bytes, and yet it is known to be whole and unchanged."""
    publisher.publish(publisher.deb(content=os.urandom(5 << 20).hex(), compression="none"))
    send(publisher, destination(bucket))
    (key,) = [key for key in keys(server) if key.endswith(".deb")]
    assert s3_client(server).head_object(Bucket=BUCKET, Key=key)["ETag"].endswith('-2"')
    assert requests.get(f"{bucket}/{quote(key)}", timeout=10).content == (publisher.repository / key).read_bytes()
    assert not send(publisher, destination(bucket)).changed


def unfinished(server: str) -> list[str]:
    answer = s3_client(server).list_multipart_uploads(Bucket=BUCKET)
    return sorted(item["Key"] for item in answer.get("Uploads", []))


def test_what_a_killed_run_left_of_a_large_package_goes(
    publisher: Publisher, server: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts that no listing shows and everyone pays for: of the files that are sent, and older ones of ours."""
    publisher.publish(publisher.deb(content=os.urandom(5 << 20).hex(), compression="none"))
    (key,) = (str(path.relative_to(publisher.repository)) for path in publisher.repository.glob("pool/**/*.deb"))
    to = destination(bucket, prefix="deep")
    client: Any = botocore.client.BaseClient

    def cut() -> None:
        real = client._make_api_call

        def call(self: Any, operation: str, words: Any) -> Any:
            answer = real(self, operation, words)
            if operation == "UploadPart":
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        client._make_api_call = call
        send(publisher, to)

    assert killed(cut)
    assert unfinished(server) == [f"deep/{key}"]
    others = ["deep/photos/cat.jpg", "elsewhere/pool/x.deb", "deep/pool/main/g/gone/gone_1_all.deb"]
    for name in others:
        s3_client(server).create_multipart_upload(Bucket=BUCKET, Key=name)
    with monkeypatch.context() as patch:
        patch.setattr("builders.apt.upload.s3.ABANDONED", timedelta(days=365 * 100))  # all began in 2010 there
        assert send(publisher, to).changed
    assert unfinished(server) == sorted(others), "a young one of another file may be another machine's"
    publisher.publish(publisher.deb(version="2"), date=DATE + 1)
    send(publisher, to)
    assert unfinished(server) == sorted(others[:2])


def test_a_store_that_does_not_tell_of_unfinished_uploads(
    publisher: Publisher, bucket: str, monkeypatch: pytest.MonkeyPatch, said: io.StringIO
) -> None:
    def refused(_self: S3Store) -> list[object]:
        told = {"Error": {"Code": "AccessDenied", "Message": "no s3:ListBucketMultipartUploads"}}
        raise botocore.exceptions.ClientError(told, "ListMultipartUploads")  # type: ignore[arg-type]

    monkeypatch.setattr(S3Store, "_unfinished", refused)
    publisher.publish(publisher.deb())
    assert send(publisher, destination(bucket)).changed
    assert "store: unfinished files of earlier runs stay there" in said.getvalue()
    assert "s3:ListBucketMultipartUploads" in said.getvalue()


def sources_at(url: str) -> str:
    return f"Types: deb\nURIs: {url}\nSuites: trixie\nComponents: main\n"


def test_a_reader_throughout_uploads(publisher: Publisher, bucket: str) -> None:
    """Whoever reads while uploads run finds every file that he is led to, also old .debs that retention lets go."""
    publisher.settings = Settings(repository=RepositorySettings(generations=2, keep={"versions": 1, "snapshots": 1}))
    publisher.publish(publisher.deb(version="1"))
    send(publisher, destination(bucket))
    with Reader(bucket) as reader:
        for number in range(2, 6):
            publisher.publish(publisher.deb(version=str(number)), date=DATE + number)
            if number != 3:
                send(publisher, destination(bucket))
        reader.read_on(2)
    assert reader.troubles == []
    assert len(reader.seen) >= 3


def test_readers_of_what_was_shown_before_end_well(publisher: Publisher, server: str, bucket: str) -> None:
    """Publications that were never uploaded push the shown one out of by-hash here, but not there."""
    publisher.settings = Settings(repository=RepositorySettings(generations=2, keep={"versions": 1, "snapshots": 1}))
    publisher.publish(publisher.deb(version="1"))
    send(publisher, destination(bucket))
    old = keys(server)
    for number in range(2, 7):
        publisher.publish(publisher.deb(version=str(number)), date=DATE + number)
    (publisher.repository / "pool/main/r/reef-demo/reef-demo_1_arm64.deb").unlink()  # as prune does
    assert send(publisher, destination(bucket)).forecast.going_files == 0
    assert {key for key in old if "by-hash" in key or key.startswith("pool/")} <= keys(server)
    later = send(publisher, destination(bucket))
    assert later.forecast.going_files > 0
    assert later.forecast.new_files == 0
    assert "pool/main/r/reef-demo/reef-demo_1_arm64.deb" not in keys(server)
    assert {key for key in keys(server) if key.endswith(".deb")} == {
        f"pool/main/r/reef-demo/reef-demo_{number}_arm64.deb" for number in (5, 6)
    }


def killed_at(work: Callable[[], object], number: int) -> bool:
    """Run ``work`` in a child that is killed before its ``number``-th object; False where it ended before."""

    def counting() -> None:
        real, count = S3Store._put, 0

        def counted(self: S3Store, file: File) -> None:
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            real(self, file)

        S3Store._put = counted  # type: ignore[method-assign]
        work()

    return killed(counting)


def test_killed_at_any_object_and_resumed(
    publisher: Publisher, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """After each kill readers see the old or the new repository, and what arrived is not sent again."""
    monkeypatch.setattr("builders.apt.upload.s3.AT_ONCE", 1)
    publisher.publish(publisher.deb())
    send(publisher, destination(bucket))
    publisher.publish(publisher.deb(version="2"), publisher.deb("reef-more"), date=DATE + 60)
    left = send(publisher, destination(bucket), show_only=True).forecast.new_files
    seen: list[str] = []
    for _ in range(60):
        ended = not killed_at(lambda: send(publisher, destination(bucket)), 6)
        reader = Reader(bucket)
        with requests.Session() as session:
            reader.once(session)
        assert reader.troubles == []
        seen += sorted(reader.seen)
        now = send(publisher, destination(bucket), show_only=True).forecast.new_files
        assert now == (0 if ended else left - 5)
        left = now
        if ended:
            break
    assert len(set(seen)) == 2
    assert seen == sorted(seen, key=seen.index), "once new, always new"
    assert len(seen) > 4


def test_unreachable_half_way_then_resumed(publisher: Publisher, server: str, bucket: str) -> None:
    publisher.publish(publisher.deb(content=os.urandom(300_000).hex()), *(publisher.deb(f"reef-{n}") for n in range(9)))
    wire = Wire(int(server.rpartition(":")[2]))
    through = destination(f"http://127.0.0.1:{wire.port}/{BUCKET}")
    wire.left = 60_000
    with pytest.raises(PublishError) as caught:
        send(publisher, through)
    assert "upload-apt again" in caught.value.fix
    arrived = keys(server)
    assert arrived
    assert not any(key.endswith("InRelease") for key in arrived)
    with pytest.raises(PublishError):
        send(publisher, through)
    wire.left = float("inf")
    done = send(publisher, through)
    assert done.forecast.new_files == done.forecast.files - len(arrived)
    reader = Reader(bucket)
    with requests.Session() as session:
        reader.once(session)
    assert reader.troubles == []
    wire.close()


def test_unreachable_at_the_start(publisher: Publisher) -> None:
    publisher.publish(publisher.deb())
    with pytest.raises(PublishError, match=r"store \(s3://boards\)") as caught:
        send(publisher, destination(f"http://127.0.0.1:{free_port()}/{BUCKET}"))
    assert "Could not connect" in caught.value.detail


def test_no_such_bucket(publisher: Publisher, server: str) -> None:
    publisher.publish(publisher.deb())
    with pytest.raises(PublishError, match="the bucket does not exist"):
        send(publisher, destination(f"{server}/{BUCKET}"))


POLICY = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, tuple[str, str], tuple[str, str]]]:
    """A server that checks signatures and permissions: its URL, a writer's credentials and a mere reader's."""
    with s3_server(tmp_path_factory.mktemp("moto") / "log", INITIAL_NO_AUTH_ACTION_COUNT="7") as url:
        iam, pairs = s3_client(url, "iam"), []
        s3_client(url).create_bucket(Bucket=BUCKET)
        for name, actions in (("writer", ["s3:*"]), ("reader", ["s3:Get*", "s3:List*"])):
            iam.create_user(UserName=name)
            policy = {**POLICY, "Statement": {**POLICY["Statement"], "Action": actions}}  # type: ignore[dict-item]
            iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
            made = iam.create_access_key(UserName=name)["AccessKey"]
            pairs.append((made["AccessKeyId"], made["SecretAccessKey"]))
        yield url, pairs[0], pairs[1]


def test_credentials(
    publisher: Publisher, guarded: tuple[str, tuple[str, str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    """They come from the environment or a profile; what is wrong with them is told, and never they themselves."""
    publisher.publish(publisher.deb())
    url, writer, reader = guarded
    to = destination(f"{url}/{BUCKET}")

    def tried(pair: tuple[str, str]) -> str:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", pair[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair[1])
        with pytest.raises(PublishError) as caught:
            send(publisher, to)
        assert pair[1] not in str(caught.value)
        return str(caught.value)

    assert "does not know the access key" in tried(("AKIAUNKNOWN", "x" * 40))
    assert "the secret key is wrong" in tried((writer[0], "x" * 40))
    assert "may not do this" in tried(reader)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(PublishError, match="no credentials"):
        send(publisher, to)
    text = f"[boards]\naws_access_key_id = {writer[0]}\naws_secret_access_key = {writer[1]}\n"
    (tmp_path / "aws-credentials").write_text(text)
    assert send(publisher, to.model_copy(update={"profile": "boards"})).changed
    with pytest.raises(PublishError, match="cannot be used with these settings"):
        send(publisher, to.model_copy(update={"profile": "lost"}))


def test_what_others_put_there_stays(publisher: Publisher, server: str, bucket: str) -> None:
    publisher.publish(publisher.deb())
    client = s3_client(server)
    client.put_object(Bucket=BUCKET, Key="pool/theirs.deb", Body=b"x")
    with pytest.raises(PublishError, match="contains files that Reef did not upload"):
        send(publisher, destination(bucket))
    assert keys(server) == {"pool/theirs.deb"}
    client.delete_object(Bucket=BUCKET, Key="pool/theirs.deb")
    client.put_object(Bucket=BUCKET, Key="photos/cat.jpg", Body=b"x")
    send(publisher, destination(bucket))
    client.put_object(Bucket=BUCKET, Key="dists/sid/theirs", Body=b"x")
    assert not send(publisher, destination(bucket)).changed
    assert {"photos/cat.jpg", "dists/sid/theirs"} <= keys(server)


def test_a_later_publication_is_not_overwritten(publisher: Publisher, bucket: str, tmp_path: Path) -> None:
    publisher.publish(publisher.deb())
    other = Publisher(tmp_path / "other", publisher.key, publisher.log)
    other.publish(publisher.deb(version="2"), date=DATE + 60)
    send(other, destination(bucket))
    with pytest.raises(PublishError, match="shows a later publication of trixie"):
        send(publisher, destination(bucket))


def test_another_upload_meanwhile(
    publisher: Publisher, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """From another machine, which no lock of ours holds: nothing of ours is shown over it."""
    publisher.publish(publisher.deb())
    send(publisher, destination(bucket))
    publisher.publish(publisher.deb(version="2"), date=DATE + 60)
    other = Publisher(tmp_path / "other", publisher.key, publisher.log)
    other.publish(publisher.deb(version="3"), date=DATE + 90)
    real, once = S3Store.put, [True]

    def put(self: S3Store, *arguments: Any) -> None:
        if once and once.pop():
            send(other, destination(bucket))
        real(self, *arguments)

    monkeypatch.setattr(S3Store, "put", put)
    with pytest.raises(BusyError, match="another upload to store showed trixie meanwhile"):
        send(publisher, destination(bucket))
    assert (
        requests.get(f"{bucket}/dists/trixie/InRelease", timeout=10).content
        == (other.repository / "dists/trixie/InRelease").read_bytes()
    )


@pytest.mark.parametrize("where", ["pool/main/r/reef-demo/reef-demo_1.0-1_arm64.deb", "dists/trixie/Release"])
def test_a_changed_object_is_found_and_mended(publisher: Publisher, server: str, bucket: str, where: str) -> None:
    publisher.publish(publisher.deb())
    send(publisher, destination(bucket))
    size = (publisher.repository / where).stat().st_size
    s3_client(server).put_object(Bucket=BUCKET, Key=where, Body=b"x" * size)
    assert send(publisher, destination(bucket)).forecast.new_files == 1
    content = s3_client(server).get_object(Bucket=BUCKET, Key=where)["Body"].read()
    assert content == (publisher.repository / where).read_bytes()


def test_what_arrives_wrong_is_found(
    publisher: Publisher, server: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    publisher.publish(publisher.deb())
    real = S3Store.put

    def put(self: S3Store, files: Any, step: Any) -> None:
        real(self, files, step)
        for file in files:
            if file.key.endswith("main/binary-arm64/Packages"):
                s3_client(server).put_object(Bucket=BUCKET, Key=file.key, Body=b"x" * file.size)

    monkeypatch.setattr(S3Store, "put", put)
    with pytest.raises(PublishError, match="does not contain what was uploaded") as caught:
        send(publisher, destination(bucket))
    assert "dists/trixie/main/binary-arm64/Packages" in caught.value.detail


def test_boards_cannot_read_it(publisher: Publisher, server: str, bucket: str) -> None:
    publisher.publish(publisher.deb())
    s3_client(server).delete_bucket_policy(Bucket=BUCKET)
    with pytest.raises(PublishError, match="boards cannot read") as caught:
        send(publisher, destination(bucket, url=bucket))
    assert "403" in caught.value.detail
    with pytest.raises(PublishError, match="boards cannot reach"):
        send(publisher, destination(bucket, url=f"http://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (HostLimits(file_mb=0.0001), "it accepts files of up to 100 B"),
        (HostLimits(total_mb=0.01), "it accepts up to 10.0 kB"),
        (HostLimits(files=3), "it accepts up to 3"),
    ],
)
def test_a_host_that_is_too_small(
    publisher: Publisher, server: str, bucket: str, limits: HostLimits, told: str
) -> None:
    publisher.publish(publisher.deb())
    with pytest.raises(PublishError, match="store has no room for this repository") as caught:
        send(publisher, destination(bucket, limits=limits))
    assert told in caught.value.detail
    assert keys(server) == set()


def test_nothing_published(publisher: Publisher, bucket: str) -> None:
    with pytest.raises(PublishError, match="nothing is published yet"):
        send(publisher, destination(bucket))
