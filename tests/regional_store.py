"""S3 as one region has it, in front of the emulator: a bucket at a host of its own, over TLS, by AWS's real names.

It is the proxy of whoever asks, so nothing has to be told another address. The global host sends everybody on, as it
does with a new bucket of another region (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html), and
there is no other host. Signatures are the emulator's matter, which learns what host was asked: what was signed for
one is worth nothing at another.
"""

import select
import socket
import socketserver
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

    def answer(self, connection: socket.socket) -> None:
        """Serve what asks to be connected to a host, until either side has enough."""
        host = _request(connection).partition(":")[0]
        self.hosts.add(host)
        if host not in {self.host, self.global_host}:
            connection.sendall(b"HTTP/1.1 502 No such host\r\nConnection: close\r\n\r\n")
            return
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        # Not closed with it: whoever cuts the connection from outside holds the socket below
        client = self._tls.wrap_socket(connection.dup(), server_side=True)
        with client:
            (self._pass_on if host == self.host else self._send_elsewhere)(client)

    def _pass_on(self, client: ssl.SSLSocket) -> None:
        address = urlsplit(self._emulator)
        with socket.create_connection((address.hostname or "", address.port or 80)) as emulator:
            while ready := select.select([client, emulator], [], [])[0]:
                for source in ready:
                    chunk = source.recv(_CHUNK_BYTES)
                    while source is client and client.pending():  # decrypted already, which no select tells
                        chunk += client.recv(_CHUNK_BYTES)
                    if not chunk:
                        return
                    (emulator if source is client else client).sendall(chunk)

    def _send_elsewhere(self, client: ssl.SSLSocket) -> None:
        path, body = _request(client), _ERROR.format(host=self.host)
        client.sendall((_ANSWER.format(host=self.host, path=path, length=len(body)) + body).encode())
        while client.recv(_CHUNK_BYTES):  # what was on its way: closed earlier, the answer could get lost
            pass


def _request(connection: socket.socket) -> str:
    """Read a request's headers and return what it is for."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("closed before a request was whole")
        head += byte
    return head.split(b" ", 2)[1].decode()


class _Server(socketserver.ThreadingTCPServer):
    """A thread for each connection; `server_close` cuts those that are open and waits for their threads."""

    def __init__(self, store: RegionalStore) -> None:
        self._store, self._open = store, set[socket.socket]()
        super().__init__((ADDRESS, 0), socketserver.BaseRequestHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        del client_address
        try:
            with suppress(OSError):  # whoever asked is gone, or the store ends
                self._store.answer(request)
        finally:
            self._open.discard(request)

    def server_close(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):  # gone by itself
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


@contextmanager
def running_store(*, region: str, bucket: str, emulator: str, folder: Path) -> Iterator[RegionalStore]:
    """The store, with its bucket, until the block ends."""
    store = RegionalStore(region=region, bucket=bucket, emulator=emulator, folder=folder)
    store.create_bucket()
    with _Server(store) as server:
        store.url = f"http://{ADDRESS}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()
