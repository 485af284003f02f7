"""The least that the same answers cost: what api_cost.py divides the API's cost by.

`constant` is a bare Flask handler that returns a constant body. `handler` is a WSGI application without a
framework that verifies the same token, runs the same SQL on pooled PyMySQL connections that wait no longer, signs
the same links and sends the same headers; nobody counts its votes. The file is also gunicorn's configuration for
them: the API's own, without the periodic tasks.
"""

import hashlib
import json
import os
import queue
import re
import uuid
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import jwt
import pymysql
from flask import Flask, Response
from sqlalchemy.engine import make_url

from anb import aws
from anb.addresses import keyed_hash
from anb.storage import S3Storage, processed_key, source_key
from anb_web import middleware
from anb_web.gunicorn_conf import (
    bind,
    control_socket_disable,
    forwarder_headers,
    graceful_timeout,
    keepalive,
    limit_request_field_size,
    limit_request_fields,
    limit_request_line,
    logger_class,
    loglevel,
    secure_scheme_headers,
    threads,
    timeout,
    worker_class,
    workers,
)

__all__ = [
    "bind",
    "control_socket_disable",
    "forwarder_headers",
    "graceful_timeout",
    "keepalive",
    "limit_request_field_size",
    "limit_request_fields",
    "limit_request_line",
    "logger_class",
    "loglevel",
    "secure_scheme_headers",
    "threads",
    "timeout",
    "worker_class",
    "workers",
]

StartResponse = Callable[[str, list[tuple[str, str]]], object]
_RECENT_VOTES = (
    "SELECT (SELECT count(*) FROM (SELECT 1 FROM votes WHERE user_id = %s"
    " AND created_at > UTC_TIMESTAMP(6) - INTERVAL 1 MINUTE LIMIT 60) AS one) AS of_account,"
    " (SELECT count(*) FROM (SELECT 1 FROM vote_origins WHERE address = %s"
    " AND at > UTC_TIMESTAMP(6) - INTERVAL 1 MINUTE LIMIT 300) AS other) AS of_address"
)
_PATH = re.compile(r"/api/(videos|public/videos)/([0-9a-f-]{36})(/vote)?")


def constant() -> Flask:
    """Return an application that answers everything with the file that BENCH_BODY names."""
    with open(os.environ["BENCH_BODY"], "rb") as file:  # noqa: PTH123 one call, at start
        body = file.read()
    app = Flask(__name__)

    @app.get("/<path:_path>")
    def answer(_path: str) -> Response:
        return Response(body, mimetype="application/json")

    return app


class Handler:
    """Details of videos and votes, with nothing between the socket and the SQL."""

    def __init__(self) -> None:
        self._secret, self._address_key = os.environ["ANB_JWT_SECRET"], os.environ["ANB_ADDRESS_SECRET"]
        self._key_id = hashlib.sha256(f"key id of {self._secret}".encode()).hexdigest()[:8]
        self._link = S3Storage(aws.s3_client(), os.environ["ANB_MEDIA_BUCKET"], aws.credentials()).link
        self._pool: queue.LifoQueue[Any] = queue.LifoQueue()
        url = make_url(os.environ["ANB_DATABASE_URL"])
        for _ in range(5):
            self._pool.put(
                pymysql.connect(
                    host=url.host or "",
                    port=url.port or 3306,
                    user=url.username or "",
                    password=url.password or "",
                    database=url.database or "",
                    charset="utf8mb4",
                    read_timeout=10,
                    write_timeout=10,
                    init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
                )
            )

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        found = _PATH.fullmatch(environ["PATH_INFO"])
        user_id = self._user_id(environ) if found else None
        if found is None or user_id is None:
            start_response("404 Not Found", [("Content-Length", "0")])
            return [b""]
        video_id = UUID(found[2])
        answer = self._vote(video_id, user_id, environ) if found[3] else self._detail(video_id, user_id)
        body = json.dumps(answer).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            middleware.HEADER: str(uuid.uuid4()),
            **middleware.DEFAULT_HEADERS,
        }
        start_response("200 OK", list(headers.items()))
        return [body]

    def _user_id(self, environ: dict[str, Any]) -> int | None:
        token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        if jwt.get_unverified_header(token).get("kid") != self._key_id:
            return None
        claims = jwt.decode(
            token,
            self._secret,
            algorithms=["HS256"],
            issuer="anb-rising-stars",
            audience="anb-rising-stars",
            leeway=10,
        )
        return int(claims["sub"])

    @contextmanager
    def _cursor(self) -> Any:
        connection = self._pool.get()
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()
        self._pool.put(connection)

    def _detail(self, video_id: UUID, user_id: int) -> dict[str, Any]:
        with self._cursor() as cursor:
            cursor.execute(
                "SELECT user_id, title, status, source, error, uploaded_at, processed_at, attempt,"
                " votes + CAST((SELECT COALESCE(SUM(votes), 0) FROM uncounted_votes WHERE video_id = videos.id)"
                " AS SIGNED) AS votes"
                " FROM videos WHERE id = %s",
                (video_id.hex,),
            )
            row = cursor.fetchone()
        owner_id, title, status, source, _, uploaded_at, processed_at, attempt, votes = row
        if owner_id != user_id:
            return {"error": "forbidden"}
        return {
            "video_id": str(video_id),
            "title": title,
            "status": status,
            "uploaded_at": uploaded_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "processed_at": processed_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "processed_url": self._link(processed_key(video_id, attempt)),
            "original_url": self._link(source_key(video_id, source)),
            "votes": votes,
        }

    def _vote(self, video_id: UUID, user_id: int, environ: dict[str, Any]) -> dict[str, Any]:
        address = keyed_hash(environ["HTTP_X_FORWARDED_FOR"], key=self._address_key)
        with self._cursor() as cursor:
            cursor.execute("SELECT votes_are_held FROM users WHERE id = %s FOR UPDATE", (user_id,))
            cursor.fetchone()
            cursor.execute("SELECT status FROM videos WHERE id = %s LOCK IN SHARE MODE", (video_id.hex,))
            cursor.fetchone()
            cursor.execute(_RECENT_VOTES, (user_id, address))
            cursor.fetchone()
            cursor.execute("INSERT INTO votes (video_id, user_id) VALUES (%s, %s)", (video_id.hex, user_id))
            cursor.execute(
                "INSERT INTO vote_origins (video_id, user_id, address) VALUES (%s, %s, %s)",
                (video_id.hex, user_id, address),
            )
            cursor.execute("INSERT INTO uncounted_votes (video_id) VALUES (%s)", (video_id.hex,))
        return {"message": "Voto registrado exitosamente."}


def handler() -> Handler:
    """Return the application without a framework."""
    return Handler()
