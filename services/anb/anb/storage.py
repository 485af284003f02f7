"""Where videos are kept: the port and its S3 adapter."""

import io
import shutil
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from uuid import UUID

from botocore.auth import S3SigV4PostAuth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import ClientError, HTTPClientError
from botocore.httpsession import URLLib3Session

from anb.aws import CONNECT_SECONDS, POOLED_CONNECTIONS, READ_SECONDS
from anb.links import LinkSigner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MP4 = "video/mp4"
JPEG = "image/jpeg"
UPLOAD_SECONDS = 600  # how long a direct upload may begin
_COPY_BYTES = 1024 * 1024
_RANGE_BYTES = 64 * 1024  # read at a time from an object's header boxes


class ObjectMissing(Exception):
    """There is no object under this key."""


@dataclass(frozen=True)
class UploadForm:
    """Where and with which form fields a client posts a file straight to the store."""

    url: str
    fields: dict[str, str]


class Storage(Protocol):
    """An object store. Every method may raise botocore's errors when the store is away."""

    def put(self, key: str, file: BinaryIO, *, content_type: str) -> None:
        """Store the file, whole or not at all, without holding it in memory."""

    def download(self, key: str, path: Path) -> None:
        """Write the object to the path; raise ObjectMissing when there is none."""

    def size_bytes(self, key: str) -> int:
        """Return the object's size; raise ObjectMissing when there is none."""

    def open(self, key: str) -> BinaryIO:
        """Return a seekable file that fetches only what is read; raise ObjectMissing when there is no object."""

    def delete(self, prefixes: Iterable[str]) -> None:
        """Delete every object whose key begins with one of the prefixes."""

    def link(self, key: str) -> str:
        """Return a URL that lets its holder read the object for 10 to 15 minutes."""

    def upload_form(self, key: str, *, content_type: str, largest_bytes: int) -> UploadForm:
        """Return a form that lets its holder store one object of at most `largest_bytes` for 10 minutes."""

    def ping(self) -> None:
        """Raise an error unless the store answers and has our bucket."""


def source_key(video_id: UUID) -> str:
    """Return where the player's original is kept."""
    return f"uploads/{video_id}/source.mp4"


def processed_key(video_id: UUID, attempt: int) -> str:
    """Return where an attempt keeps its result: a key of its own, so that a late one overwrites nothing."""
    return f"processed/{video_id}/{attempt}.mp4"


def thumbnail_key(video_id: UUID, attempt: int) -> str:
    """Return where an attempt keeps its still picture."""
    return f"thumbnails/{video_id}/{attempt}.jpg"


def prefixes(video_id: UUID) -> list[str]:
    """Return what the keys of all objects of a video begin with."""
    return [f"{folder}/{video_id}/" for folder in ("uploads", "processed", "thumbnails")]


class S3Storage:
    """The store as an S3 bucket."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._http = URLLib3Session(
            timeout=(CONNECT_SECONDS, READ_SECONDS),  # type: ignore[arg-type] # the stub does not know of pairs
            max_pool_connections=POOLED_CONNECTIONS,
        )
        self._form_url = client.generate_presigned_post(bucket, "k")["url"]
        self._credentials = client._request_signer._credentials  # type: ignore[attr-defined] # noqa: SLF001 no other way to them
        self._signer = LinkSigner(
            base_url=_base_url(client, bucket),
            region=client.meta.region_name,
            credentials=self._credentials,
            clock=time.time,
        )

    def put(self, key: str, file: BinaryIO, *, content_type: str) -> None:
        # One PutObject is atomic and streams from the file; 100 MB are far below its limit of 5 GB
        self._client.put_object(Bucket=self._bucket, Key=key, Body=file, ContentType=content_type)

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

    def open(self, key: str) -> BinaryIO:
        try:
            return io.BufferedReader(_RangeReader(self._http, self.link(key)), _RANGE_BYTES)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "416":
                return io.BytesIO()  # an empty object has no first byte
            raise self._translated(error, key) from error

    def delete(self, prefixes: Iterable[str]) -> None:
        for prefix in prefixes:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    self._client.delete_object(Bucket=self._bucket, Key=item["Key"])

    def link(self, key: str) -> str:
        return self._signer.sign(key)

    def upload_form(self, key: str, *, content_type: str, largest_bytes: int) -> UploadForm:
        # What the client's generate_presigned_post comes to; its way there takes four times as long
        form = AWSRequest("POST", self._form_url)
        fields = {"Content-Type": content_type, "key": key}
        conditions: list[object] = [{name: value} for name, value in fields.items()]
        conditions += [{"bucket": self._bucket}, ["content-length-range", 1, largest_bytes]]
        expiration = datetime.now(UTC) + timedelta(seconds=UPLOAD_SECONDS)
        policy = {"expiration": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": conditions}
        form.context |= {"s3-presign-post-fields": fields, "s3-presign-post-policy": policy}
        region = self._client.meta.region_name
        S3SigV4PostAuth(self._credentials.get_frozen_credentials(), "s3", region).add_auth(form)
        return UploadForm(url=self._form_url, fields=fields)

    def ping(self) -> None:
        self._client.head_bucket(Bucket=self._bucket)

    def _translated(self, error: ClientError, key: str) -> Exception:
        code = error.response.get("Error", {}).get("Code")
        if code == "404":
            # The answer to a HEAD has no body that could tell a missing bucket, which says nothing about the object
            self.ping()
        return ObjectMissing(key) if code in {"404", "NoSuchKey"} else error


class _RangeReader(io.RawIOBase):
    """Reads an object by ranged requests, so that looking at its boxes does not fetch its pictures.

    With links, over the HTTP part of botocore: its S3 part takes twice as long for each look, and an upload
    waits for all of them.
    """

    def __init__(self, http: URLLib3Session, link: str) -> None:
        self._http, self._link = http, link
        # The answer to the first look tells the size as well
        first = self._get(0, _RANGE_BYTES)
        self._first = first.content
        self._size_bytes = int(first.headers["Content-Range"].rpartition("/")[2])
        self._position = 0
        self._block = lru_cache(maxsize=4)(self._fetch_block)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size_bytes - self._position)
        if wanted <= 0:
            return 0
        if wanted > _RANGE_BYTES:
            data = self._get(self._position, wanted).content
        else:
            # Whoever follows the boxes comes back to where others begin
            number, offset = divmod(self._position, _RANGE_BYTES)
            data = self._block(number)[offset : offset + wanted]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _fetch_block(self, number: int) -> bytes:
        return self._get(number * _RANGE_BYTES, _RANGE_BYTES).content if number else self._first

    def _get(self, position: int, count: int) -> AWSResponse:
        """Ask for so many bytes; S3 answers with those that there are."""
        wanted = {"Range": f"bytes={position}-{position + count - 1}"}
        request = AWSRequest(method="GET", url=self._link, headers=wanted).prepare()
        try:
            answer = self._http.send(request)
        except HTTPClientError:
            answer = self._http.send(request)  # the store may have closed a connection that was kept
        if answer.status_code != 206:
            raise ClientError({"Error": {"Code": str(answer.status_code)}}, "GetObject")
        return answer


def _base_url(client: "S3Client", bucket: str) -> str:
    """Return where botocore finds the bucket's objects: under its own host, or below the endpoint's path."""
    link = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    return link.partition("?")[0].removesuffix("/k")
