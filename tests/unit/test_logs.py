import io
import json
import logging

import pymysql
import pytest
from botocore.exceptions import ClientError
from gunicorn.config import Config
from sqlalchemy.exc import IntegrityError

from anb import logs
from anb.errors import Invalid
from anb_web import gunicorn_conf

CANARY = "ana.gil@example.com"


@pytest.fixture
def logged():
    """Return the lines that a logger of ours has written."""
    stream = io.StringIO()
    logger = logging.Logger("test")  # noqa: LOG001 one that nobody else has
    logger.addHandler(logs.handler(service="web", stream=stream))

    def lines(*arguments, **options):
        logger.warning(*arguments, **options)
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return lines


def duplicate():
    driver = pymysql.IntegrityError(1062, f"Duplicate entry '{CANARY}' for key 'uq_users_email'")
    return IntegrityError("INSERT INTO users (email) VALUES (%(email)s)", {"email": CANARY}, driver)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (duplicate(), "IntegrityError: 1062"),
        (pymysql.DataError(1406, f"Data too long: {CANARY}"), "DataError"),
        (
            ClientError({"Error": {"Code": "NoSuchKey", "Message": CANARY}}, "GetObject"),
            "ClientError: NoSuchKey to GetObject",
        ),
        (OSError(28, "No space left on device", CANARY), "OSError: No space left on device"),
        (KeyError(CANARY), "KeyError"),
        (Invalid("El video está dañado."), "Invalid: El video está dañado."),
    ],
)
def test_of_an_error_a_line_tells_the_kind_and_the_code(logged, error, told):
    [line] = logged("failed", extra={"error": error})

    assert line["error"] == told


def test_a_traceback_says_where_and_not_what(logged):
    try:
        try:
            raise ValueError(CANARY)  # noqa: TRY301 it is what the test is about
        except ValueError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError as error:
        [line] = logged("failed", exc_info=error)

    trace = line["exc_info"]
    assert CANARY not in json.dumps(line)
    assert "test_logs.py" in trace
    assert trace.index("ValueError") < trace.index("RuntimeError")


@pytest.mark.parametrize(
    ("arguments", "event"),
    [
        (("Error handling request %s %s", "GET", f"/?city={CANARY}"), "Error handling request"),
        ((f"Invalid request from ip=1.2.3.4: {CANARY}",), "Invalid request"),
        (("WORKER TIMEOUT (pid:%s)", 7), "WORKER TIMEOUT (pid:7)"),
    ],
)
def test_gunicorn_quotes_no_request(monkeypatch, arguments, event):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logger = gunicorn_conf.logger_class(Config())

    logger.warning(*arguments)

    assert json.loads(stream.getvalue())["event"] == event
