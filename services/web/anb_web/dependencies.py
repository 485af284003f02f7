"""What views work with, made once per process."""

from dataclasses import dataclass, field
from typing import cast

from flask import Flask, current_app
from sqlalchemy import Engine

from anb import aws
from anb.abuse_limits import AbuseLimits
from anb.database import away, connect
from anb.jobs import Jobs, SqsJobs
from anb.storage import S3Storage, Storage
from anb.timings import Timings
from anb.upload_limits import UploadLimits
from anb_web.settings import WebSettings

# Connections per process: the largest fleet together stays under 90 % of what the smallest RDS class offers, which
# tests/unit/test_connections.py adds up
POOL_SIZE = 3

_MISSING = (
    ("database_url", "database", "Faltan las credenciales de la base de datos."),
    ("jwt_secret", "signing_key", "Falta la clave con la que se firman los tokens."),
    ("address_secret", "address_key", "Falta la clave con la que se cifran las direcciones."),
)
_EXTENSION = "anb"


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """Database, object store and queue, how much of them one player may take, and how long it waits for what.

    `address_key` is the key under which clients' addresses are hashed.
    """

    engine: Engine
    storage: Storage
    jobs: Jobs
    address_key: str = field(repr=False)
    upload_limits: UploadLimits = field(default_factory=UploadLimits)
    abuse_limits: AbuseLimits = field(default_factory=AbuseLimits)
    timings: Timings = Timings()
    missing: tuple[tuple[str, str], ...] = ()  # parts that the process had to start without, and why

    @classmethod
    def from_settings(cls, settings: WebSettings, timings: Timings = Timings()) -> "Dependencies":
        """Make them; nothing is contacted before it is needed.

        Without all of its secrets a process uses no database: it could sign nobody in.
        """
        return cls(
            engine=away()
            if settings.pending
            else connect(settings.database_url, pool_size=POOL_SIZE, idle_seconds=timings.database_idle_seconds),
            missing=tuple((part, text) for name, part, text in _MISSING if settings.is_pending(name)),
            storage=S3Storage(
                aws.serving_s3_client(),
                settings.media_bucket,
                aws.credentials(),
                published_url=settings.media_url,
            ),
            jobs=SqsJobs(aws.sending_sqs_client(), settings.queue_url),
            address_key=settings.address_secret,
            upload_limits=settings.upload_limits,
            abuse_limits=settings.abuse_limits,
            timings=timings,
        )

    def attach(self, app: Flask) -> None:
        """Let the app's views find them."""
        app.extensions[_EXTENSION] = self


def dependencies(app: Flask | None = None) -> Dependencies:
    """Return the dependencies of the given app, or of the one that serves the current request."""
    return cast("Dependencies", (app or current_app).extensions[_EXTENSION])
