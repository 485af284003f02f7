import io

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from anb_web.middleware import DEFAULT_HEADERS, IdsAndHeaders


def client(*, status: int = 200, headers: dict[str, str] | None = None, read_bytes: int = 0) -> Client:
    """Return a client of an application that reads so much of a body and answers so."""

    @Request.application
    def app(request: Request) -> Response:
        request.environ["wsgi.input"].read(read_bytes)
        return Response("x", status=status, headers=headers)

    return Client(IdsAndHeaders(app))


def test_each_response_has_an_id_of_its_own():
    first, second = (client().get("/").headers["X-Request-Id"] for _ in range(2))

    assert first != second


def test_a_response_has_each_default_header_once():
    headers = client().get("/").headers

    assert {name: headers.getlist(name) for name in DEFAULT_HEADERS} == {
        name: [value] for name, value in DEFAULT_HEADERS.items()
    }


def test_what_a_view_states_stays_however_it_writes_the_name():
    headers = client(headers={"cache-CONTROL": "public, max-age=1"}).get("/").headers

    assert headers.getlist("Cache-Control") == ["public, max-age=1"]


@pytest.mark.parametrize(("scheme", "stated"), [("https", ["max-age=31536000"]), ("http", [])])
def test_only_who_came_over_tls_is_told_to_come_over_tls(scheme, stated):
    response = client().get("/", base_url=f"{scheme}://anb.example")

    assert response.headers.getlist("Strict-Transport-Security") == stated


@pytest.mark.parametrize("declared", [{"CONTENT_LENGTH": "200000"}, {"HTTP_TRANSFER_ENCODING": "chunked"}])
@pytest.mark.parametrize(("status", "left_bytes"), [(201, 0), (401, 0), (500, 0), (503, 199_000)])
def test_what_is_left_of_a_body_is_read_but_by_who_is_overloaded(declared, status, left_bytes):
    body = io.BytesIO(b"x" * 200_000)

    client(status=status, read_bytes=1000).post("/", environ_overrides={"wsgi.input": body, **declared})

    assert len(body.read()) == left_bytes


def test_who_stops_sending_gets_no_other_answer_for_it():
    class Gone(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            if size == 0:
                return b""
            raise ConnectionResetError

    response = client(status=401).post("/", environ_overrides={"wsgi.input": Gone(), "CONTENT_LENGTH": "5"})

    assert response.status_code == 401
