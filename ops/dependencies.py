"""What the commands work with, each part made when the first one asks, so that none needs more than it uses."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from functools import cached_property
from typing import TYPE_CHECKING, Self

from sqlalchemy import Engine

from anb import aws
from anb.database import connect
from anb.jobs import Jobs, SqsJobs
from anb.settings import Settings
from anb.storage import S3Storage, Storage
from anb.timings import Timings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

POOL_SIZE = 1  # commands do one thing at a time
STATEMENT_SECONDS = 120  # counting a large table takes longer than any request may


SITE_URL = "ANB_SITE_URL"  # which `make run` tells its operators


class CommandFailed(Exception):
    """A command cannot do what it was asked to; the message says why, and what to do."""


class Dependencies:
    """Database, object store and queue, as the environment names them; closed at the end of the block.

    Settings are read when the first command asks, since help needs none; they raise SettingsError then.
    """

    def __init__(self, environment: Mapping[str, str], timings: Timings) -> None:
        self._environment, self.timings = environment, timings
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @cached_property
    def _settings(self) -> Settings:
        return Settings.from_environment(self._settings_environment())

    def _settings_environment(self) -> Mapping[str, str]:
        """Return the variables that name the parts; whoever sits elsewhere knows them from elsewhere."""
        return self._environment

    @cached_property
    def engine(self) -> Engine:
        """The database."""
        engine = connect(
            self._settings.database_url,
            pool_size=POOL_SIZE,
            timeout_seconds=STATEMENT_SECONDS,
            idle_seconds=self.timings.database_idle_seconds,
        )
        self._opened.callback(engine.dispose)
        return engine

    @cached_property
    def s3(self) -> "S3Client":
        """The object store's own client."""
        return self._opened.enter_context(closing(aws.s3_client()))

    @cached_property
    def storage(self) -> Storage:
        """The object store as the services see it."""
        return S3Storage(self.s3, self.bucket, aws.credentials())

    @cached_property
    def sqs(self) -> "SQSClient":
        """The queue's own client."""
        return self._opened.enter_context(closing(aws.polling_sqs_client()))

    @cached_property
    def jobs(self) -> Jobs:
        """The queue as the services see it."""
        return SqsJobs(self.sqs, self.queue_url)

    @property
    def site_url(self) -> str:
        """Where the site is, without a slash at its end; empty where nobody tells."""
        return self._settings_environment().get(SITE_URL, "")

    @property
    def bucket(self) -> str:
        """The name of the bucket with the videos."""
        return self._settings.media_bucket

    @property
    def queue_url(self) -> str:
        """The job queue."""
        return self._settings.queue_url
