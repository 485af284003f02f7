"""A store that costs next to nothing: it checks signatures, counts bytes and drops them.

It speaks as much of S3's REST API as the application uses, so that a measurement of the web tier on one machine is
not one of the emulated store, which takes half of the CPU. What is read back is the sample of the same size: the
measurements send no other files.
"""

import asyncio
import base64
import hmac
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.loopback import ADDRESS, status
from local.supervisor import Service

HEALTH, RESET = "/_sink/health", "/_sink/reset"
MAX_HEAD_BYTES = 64 * 1024
BUFFER_BYTES = 512 * 1024
_CREDENTIAL = re.compile(r"Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request")
_SIGNED = re.compile(r"SignedHeaders=([^,]+)")
_SIGNATURE = re.compile(r"Signature=([0-9a-f]{64})")
_FIELD = re.compile(rb'name="([^"]+)"\r\n\r\n(.*?)\r\n--', re.DOTALL)
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass(frozen=True)
class Answer:
    """A status, headers and a body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self, *, is_head: bool) -> bytes:
        """Return it as it goes over the wire."""
        length = {"Content-Length": str(len(self.body))} if self.status != 204 else {}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**length, **self.headers}.items())
        return f"HTTP/1.1 {self.status} S3\r\n{lines}\r\n".encode() + (b"" if is_head else self.body)


def refusal(status: int, code: str) -> Answer:
    """Return an error as S3 tells it."""
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'
    return Answer(status, text.encode(), {"Content-Type": "application/xml"})


class Store:
    """The sizes of what was put under which key, and who may put it."""

    def __init__(self, samples: Sequence[Path], *, key: str, secret: str) -> None:
        """`samples` are what will be uploaded, each of another size."""
        self._samples = {len(content): content for content in (path.read_bytes() for path in samples)}
        self._credentials = Credentials(key, secret)
        self._sizes: dict[str, int] = {}

    def answer(self, request: "Request") -> Answer:
        """Do what a request asks for."""
        if request.path in {HEALTH, RESET}:
            return self._own(request)
        if request.method == "POST":
            return self._post(request)
        if not self._is_signed(request):
            return refusal(403, "SignatureDoesNotMatch")
        return getattr(self, f"_{request.method.lower()}", self._unknown)(request)

    def _own(self, request: "Request") -> Answer:
        if request.path == RESET:
            self._sizes.clear()
        return Answer(200)

    def _unknown(self, _: "Request") -> Answer:
        return refusal(501, "NotImplemented")

    def _put(self, request: "Request") -> Answer:
        if copied := request.headers.get("x-amz-copy-source"):
            return self._copy(request, unquote(copied).lstrip("/"))
        self._sizes[request.key] = request.length
        return Answer(200, headers={"ETag": _etag(request.length)})

    def _copy(self, request: "Request", source: str) -> Answer:
        if (size := self._sizes.get(source)) is None:
            return refusal(404, "NoSuchKey")
        if request.headers.get("x-amz-copy-source-if-match", _etag(size)) != _etag(size):
            return refusal(412, "PreconditionFailed")
        self._sizes[request.key] = size
        text = f"<CopyObjectResult><ETag>{escape(_etag(size))}</ETag></CopyObjectResult>"
        return Answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _post(self, request: "Request") -> Answer:
        """Take a form as a browser sends it, whose policy has to be signed and to allow the size."""
        fields = {name.decode(): value.decode() for name, value in _FIELD.findall(request.beginning)}
        size = request.file_bytes
        if not self._is_policy_signed(fields):
            return refusal(403, "SignatureDoesNotMatch")
        conditions = json.loads(base64.b64decode(fields["policy"]))["conditions"]
        allowed = next((one[1:] for one in map(list, conditions) if one[0] == "content-length-range"), [0, size])
        if not allowed[0] <= size <= allowed[1]:
            return refusal(400, "EntityTooLarge" if size > allowed[1] else "EntityTooSmall")
        self._sizes[f"{request.key}/{fields['key']}" if request.key else fields["key"]] = size
        return Answer(204)

    def _head(self, request: "Request") -> Answer:
        if "/" not in request.key:
            return Answer(200)
        if (size := self._sizes.get(request.key)) is None:
            return refusal(404, "NoSuchKey")
        return Answer(200, self._samples[size], {"ETag": _etag(size)})

    def _get(self, request: "Request") -> Answer:
        if "list-type" in request.query:
            return self._list(request)
        if (size := self._sizes.get(request.key)) not in self._samples:
            return refusal(404, "NoSuchKey")
        if request.headers.get("if-match", _etag(size)) != _etag(size):
            return refusal(412, "PreconditionFailed")
        if not (found := _RANGE.fullmatch(request.headers.get("range", ""))):
            return Answer(200, self._samples[size], {"ETag": _etag(size)})
        begin, end = int(found[1]), min(int(found[2]), size - 1)
        if begin > end:
            return refusal(416, "InvalidRange")
        part = {"ETag": _etag(size), "Content-Range": f"bytes {begin}-{end}/{size}"}
        return Answer(206, self._samples[size][begin : end + 1], part)

    def _list(self, request: "Request") -> Answer:
        bucket, prefix = request.key, request.query.get("prefix", "")
        keys = [key.removeprefix(f"{bucket}/") for key in self._sizes if key.startswith(f"{bucket}/{prefix}")]
        found = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys)
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        return Answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _delete(self, request: "Request") -> Answer:
        self._sizes.pop(request.key, None)
        return Answer(204)

    def _is_signed(self, request: "Request") -> bool:
        """Whether the header's signature is the one that botocore makes of what was sent."""
        sent = request.headers.get("authorization", "")
        who, which, signature = _CREDENTIAL.search(sent), _SIGNED.search(sent), _SIGNATURE.search(sent)
        if not (who and which and signature and who[1] == self._credentials.access_key):
            return False
        headers = {name: request.headers.get(name, "") for name in which[1].split(";")}
        signed = AWSRequest(request.method, f"http://{request.headers['host']}{request.target}", headers=headers)
        signed.context["timestamp"] = headers.get("x-amz-date", "")
        auth = S3SigV4Auth(self._credentials, "s3", who[3])
        expected = auth.signature(auth.string_to_sign(signed, auth.canonical_request(signed)), signed)
        return hmac.compare_digest(expected, signature[1])

    def _is_policy_signed(self, fields: Mapping[str, str]) -> bool:
        who = fields.get("x-amz-credential", "").split("/")
        if len(who) != 5 or who[0] != self._credentials.access_key:
            return False
        signed = AWSRequest("POST")
        signed.context["timestamp"] = fields.get("x-amz-date", "")
        expected = S3SigV4Auth(self._credentials, "s3", who[2]).signature(fields.get("policy", ""), signed)
        return hmac.compare_digest(expected, fields.get("x-amz-signature", ""))


