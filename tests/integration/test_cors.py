"""Pages of other sites in a browser: shut out, unless their origin is configured."""

import os

import pytest

from anb.errors import Overloaded
from anb.models import Status
from anb_web import create_app
from anb_web.dependencies import Dependencies
from anb_web.settings import WebSettings
from tests.integration.conftest import DescribedClient

OURS, SECOND, FOREIGN = "https://app.example.org", "http://localhost:5173", "https://evil.example.org"
METHODS = {"GET", "HEAD", "POST", "DELETE"}


@pytest.fixture
def make_client(engine, storage, jobs):
    def make(cors_origins):
        settings = WebSettings(
            database_url="unused",
            media_bucket="unused",
            queue_url="unused",
            jwt_secret=os.urandom(32).hex(),
            address_secret=os.urandom(32).hex(),
            cors_origins=cors_origins,
        )
        app = create_app(
            settings, dependencies=Dependencies(engine=engine, storage=storage, jobs=jobs, address_key="a")
        )
        app.testing = False
        app.test_client_class = DescribedClient
        return app.test_client()

    return make


@pytest.fixture
def open_client(make_client):
    return make_client(f"{OURS}, {SECOND}")


def allowed(response):
    return response.headers.getlist("Access-Control-Allow-Origin")


def words(response, header):
    return {word.strip() for word in response.headers[header].split(",")}


def preflight(client, path, *, method, origin, headers="authorization,content-type,idempotency-key"):
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return client.options(path, headers=asked)


@pytest.mark.parametrize("path", ["/api/public/videos", "/api/videos", "/api/nowhere"])
def test_without_a_setting_nobody_is_let_in(make_client, path):
    client = make_client("")

    for response in (
        client.get(path, headers={"Origin": OURS}),
        preflight(client, path, method="GET", origin=OURS),
    ):
        assert not [name for name in response.headers.keys() if name.startswith("Access-Control-")]  # noqa: SIM118 Headers iterate over pairs
        assert "Origin" not in response.vary


@pytest.mark.parametrize("origin", [OURS, SECOND])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/public/videos", 200),
        ("GET", "/api/public/videos/", 200),
        ("GET", "/api/public/rankings?page=0", 400),
        ("GET", "/api/videos", 401),
        ("GET", "/api/nowhere", 404),
        ("PUT", "/api/videos", 405),
        ("POST", "/api/auth/login", 400),
    ],
)
def test_every_answer_can_be_read_by_a_configured_origin(open_client, origin, method, path, status):
    response = open_client.open(path, method=method, headers={"Origin": origin})

    assert response.status_code == status
    assert allowed(response) == [origin]
    assert words(response, "Access-Control-Expose-Headers") == {"Link", "Location", "Retry-After", "X-Request-Id"}
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Origin" in response.vary


def test_so_can_a_failure_of_ours(open_client, monkeypatch):
    def away(*_, **__):
        raise OSError("the database is away")

    monkeypatch.setattr("anb.voting.ranking", away)

    response = open_client.get("/api/public/rankings", headers={"Origin": OURS})

    assert response.status_code == 500
    assert allowed(response) == [OURS]


def test_so_can_a_refusal_for_want_of_room(open_client, monkeypatch):
    def full(_):
        raise Overloaded

    monkeypatch.setattr("anb.bulkhead.Bulkhead.enter", full)

    response = open_client.post("/api/auth/login", json={}, headers={"Origin": OURS})

    assert response.status_code == 503
    assert allowed(response) == [OURS]
    assert "Retry-After" in words(response, "Access-Control-Expose-Headers")


@pytest.mark.parametrize(
    "origin", [FOREIGN, "null", f"{OURS}.evil.org", "https://app-example.org", "http://app.example.org"]
)
def test_no_other_origin_can(open_client, origin):
    response = open_client.get("/api/public/videos", headers={"Origin": origin})

    assert response.status_code == 200
    assert allowed(response) == []
    assert "Origin" in response.vary


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/videos"),
        ("POST", "/api/videos/upload"),
        ("DELETE", "/api/videos/1"),
        ("POST", "/api/auth/login/"),
    ],
)
def test_a_preflight_is_answered_without_a_token(open_client, method, path):
    response = preflight(open_client, path, method=method, origin=OURS)

    assert response.status_code == 200
    assert allowed(response) == [OURS]
    assert words(response, "Access-Control-Allow-Methods") == METHODS
    assert words(response, "Access-Control-Allow-Headers") == {"authorization", "content-type", "idempotency-key"}
    assert response.headers["Access-Control-Max-Age"] == "3600"
    assert allowed(preflight(open_client, path, method=method, origin=FOREIGN)) == []


def test_an_answer_that_is_remembered_goes_to_each_origin_in_its_name(open_client, make_video):
    make_video(status=Status.PROCESSED)

    answers = [
        open_client.get("/api/public/videos", headers={"Origin": origin} if origin else {})
        for origin in (OURS, SECOND, FOREIGN, None, OURS)
    ]

    assert [allowed(answer) for answer in answers] == [[OURS], [SECOND], [], [], [OURS]]
    assert all("Origin" in answer.vary for answer in answers)
    assert len({answer.data for answer in answers}) == 1


def test_the_pages_of_the_site_are_nobody_elses(open_client):
    assert allowed(open_client.get("/", headers={"Origin": OURS})) == []
