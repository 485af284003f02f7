"""A web server that starts before its database serves: the real gunicorn, without the secrets that it is told of."""

import os
import subprocess
import sys
from contextlib import contextmanager

import jwt
import pytest
import requests

from anb_web import create_app
from anb_web.settings import WebSettings
from local import loopback
from local.state import State
from tests.waiting import until

KEY = "k" * 64
TOKEN = {"Authorization": f"Bearer {jwt.encode({'sub': '1'}, KEY)}"}


@contextmanager
def serving(environment, folder):
    port = State(folder).port("web")  # drawn: tests beside this one look for free ports, too
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "anb.environment", "--pending", "--"),
            *(sys.executable, "-m", "gunicorn", "--config", "python:anb_web.gunicorn_conf", "anb_web:create_app()"),
        ],
        env={**environment, "ANB_WEB_BIND": f"{loopback.ADDRESS}:{port}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: loopback.status(port, "/healthz") is not None or server.poll() is not None)
        yield f"http://{loopback.ADDRESS}:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def url(emulator, tmp_path_factory):
    """Where a server answers that has its key and no database."""
    authorities = tmp_path_factory.mktemp("pending") / "ca.pem"
    authorities.write_text("certificates")
    environment = {**os.environ, **emulator.environment}
    named = {
        "ANB_DATABASE_PARAMETER": "/anb/no-such-database",
        "ANB_DATABASE_CA": str(authorities),
        "ANB_JWT_SECRET": KEY,
        "ANB_ADDRESS_SECRET": KEY,
    }
    environment.pop("ANB_DATABASE_URL", None)
    with serving(environment | named, authorities.parent) as url:
        yield url


@pytest.mark.parametrize("path", ["/healthz", "/health", "/api/health"])
def test_its_health_is_that_of_the_process(url, path):
    answer = requests.get(url + path, timeout=10)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readiness_says_that_the_credentials_are_missing(url):
    answer = requests.get(f"{url}/readyz", timeout=10)

    assert answer.status_code == 503
    assert answer.json()["fields"] == {"database": "Faltan las credenciales de la base de datos."}
    assert "Retry-After" in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/public/rankings", None),
        ("POST", "/api/auth/login", {"email": "ana@example.com", "password": "StrongPass123"}),
    ],
)
def test_what_needs_the_database_is_asked_to_come_back(url, method, path, body):
    answer = requests.request(method, url + path, json=body, timeout=10)

    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_without_its_key_a_server_calls_no_token_invalid(aws):
    settings = WebSettings.from_environment(
        {
            "ANB_DATABASE_URL": "mysql+pymysql://anb:secret-word@localhost/anb",
            "ANB_MEDIA_BUCKET": aws.environment["ANB_MEDIA_BUCKET"],
            "ANB_QUEUE_URL": aws.environment["ANB_QUEUE_URL"],
            "ANB_ADDRESS_SECRET": KEY,
            "ANB_PENDING": "ANB_JWT_SECRET",
        }
    )
    client = create_app(settings).test_client()

    assert client.get("/healthz").status_code == 200
    assert client.get("/api/videos", headers=TOKEN).status_code == 503
    assert client.get("/api/videos").status_code == 401
