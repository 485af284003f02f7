"""S3 as one region has it, in front of the emulator: a bucket at a host of its own, over TLS, by AWS's real names.

It is the proxy of whoever asks, so nothing has to be told another address. The global host sends everybody on, as it
does with a new bucket of another region (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html), and
there is no other host. Signatures are the emulator's matter, which learns what host was asked: what was signed for
one is worth nothing at another.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import trustme

ADDRESS = "127.0.0.1"
_CHUNK_BYTES = 64 * 1024
_ERROR = """\
<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>TemporaryRedirect</Code><Message>Please re-send this request to the specified temporary endpoint. \
Continue to use the original request endpoint for future requests.</Message><Endpoint>{host}</Endpoint></Error>"""
_ANSWER = """\
HTTP/1.1 307 Temporary Redirect\r\nLocation: https://{host}{path}\r\nContent-Type: application/xml\r\n\
Content-Length: {length}\r\nConnection: close\r\n\r\n"""


class RegionalStore:
    """S3 of a region, for one bucket; `hosts` are those that somebody connected to."""

    def __init__(self, *, region: str, bucket: str, emulator: str, folder: Path) -> None:
        """`emulator` is where S3 really answers; whose certificates are to be trusted goes to the folder."""
        self.region, self.bucket = region, bucket
        self.host, self.global_host = f"{bucket}.s3.{region}.amazonaws.com", f"{bucket}.s3.amazonaws.com"
        self.hosts: set[str] = set()
        self.authority = folder / "authority.pem"
        self.url = ""
        self._emulator = emulator
        self._connections: set[asyncio.Task[Any]] = set()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.authority))
        authority.issue_cert(self.host, self.global_host).configure_cert(self._tls)

    @property
    def environment(self) -> dict[str, str]:
        """What makes botocore ask here."""
        return {
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "HTTPS_PROXY": self.url,
            "AWS_CA_BUNDLE": str(self.authority),
        }

    def create_bucket(self) -> None:
        """Make the bucket, in its region."""
        session = boto3.session.Session("test", "test", region_name=self.region)
        session.client("s3", endpoint_url=self._emulator).create_bucket(
            Bucket=self.bucket,
            CreateBucketConfiguration={"LocationConstraint": self.region},  # type: ignore[typeddict-item] # any region
        )

    async def serve(self, started: threading.Event, stopped: asyncio.Event) -> None:
        """Answer until `stopped`; connections that are open then are cut."""
        server = await asyncio.start_server(self._connected, ADDRESS, 0)
        self.url = f"http://{ADDRESS}:{server.sockets[0].getsockname()[1]}"
        started.set()
        await stopped.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            await self._answer(reader, writer)
            await _closed(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever asked is gone, or the store ends
        finally:
            with suppress(AttributeError):  # raised where TLS has ended already, by Python 3.11.2
                writer.transport.abort()
            await _closed(writer)
            self._connections.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = (await _request(reader)).partition(":")[0]
        self.hosts.add(host)
        if host not in {self.host, self.global_host}:
            writer.write(b"HTTP/1.1 502 No such host\r\nConnection: close\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await writer.start_tls(self._tls)
        await (self._pass_on if host == self.host else self._send_elsewhere)(reader, writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = urlsplit(self._emulator)
        answers, requests = await asyncio.open_connection(address.hostname, address.port)
        pumps = [asyncio.ensure_future(_pump(reader, requests)), asyncio.ensure_future(_pump(answers, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            await _closed(requests)

    async def _send_elsewhere(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path, body = await _request(reader), _ERROR.format(host=self.host)
        writer.write((_ANSWER.format(host=self.host, path=path, length=len(body)) + body).encode())
        await writer.drain()
        await reader.read()  # what was on its way: closed earlier, the answer could get lost


async def _request(reader: asyncio.StreamReader) -> str:
    """Read a request's headers and return what it is for."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split(b" ", 2)[1].decode()


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close the connection and wait for that: a socket that a loop leaves behind open fails the test."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()


@contextmanager
def running_store(*, region: str, bucket: str, emulator: str, folder: Path) -> Iterator[RegionalStore]:
    """The store, with its bucket, until the block ends."""
    store = RegionalStore(region=region, bucket=bucket, emulator=emulator, folder=folder)
    store.create_bucket()
    started, stopped = threading.Event(), asyncio.Event()
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = threading.Thread(target=runner.run, args=(store.serve(started, stopped),))
        thread.start()
        started.wait(10)
        try:
            yield store
        finally:
            loop.call_soon_threadsafe(stopped.set)
            thread.join()
