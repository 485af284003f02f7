"""Where videos are kept: the port and its S3 adapter."""

import io
import shutil
import time
import uuid
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from uuid import UUID

from botocore.exceptions import ClientError

from anb.links import LinkSigner
from anb.ranged import MIN_READ_AHEAD_BYTES, RangedFile

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

MP4 = "video/mp4"
JPEG = "image/jpeg"
UPLOAD_SECONDS = 600  # how long a direct upload may begin
_COPY_BYTES = 1024 * 1024
_FOREVER = "public, max-age=31536000, immutable"  # a key never gets another content
_PRIVATE = "private"


class ObjectMissing(Exception):
    """There is no object under this key."""


class ObjectChanged(Exception):
    """Under this key there is another object by now than the one that was opened."""


@dataclass(frozen=True)
class StoredFile:
    """One version of an object, told from all others by its entity tag, and its content."""

    key: str
    etag: str
    size_bytes: int
    file: BinaryIO = field(repr=False)


@dataclass(frozen=True)
class UploadForm:
    """Where and with which form fields a client posts a file straight to the store."""

    url: str
    fields: dict[str, str]


class Storage(Protocol):
    """An object store. Every method may raise botocore's errors when the store is away."""

    def put(self, key: str, file: BinaryIO, *, content_type: str, is_published: bool = False) -> None:
        """Store the file, whole or not at all, without holding it in memory; caches keep what is published."""

    def download(self, key: str, path: Path) -> None:
        """Write the object to the path; raise ObjectMissing when there is none."""

    def size_bytes(self, key: str) -> int:
        """Return the object's size; raise ObjectMissing when there is none."""

    def open(self, key: str) -> StoredFile:
        """Return the object with a seekable file that fetches only what is read; ObjectMissing when there is none.

        Reading raises ObjectChanged, or ObjectMissing, as soon as there is something else under the key, and what
        anb.ranged raises when reading costs more than a check may.
        """

    def copy(self, opened: StoredFile, key: str, *, content_type: str) -> None:
        """Store what was opened under another key too; ObjectChanged or ObjectMissing if it is not there any more."""

    def remove(self, key: str) -> None:
        """Delete one object; it is no error when there is none."""

    def delete(self, prefixes: Iterable[str]) -> None:
        """Delete every object whose key begins with one of the prefixes."""

    def link(self, key: str) -> str:
        """Return a URL that lets its holder read the object for 10 to 15 minutes."""

    def published_link(self, key: str) -> str:
        """Return a URL at which everybody reads what is published, for good where the store is told of such a place.

        Where it is not, it is `link`.
        """

    def upload_form(self, key: str, *, content_type: str, size_bytes: int) -> UploadForm:
        """Return a form with which its holder stores objects of exactly this size under the key, for 10 minutes."""

    def ping(self) -> None:
        """Raise an error unless the store answers and has our bucket."""


def incoming_key(video_id: UUID) -> str:
    """Return where a client may post a file by itself: the only place that an upload form is ever signed for."""
    return f"incoming/{video_id}/source.mp4"


def new_source() -> str:
    """Return a name for one copy of a video's source, of which its row accepts one.

    Requests that fill the same reservation at once each write a copy of their own: none can change what another has
    checked and had accepted.
    """
    return uuid.uuid4().hex


def source_key(video_id: UUID, source: str | None) -> str:
    """Return where a copy of the player's original is kept; None names the only one that there was once."""
    return f"uploads/{video_id}/{source}/source.mp4" if source else f"uploads/{video_id}/source.mp4"


def processed_key(video_id: UUID, attempt: int) -> str:
    """Return where an attempt keeps its result: a key of its own, so that a late one overwrites nothing."""
    return f"processed/{video_id}/{attempt}.mp4"


def thumbnail_key(video_id: UUID, attempt: int) -> str:
    """Return where an attempt keeps its still picture."""
    return f"thumbnails/{video_id}/{attempt}.jpg"


def prefixes(video_id: UUID) -> list[str]:
    """Return what the keys of all objects of a video begin with."""
    return [f"{folder}/{video_id}/" for folder in ("incoming", "uploads", "processed", "thumbnails")]


