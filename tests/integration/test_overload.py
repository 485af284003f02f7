"""What floods one kind of request leaves the others their places: the real gunicorn, some of whose views are held."""

import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests

from anb import voting
from anb_web import bulkheads, create_app
from local import loopback
from local.state import State
from tests.waiting import until

LOGIN, COMPLETE = "POST /api/auth/login", f"POST /api/videos/uploads/{uuid4()}/complete"
UPLOAD, READY, READ = "POST /api/videos/upload", "GET /readyz", "GET /api/public/rankings"
PLACES_FOR_ACCOUNTS = 32


def app_that_holds():
    """Return the application, in which the views that TEST_HELD names do not end before a file is there."""
    app = create_app()

    def hold(**_):
        until(Path(os.environ["TEST_RELEASED"]).exists)
        return {"released": True}

    app.view_functions |= dict.fromkeys(os.environ["TEST_HELD"].split(), hold)
    return app


@pytest.fixture
def serve(engine, aws, tmp_path):
    """Return what serves as an instance does, but for the views that are held; and what releases these."""
    database_url = engine.url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        yield lambda *held: stack.enter_context(
            serving({**os.environ, **aws.environment, "ANB_DATABASE_URL": database_url}, held, tmp_path / "released")
        )


@contextmanager
def serving(environment, held, released):
    port = State(released.parent).port("web")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--config", "python:anb_web.gunicorn_conf"),
            *("--workers", "1"),  # of two, nobody knows which one takes how many connections
            "tests.integration.test_overload:app_that_holds()",
        ],
        env={
            **environment,
            "ANB_JWT_SECRET": os.urandom(32).hex(),
            "ANB_ADDRESS_SECRET": os.urandom(32).hex(),
            "ANB_WEB_BIND": f"{loopback.ADDRESS}:{port}",
            "TEST_HELD": " ".join(held),
            "TEST_RELEASED": str(released),
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: loopback.status(port, "/healthz") == 200 or server.poll() is not None)
        assert server.poll() is None
        yield f"http://{loopback.ADDRESS}:{port}", released.touch
    finally:
        released.touch()
        server.terminate()
        server.wait()


@contextmanager
def flood(url, count, *kinds):
    """Send so many requests of each kind, each from an address and on a connection of its own; yield these."""
    with ExitStack() as stack:
        connections = []
        for number, kind in enumerate(kinds * count):
            connections.append(stack.enter_context(connected(url)))
            connections[-1].sendall(
                f"{kind} HTTP/1.1\r\nHost: flood\r\nContent-Type: application/json\r\n"
                f"X-Forwarded-For: 10.0.{number // 250}.{number % 250}\r\n"
                "Content-Length: 2\r\n\r\n{}".encode()
            )
        yield connections


def connected(url):
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=10)


def answers(connections, *, count, seconds=30):
    """Return the first answers on the connections; fewer than `count` when no more come in time."""
    found: list[str] = []
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, connection.recv)
        while len(found) < count and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                selector.unregister(key.fileobj)
                found.append(key.data(10_000).decode())
    return found


def test_a_flood_of_logins_leaves_health_and_reads_their_places(serve):
    url, release = serve("auth.login")

    with flood(url, 150, LOGIN) as connections:
        refused = answers(connections, count=150 - PLACES_FOR_ACCOUNTS)
        health = [requests.get(f"{url}/healthz", timeout=5).status_code for _ in range(10)]
        reads = [requests.get(f"{url}/api/public/rankings", timeout=5).status_code for _ in range(10)]
        one_more = requests.post(f"{url}/api/auth/login", json={}, timeout=5).status_code
        release()
        answers(connections, count=PLACES_FOR_ACCOUNTS)

    assert len(refused) == 150 - PLACES_FOR_ACCOUNTS
    assert {answer.partition("\r\n")[0] for answer in refused} == {"HTTP/1.1 503 SERVICE UNAVAILABLE"}
    assert (health, reads, one_more) == ([200] * 10, [200] * 10, 503)
    # A place is free again when its answer has been sent, which its client may know first
    until(lambda: requests.post(f"{url}/api/auth/login", json={}, timeout=5).status_code == 200)


def test_health_answers_while_every_other_place_is_taken(serve):
    held = ("auth.login", "uploads.complete_direct_upload", "uploads.upload", "health.ready", "public.rankings")
    url, _ = serve(*held)

    with flood(url, 120, LOGIN, COMPLETE, UPLOAD, READY, READ) as connections:
        refused = answers(connections, count=600 - bulkheads.places())
        health = [requests.get(f"{url}/healthz", timeout=5).status_code for _ in range(10)]

    assert len(refused) >= 600 - bulkheads.places()
    assert health == [200] * 10


def test_who_finds_no_place_is_answered_in_the_shape_of_all_errors(serve):
    url, _ = serve("auth.login")

    with flood(url, PLACES_FOR_ACCOUNTS + 40, LOGIN) as connections:
        answers(connections, count=40)
        refused = requests.post(f"{url}/api/auth/login", json={}, headers={"X-Request-Id": "abcdefgh"}, timeout=5)

    assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["X-Request-Id"] == "abcdefgh"
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


def test_another_way_of_writing_the_address_finds_no_other_place(serve):
    url, _ = serve("auth.login")

    with flood(url, PLACES_FOR_ACCOUNTS + 40, LOGIN) as connections:
        answers(connections, count=40)
        with flood(url, 1, "POST /api/auth/log%69n") as encoded:
            assert answers(encoded, count=1)[0].startswith("HTTP/1.1 503 ")


def test_a_place_is_given_back_however_a_request_ends(app, client):
    @app.get("/breaks")
    def breaks():
        raise RuntimeError("a bug")

    for _ in range(70):
        client.get("/nowhere")
        client.get("/breaks")
        client.get("/api/public/rankings?limit=0")
        client.post("/api/auth/login", json={})

    assert client.get("/api/public/rankings").status_code == 200
    assert client.post("/api/auth/login", json={}).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/public/rankings?page=1000&page_size=100",
        "/api/public/rankings?from=5000&to=5010",
        "/api/public/videos?offset=9000",
        "/ranking?pagina=1000",
    ],
)
def test_deep_pages_take_no_place_of_those_who_look_at_the_top(app, path):
    rest = app.extensions["anb-bulkheads"]["rest"]
    with ExitStack() as held:
        for _ in range(16):  # as many as run at once: the next one would wait
            held.enter_context(rest)

        assert app.test_client().get(path).status_code == 200


@pytest.mark.parametrize("path", ["/api/public/rankings?page={}&page_size=100", "/ranking?pagina={}"])
def test_a_flood_of_deep_pages_leaves_places_to_those_who_look_at_the_top(app, monkeypatch, path):
    released, ended, genuine = threading.Event(), threading.Semaphore(0), voting.ranking

    def held_when_deep(connection, *, offset=0, **page):
        if offset:
            released.wait(30)
        return genuine(connection, offset=offset, **page)

    def ask(number):
        status = app.test_client().get(path.format(1000 + number)).status_code
        ended.release()
        return status

    monkeypatch.setattr(voting, "ranking", held_when_deep)
    with ThreadPoolExecutor(40) as threads:
        deep = [threads.submit(ask, number) for number in range(40)]
        for _ in range(36):
            assert ended.acquire(timeout=30)
        top = app.test_client().get("/api/public/rankings").status_code
        released.set()

    assert top == 200
    assert sorted(each.result() for each in deep) == [200] * 4 + [503] * 36
