"""Bodies that come slowly, too large, or from nobody we know: through nginx and gunicorn, as everywhere."""

import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from anb_web.bodies import MIN_BYTES_PER_SECOND, WINDOW_SECONDS
from demo.samples import make_sample
from tests.waiting import until

MEBIBYTE = 1024 * 1024
BOUNDARY = "frontera"
END = f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: HTTPMessage
    json: dict[str, Any]


class Connection:
    """A client that decides itself when it sends what."""

    def __init__(self, system):
        address = urlsplit(system.url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def head(self, path, *headers, method="POST"):
        self.socket.sendall("\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode())

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        response = HTTPResponse(self.socket)
        response.begin()
        return Answer(response.status, response.headers, json.loads(response.read()))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A small one that is accepted: a picture a second."""
    return make_sample(tmp_path_factory.mktemp("video") / "small.mp4", seconds=20, fps=1).read_bytes()


@pytest.fixture
def connect(system):
    return lambda: Connection(system)


def form(video):
    """Return a body with everything but its end, which `END` is."""
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="title"\r\n\r\nMi mejor tiro\r\n--{BOUNDARY}\r\n'
        'Content-Disposition: form-data; name="video_file"; filename="video.mp4"\r\n'
        "Content-Type: video/mp4\r\n\r\n"
    ).encode() + video


def begin_upload(connection, player, *, length):
    connection.head(
        "/api/videos/upload",
        f"Authorization: {player.headers['Authorization']}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {length}",
    )


def upload_slowly(connection, player, video, *, bytes_per_second, seconds):
    """Send the end of the video at that speed for so long, and what is before it at once."""
    body = form(video) + END
    begin_upload(connection, player, length=len(body))
    at_once, step = len(body) - seconds * bytes_per_second, bytes_per_second // 10
    connection.send(body[:at_once])
    begun = time.monotonic()
    for number, start in enumerate(range(at_once, len(body), step)):
        connection.send(body[start : start + step])
        time.sleep(max(0.0, begun + (number + 1) / 10 - time.monotonic()))  # the client's speed
    return connection.answer()


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def bytes_in_temporary_files(system):
    """Return what nginx and the web processes hold in files that have no name any more."""
    held = 0
    for pid in (*children(system.pid("web")), *children(system.pid("nginx"))):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if re.match(r"/.* \(deleted\)", str(file.readlink())):
                    held += file.stat().st_blocks * 512
    return held


class TestWithoutToken:
    """An upload is answered 401 while its body is still on the way."""

    @pytest.fixture(params=["length", "chunks", "expectation"])
    def begun(self, request, connect):
        framing = {
            "length": ("Content-Length: 100000000",),
            "chunks": ("Transfer-Encoding: chunked",),
            "expectation": ("Content-Length: 100000000", "Expect: 100-continue"),
        }
        with connect() as connection:
            connection.head("/api/videos/upload", *framing[request.param])
            if request.param != "expectation":
                connection.send(b"4000\r\n" + bytes(0x4000))
            yield connection

    def test_it_is_answered_at_once(self, begun):
        begun.socket.settimeout(3)

        answer = begun.answer()

        text = "Falta el token de acceso."
        assert answer.status == 401
        assert answer.json == {"error": "unauthenticated", "message": text, "detail": text}
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["X-Request-Id"]

    def test_who_is_quick_reads_why(self, system):
        for _ in range(10):
            answer = requests.post(f"{system.url}/api/videos/upload", data=bytes(20 * MEBIBYTE), timeout=10)

            assert answer.status_code == 401

    def test_a_token_that_is_not_valid_is_told_so(self, connect):
        with connect() as connection:
            connection.head("/api/videos/upload/", "Authorization: Bearer x", "Content-Length: 100000000")

            assert connection.answer().json["message"] == "El token de acceso no es válido."

    def test_the_connection_can_be_used_again_when_the_body_has_come(self, connect):
        with connect() as connection:
            connection.head("/api/videos/upload", "Content-Length: 100000")
            assert connection.answer().status == 401
            connection.send(bytes(100_000))
            connection.head("/api/health", method="GET")

            assert connection.answer().status == 200

    @pytest.mark.parametrize(
        "path", ["/api/.nginx/token", "//api/.nginx/token", "/api/%2enginx/token", "/api/x/../.nginx/token"]
    )
    def test_nobody_else_can_ask_what_nginx_asks(self, connect, path):
        with connect() as connection:
            connection.head(path, method="GET")

            assert connection.answer().status == 404


class TestSize:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/api/auth/login"),
            ("POST", "/api/videos/uploads"),
            ("PUT", "/api/videos/upload"),
            ("POST", "/api/videos/upload/x"),
            ("POST", "/ranking"),
            ("POST", "/nowhere"),
        ],
    )
    @pytest.mark.parametrize("framing", ["Content-Length: 65537", "Transfer-Encoding: chunked"])
    def test_only_uploads_are_larger_than_64_kib(self, connect, make_player, method, path, framing):
        with connect() as connection:
            connection.head(path, framing, "Authorization: " + make_player().headers["Authorization"], method=method)
            connection.send(b"10001\r\n" + bytes(65537))

            answer = connection.answer()

        assert answer.status == 400
        assert answer.json["error"] == "invalid"
        assert "tamaño máximo" in answer.json["message"]

    def test_an_upload_may_come_in_chunks(self, connect, make_player, video):
        body = form(video) + END
        with connect() as connection:
            connection.head(
                "/api/videos/upload",
                f"Authorization: {make_player().headers['Authorization']}",
                f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
                "Transfer-Encoding: chunked",
            )
            for start in range(0, len(body), 100_000):
                piece = body[start : start + 100_000]
                connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            connection.send(b"0\r\n\r\n")

            assert connection.answer().status == 201

    def test_an_upload_that_breaks_off_is_none(self, system, connect, make_player, video):
        player, body = make_player(), form(video)
        for framing in (f"Content-Length: {len(body) + len(END)}", "Transfer-Encoding: chunked"):
            with connect() as connection:
                connection.head(
                    "/api/videos/upload",
                    f"Authorization: {player.headers['Authorization']}",
                    f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
                    framing,
                )
                connection.send(f"{len(body):x}\r\n".encode() + body if "chunked" in framing else body)

        until(lambda: bytes_in_temporary_files(system) == 0)
        assert player.send("GET", "/api/videos").json() == []


@contextmanager
def dripping(connections):
    """Send a byte a second over each, until it fails or the block ends."""
    stop = threading.Event()

    def drip():
        while not stop.wait(1):
            for connection in connections:
                with suppress(OSError):
                    connection.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class TestSlow:
    def test_who_is_slower_than_any_phone_is_sent_away_and_a_phone_is_not(self, system, connect, make_player, video):
        player, phone = make_player(), make_player()
        with ThreadPoolExecutor() as threads, connect() as honest:
            one_megabit = {"bytes_per_second": 125_000, "seconds": WINDOW_SECONDS + 10}
            uploading = threads.submit(upload_slowly, honest, phone, video, **one_megabit)
            attackers = [connect() for _ in range(10)]
            for attacker in attackers:
                begin_upload(attacker, player, length=100 * MEBIBYTE)
                attacker.send(form(bytes(10 * MEBIBYTE)))
            until(lambda: bytes_in_temporary_files(system) > 90 * MEBIBYTE)
            begun = time.monotonic()
            with dripping(attackers):
                answers = [attacker.answer() for attacker in attackers]
            ended_after_seconds = time.monotonic() - begun

            assert {answer.status for answer in answers} == {503}
            assert {answer.json["error"] for answer in answers} == {"unavailable"}
            assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
            assert ended_after_seconds < WINDOW_SECONDS + 5
            until(lambda: bytes_in_temporary_files(system) < 20 * MEBIBYTE, seconds=5)
            assert uploading.result().status == 201
        for attacker in attackers:
            attacker.socket.close()

    def test_a_class_behind_one_address_uploads_at_once(self, connect, make_player, video):
        players = [make_player() for _ in range(3)] * 10

        def upload(player):
            with connect() as connection:
                return upload_slowly(
                    connection, player, video, bytes_per_second=2 * MIN_BYTES_PER_SECOND, seconds=5
                ).status

        with ThreadPoolExecutor(max_workers=len(players)) as threads:
            assert set(threads.map(upload, players)) == {201}
