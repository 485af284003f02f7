"""Requests byte by byte, as no client library sends them: through nginx and gunicorn, as everything."""

import json
from http.client import HTTPResponse
from itertools import islice
from random import Random
from socket import create_connection
from urllib.parse import urlsplit

import pytest
import requests

from scripts.fuzz import raw

REQUESTS = 1500


@pytest.fixture
def port(system):
    return urlsplit(system.url).port


@pytest.fixture
def ask(port):
    def send(target, *headers, method="GET"):
        head = [f"{method} {target} HTTP/1.1", "Host: x", *headers, "", ""]
        with create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall("\r\n".join(head).encode())
            response = HTTPResponse(connection)
            response.begin()
            return response.status, json.loads(response.read())

    return send


@pytest.mark.parametrize("city", ["Bogotá", "Bogot%C3%A1"])
def test_a_city_may_be_written_as_people_write_it(ask, city):
    assert ask(f"/api/public/rankings?city={city}") == (200, [])


def test_a_city_that_is_not_utf_8_is_answered_alike_encoded_or_not(port, system):
    encoded = requests.get(f"{system.url}/api/public/rankings?city=%FF", timeout=10)
    answer = raw.exchange(port, b"GET /api/public/rankings?city=\xff HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer is not None
    assert answer.endswith(encoded.content)


@pytest.mark.parametrize("path", ["//api//videos", "//api/videos", "/api//videos", "/api/videos//", "/api///"])
def test_repeated_slashes_are_answered_in_the_shape_of_errors(ask, path):
    assert ask(path, "Accept: text/html") == (
        404,
        {"error": "not_found", "message": "No encontrado.", "detail": "No encontrado."},
    )


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nowhere"])
def test_nothing_below_api_is_a_page_even_for_a_browser(ask, path):
    assert ask(path, "Accept: text/html")[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        ("X-Forwarded-Ssl: on",),
        ("X-Forwarded-Protocol: ssl",),
        ("X-Forwarded-Proto: foo",),
        ("X-Forwarded-Ssl: on", "X-Forwarded-Protocol: http", "X-Forwarded-Proto: https"),
        ("SCRIPT_NAME: /x",),
        ("X-Script-Name: /x",),
        ("Content-Type: a/b", "Content-Type: c/d"),
        ("Expect: 200-ok",),
    ],
)
def test_headers_that_gunicorn_would_stumble_over_change_nothing(ask, headers):
    assert ask("/api/public/rankings?limit=1", *headers) == (200, [])


@pytest.mark.parametrize("value", ["a\x01b", "a\x7fb"])
def test_what_gunicorn_itself_refuses_has_the_shape_of_errors(ask, value):
    text = "La petición no es válida."

    assert ask("/api/public/rankings", f"X-Odd: {value}") == (
        400,
        {"error": "invalid", "message": text, "detail": text},
    )


def test_the_rest_of_a_refused_body_can_be_wrong_too(port):
    request = b"POST /api/videos/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"

    answer = raw.exchange(port, request)

    assert answer is not None
    assert raw.problem_with(request, answer) is None


def test_broken_requests_are_answered_properly_and_do_no_harm(system, port):
    before = system.pid("web"), system.pid("nginx")

    sent = raw.requests(Random(12))  # noqa: S311 the same requests each time
    found = list(raw.findings(port, islice(sent, REQUESTS)))

    assert not found, "\n".join(map(str, found))
    assert (system.pid("web"), system.pid("nginx")) == before
    assert requests.get(f"{system.url}/readyz", timeout=10).status_code == 200
