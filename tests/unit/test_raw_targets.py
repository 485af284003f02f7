import pytest

from anb_web.raw_targets import RawTargets


def seen(**environ):
    """Return what the application behind it gets."""
    got: dict[str, str] = {}

    def start(*_):
        raise AssertionError("nothing is answered")

    RawTargets(lambda environ, _: got.update(environ) or [])({"PATH_INFO": "/", "QUERY_STRING": "", **environ}, start)
    return got["PATH_INFO"], got["QUERY_STRING"]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/api/public/rankings?city=Bogotá", "/api/public/rankings", "city=Bogot%C3%A1"),
        ("/api?city=Bogotá&q=a%20b+c%26?d", "/api", "city=Bogot%C3%A1&q=a%20b+c%26?d"),
        ("/años/%C3%A1", "/años/á", ""),
    ],
)
def test_a_target_is_read_as_if_it_had_been_encoded(target, path, query):
    raw = target.encode().decode("latin-1")

    assert seen(HTTP_X_RAW_TARGET=raw) == (path.encode().decode("latin-1"), query)


def test_what_is_no_utf_8_stays_what_it_is():
    assert seen(HTTP_X_RAW_TARGET="/api?city=\xff") == ("/api", "city=%FF")


def test_any_other_request_is_left_alone():
    assert seen(PATH_INFO="/api", QUERY_STRING="a=%C3%A1") == ("/api", "a=%C3%A1")