def _etag(size: int) -> str:
    return f'"{md5(str(size).encode(), usedforsecurity=False).hexdigest()}"'


class Request:
    """What came: all of it but the bytes that are dropped."""

    def __init__(self, head: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines if line)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}
        parts = urlsplit(self.target)
        self.path = unquote(parts.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.length = int(self.headers.get("content-length", 0))
        self.beginning = b""
        """The first bytes of the body: the fields of a form."""

    @property
    def key(self) -> str:
        """Return the bucket and the object's key in it."""
        return self.path.strip("/")

    @property
    def file_bytes(self) -> int:
        """Return the size of the file in a form, which is the last of its parts."""
        _, boundary = self.headers.get("content-type", "").split("boundary=")
        begin = self.beginning.index(b"\r\n\r\n", self.beginning.index(b'filename="')) + 4
        return self.length - begin - len(f"\r\n--{boundary}--\r\n")


class _Connection(asyncio.BufferedProtocol):
    """A kept-alive connection: reads into one buffer, and keeps the heads and the beginnings of bodies alone."""

    def __init__(self, store: Store, buffer: bytearray) -> None:
        self._store = store
        self._buffer = buffer
        self._head = b""
        self._request: Request | None = None
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def get_buffer(self, _: int, /) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._request is None:
            self._read_head(bytes(memoryview(self._buffer)[:nbytes]))
        else:
            self._read_body(memoryview(self._buffer)[:nbytes])

    def _read_head(self, piece: bytes) -> None:
        head, is_whole, rest = (self._head + piece).partition(b"\r\n\r\n")
        if not is_whole:
            self._head = head
            return
        self._head = b""
        self._request = Request(head)
        self._left = self._request.length
        if self._request.headers.get("expect") == "100-continue":
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._read_body(memoryview(rest))

    def _read_body(self, piece: memoryview) -> None:
        assert self._request is not None  # noqa: S101 whose body it is
        missing = MAX_HEAD_BYTES - len(self._request.beginning)
        if self._request.method == "POST" and missing > 0:
            self._request.beginning += bytes(piece[:missing])
        self._left -= len(piece)
        if self._left <= 0:
            request, self._request = self._request, None
            self._write(self._store.answer(request).to_bytes(is_head=request.method == "HEAD"))

    def _write(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.WriteTransport)  # noqa: S101 what a server gets
        self._transport.write(data)


async def serve(store: Store, port: int) -> asyncio.Server:
    """Answer at the port from now on. Reading is never suspended, so that one buffer serves all connections."""
    buffer = bytearray(BUFFER_BYTES)
    return await asyncio.get_running_loop().create_server(lambda: _Connection(store, buffer), ADDRESS, port)


def service(port: int, *, key: str, samples: Sequence[Path], environment: Mapping[str, str]) -> Service:
    """Return the store as a service; `key` is access key and secret."""
    return Service(
        name="sink",
        command=[sys.executable, "-m", "capacity.sink", str(port), key, *map(str, samples)],
        environment=environment,
        is_ready=lambda: status(port, HEALTH) == 200,
    )


def reset(port: int) -> None:
    """Let it forget everything."""
    status(port, RESET)


async def _main(port: int, key: str, samples: Sequence[Path]) -> None:
    server = await serve(Store(samples, key=key, secret=key), port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2], [Path(path) for path in sys.argv[3:]]))