class S3Storage:
    """The store as an S3 bucket."""

    def __init__(
        self, client: "S3Client", bucket: str, credentials: "Credentials", *, published_url: str = ""
    ) -> None:
        """`credentials` sign the links; the client signs everything else with its own.

        `published_url`, without a slash at its end, is below what everybody reads results and pictures.
        """
        self._client = client
        self._bucket = bucket
        self._published_url = published_url
        self._signer = LinkSigner(
            base_url=_base_url(client, bucket),
            region=client.meta.region_name,
            credentials=credentials,
            clock=time.time,
        )

    def put(self, key: str, file: BinaryIO, *, content_type: str, is_published: bool = False) -> None:
        # One PutObject is atomic and streams from the file; 100 MB are far below its limit of 5 GB
        self._client.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=file,
            ContentType=content_type,
            CacheControl=_FOREVER if is_published else _PRIVATE,
        )

    def download(self, key: str, path: Path) -> None:
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        except ClientError as error:
            raise self._translated(error, key) from error
        # One stream: boto3's download_file asks for 8 MB at a time from ten threads, for twice the work, and tries
        # what hangs 15 times. Whoever calls this tries again, too. An answer that ends early is an error.
        with closing(body), path.open("wb") as file:
            shutil.copyfileobj(body, file, _COPY_BYTES)

    def size_bytes(self, key: str) -> int:
        try:
            return self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        except ClientError as error:
            raise self._translated(error, key) from error

    def open(self, key: str) -> StoredFile:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key, Range=_range(0, MIN_READ_AHEAD_BYTES))
        except ClientError as error:
            if _code(error) == "InvalidRange":  # an empty object has no first byte
                return StoredFile(key, etag="", size_bytes=0, file=io.BytesIO())
            raise self._translated(error, key) from error
        etag, size_bytes = answer["ETag"], int(answer["ContentRange"].rpartition("/")[2])
        with closing(answer["Body"]) as body:
            first = body.read()

        def fetch(position: int, count: int) -> bytes:
            return self._fetch(key, etag, position, count)

        file = io.BufferedReader(RangedFile(fetch, size_bytes=size_bytes, first=first))
        return StoredFile(key, etag, size_bytes, file)

    def _fetch(self, key: str, etag: str, position: int, count: int) -> bytes:
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=key, Range=_range(position, count), IfMatch=etag
            )
        except ClientError as error:
            raise self._translated(error, key) from error
        with closing(answer["Body"]) as body:
            return body.read()

    def copy(self, opened: StoredFile, key: str, *, content_type: str) -> None:
        try:
            self._client.copy_object(
                Bucket=self._bucket,
                Key=key,
                CopySource={"Bucket": self._bucket, "Key": opened.key},
                CopySourceIfMatch=opened.etag,
                # Nothing that came with the form but its content
                MetadataDirective="REPLACE",
                TaggingDirective="REPLACE",
                ContentType=content_type,
            )
        except ClientError as error:
            raise self._translated(error, opened.key) from error

    def remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=key)

    def delete(self, prefixes: Iterable[str]) -> None:
        for prefix in prefixes:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    self._client.delete_object(Bucket=self._bucket, Key=item["Key"])

    def link(self, key: str) -> str:
        return self._signer.sign(key)

    def published_link(self, key: str) -> str:
        return f"{self._published_url}/{key}" if self._published_url else self.link(key)

    def upload_form(self, key: str, *, content_type: str, size_bytes: int) -> UploadForm:
        form = self._client.generate_presigned_post(
            Bucket=self._bucket,
            Key=key,
            Fields={"Content-Type": content_type},
            Conditions=[{"Content-Type": content_type}, ["content-length-range", size_bytes, size_bytes]],
            ExpiresIn=UPLOAD_SECONDS,
        )
        return UploadForm(url=form["url"], fields=form["fields"])

    def ping(self) -> None:
        self._client.head_bucket(Bucket=self._bucket)

    def _translated(self, error: ClientError, key: str) -> Exception:
        code = _code(error)
        if code in {"PreconditionFailed", "412"}:
            return ObjectChanged(key)
        if code == "404":
            # The answer to a HEAD has no body that could tell a missing bucket, which says nothing about the object
            self.ping()
        return ObjectMissing(key) if code in {"404", "NoSuchKey"} else error


def _range(position: int, count: int) -> str:
    return f"bytes={position}-{position + count - 1}"


def _code(error: ClientError) -> str | None:
    return error.response.get("Error", {}).get("Code")


def _base_url(client: "S3Client", bucket: str) -> str:
    """Return where botocore finds the bucket's objects: under its own host, or below the endpoint's path."""
    link = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    return link.partition("?")[0].removesuffix("/k")
